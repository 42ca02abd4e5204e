//! Where configuration comes from, later layers over earlier ones: defaults, file, environment, command line.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};

use super::Config;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A layer cannot be read; the text says which one and where in it.
    #[error("{0}")]
    Unreadable(String),
    /// Values that cannot work together; one line each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// The layers above the defaults.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Variables `EMOSTREAM__SECTION__KEY`.
    pub environment: Vec<(String, String)>,
    /// `--set key=value`, and the flags that stand for a key.
    pub set: Vec<(String, String)>,
}

/// Loads and validates the effective configuration.
pub fn load(layers: &Layers) -> Result<Config, ConfigError> {
    let unreadable = |error: config::ConfigError| ConfigError::Unreadable(error.to_string());
    let mut builder = config::Config::builder();
    if let Some(file) = &layers.file {
        builder = builder.add_source(File::from_str(&read(file)?, FileFormat::Toml));
    }
    let environment = layers.environment.iter().filter(|(name, _)| name.starts_with("EMOSTREAM__")).cloned();
    builder = builder.add_source(
        Environment::with_prefix("EMOSTREAM")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(environment.collect())),
    );
    for (key, value) in &layers.set {
        builder = builder.add_source(File::from_str(&as_toml(key, value)?, FileFormat::Toml));
    }
    let config: Config = builder.build().map_err(unreadable)?.try_deserialize().map_err(unreadable)?;
    config.validate()?;
    Ok(config)
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|error| {
        ConfigError::Unreadable(format!("cannot read configuration {}: {error}", file.display()))
    })
}

/// `key=value` as a line of TOML: the value as it is if it is TOML, else as a string.
fn as_toml(key: &str, value: &str) -> Result<String, ConfigError> {
    let valid_key = !key.is_empty()
        && key
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    if !valid_key {
        return Err(ConfigError::Unreadable(format!(
            "--set {key}: expected key=value with a key such as log.durability"
        )));
    }
    let parses = |line: &str| {
        let source = File::from_str(line, FileFormat::Toml);
        config::Config::builder().add_source(source).build().is_ok()
    };
    let verbatim = format!("{key} = {value}\n");
    if !value.contains('\n') && parses(&verbatim) {
        return Ok(verbatim);
    }
    let quoted = serde_json::to_string(value)
        .map_err(|error| ConfigError::Unreadable(format!("--set {key}: {error}")))?;
    Ok(format!("{key} = {quoted}\n"))
}

#[cfg(test)]
mod tests {
    use super::{Layers, load};
    use crate::config::Durability;

    fn layers(set: &[(&str, &str)], environment: &[(&str, &str)]) -> Layers {
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Layers { file: None, environment: own(environment), set: own(set) }
    }

    #[test]
    fn later_layers_win() {
        let environment =
            [("EMOSTREAM__LOG__PARTITIONS", "4"), ("EMOSTREAM__LOG__DURABILITY", "os"), ("OTHER", "x")];
        let config =
            load(&layers(&[("log.partitions", "8"), ("data_dir", "/tmp/x y")], &environment)).unwrap();
        assert_eq!((config.log.partitions, config.log.durability), (8, Durability::Os));
        assert_eq!(config.data_dir.to_str(), Some("/tmp/x y"));
        assert_eq!(config.channels[0].name, "main");
    }

    #[test]
    fn every_error_names_its_key() {
        for (key, value, expected) in [
            ("log.partitions", "0", "log.partitions"),
            ("windows.window_ms", "250", "windows.window_ms"),
            ("log.durability", "maybe", "expected fsync or os, got \"maybe\""),
            ("log.kind", "paper", "expected embedded or kafka"),
            ("roles", "[\"bartender\"]", "expected one of ingest, aggregate, edge"),
            ("nonsense", "1", "nonsense"),
            ("log.nonsense", "1", "nonsense"),
            ("channels", "[{name=\"a b\"}]", "channels[0].name"),
            ("channels", "[{threshold=0.0}]", "rule.threshold"),
            ("channels", "[{palette=[\"zz\"]}]", "channels[0].palette"),
            ("a b", "1", "--set a b"),
        ] {
            let error = load(&layers(&[(key, value)], &[])).unwrap_err().to_string();
            assert!(error.contains(expected), "{key}={value}: {error}");
        }
    }
}
