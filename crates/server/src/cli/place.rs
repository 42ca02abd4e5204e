//! Which installation a command looks at, for commands that run none of its roles.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArgs;
use crate::config::{Config, ConfigError, Preset};

/// Where the configuration of an installation comes from, in the same layers as for `serve`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Place {
    /// TOML file with configuration.
    #[arg(long, value_name = "FILE", env = "EMOSTREAM_CONFIG")]
    config: Option<PathBuf>,
    /// Topics, ports and defaults of one source system.
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Data directory of the server [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Set any key of the configuration, such as kafka.bootstrap_servers=localhost:9092.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Place {
    /// The effective configuration.
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        let Self { config, preset, data_dir, set } = self.clone();
        ConfigArgs { config, preset, data_dir, set, ..ConfigArgs::default() }.load()
    }
}
