//! `emostream check-config`: the effective configuration as TOML, which can be given back, or every error.

use super::{ConfigArgs, EXIT_FAILED, EXIT_OK, EXIT_USAGE, say, say_error};

pub(super) fn run(args: &ConfigArgs) -> u8 {
    match args.load() {
        Ok(config) => match toml::to_string_pretty(&config) {
            Ok(text) => {
                say(text.trim_end());
                for key in config.secrets_set() {
                    say(&format!("# {key} is set, and is not shown"));
                }
                EXIT_OK
            }
            Err(error) => {
                say_error(&format!("the configuration cannot be written as TOML: {error}"));
                EXIT_FAILED
            }
        },
        Err(error) => {
            say_error(&error.to_string());
            EXIT_USAGE
        }
    }
}
