//! `emostream check-config`: the effective configuration as TOML-like JSON, or every error.

use super::{ConfigArgs, EXIT_OK, EXIT_USAGE, say, say_error};

pub(super) fn run(args: &ConfigArgs) -> u8 {
    match args.load() {
        Ok(config) => {
            // Nothing in the configuration of this release is a secret: keys live in files of the data directory.
            say(&serde_json::to_string_pretty(&config).unwrap_or_default());
            EXIT_OK
        }
        Err(error) => {
            say_error(&error.to_string());
            EXIT_USAGE
        }
    }
}
