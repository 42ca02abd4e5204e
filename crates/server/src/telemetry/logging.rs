//! Log lines on standard error: human-readable on a terminal, JSON elsewhere when asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sets up logging from `RUST_LOG` (default `info`) and `EMOSTREAM_LOG_FORMAT` (`json` or `text`).
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A second call, as in tests, keeps the first subscriber.
    let _already_set = if std::env::var("EMOSTREAM_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init().is_err()
    } else {
        builder.with_ansi(colours).with_target(false).try_init().is_err()
    };
}
