//! Where configuration comes from, later layers over earlier ones: defaults, preset, file, environment, command line.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};

use super::{Config, preset::Preset, variables};

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
    /// Variables `EMOSTREAM__SECTION__KEY`, and below them the source systems' own.
    pub environment: Vec<(String, String)>,
    /// `--set key=value`, and the flags that stand for a key.
    pub set: Vec<(String, String)>,
}

/// Loads and validates the effective configuration.
pub fn load(layers: &Layers) -> Result<Config, ConfigError> {
    let written = written(layers)?;
    let mut builder = config::Config::builder();
    // Any layer may name the preset, which lies below all of them.
    if let Ok(name) = written.get_string("preset") {
        let preset = Preset::try_from(name).map_err(ConfigError::Unreadable)?;
        builder = builder.add_source(File::from_str(preset.layer(), FileFormat::Toml));
    }
    let whole = builder.add_source(written).build().map_err(|error| unreadable(&error))?;
    let config: Config = whole.try_deserialize().map_err(|error| unreadable(&error))?;
    config.validate()?;
    Ok(config)
}

/// What users have written: all layers but the preset's.
fn written(layers: &Layers) -> Result<config::Config, ConfigError> {
    let mut builder = config::Config::builder();
    if let Some(file) = &layers.file {
        builder = builder.add_source(File::from_str(&read(file)?, FileFormat::Toml));
    }
    for (key, value) in variables::keys(&layers.environment)? {
        builder = builder.add_source(File::from_str(&as_toml(key, &value)?, FileFormat::Toml));
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
    builder.build().map_err(|error| unreadable(&error))
}

fn unreadable(error: &config::ConfigError) -> ConfigError {
    ConfigError::Unreadable(error.to_string())
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
    use crate::config::{Durability, Preset};

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
        assert_eq!((config.log.partitions, config.log.durability), (Some(8), Durability::Os));
        assert_eq!(config.data_dir.to_str(), Some("/tmp/x y"));
        assert_eq!(config.channels[0].name, "main");
    }

    #[test]
    fn a_preset_lies_below_what_is_written() {
        let of =
            |set: &[(&str, &str)], environment: &[(&str, &str)]| load(&layers(set, environment)).unwrap();
        for preset in Preset::ALL {
            let config = of(&[("preset", preset.name())], &[]);
            assert_eq!(config.preset, Some(preset));
            assert!(!config.listen.is_empty(), "the ports of {preset:?} are required");
        }
        let preset = ("EMOSTREAM__PRESET", "emoji-api");
        let config = of(&[], &[preset]);
        assert_eq!((config.topics.raw.as_str(), config.compat.console), ("emoji_reactions", true));
        let listen = ("listen", "[\"127.0.0.1:0\"]");
        let config = of(&[listen, ("compat.console", "false")], &[preset, ("EMOJI_TOPIC", "taps")]);
        assert_eq!((config.topics.raw.as_str(), config.compat.console), ("taps", false));
        assert_eq!(config.listen[0].port(), 0);
        // The more specific name wins.
        let both = [("EMOJI_TOPIC", "taps"), ("EMOSTREAM__TOPICS__RAW", "raw")];
        assert_eq!(of(&[], &both).topics.raw, "raw");
    }

    #[test]
    fn every_error_names_its_key() {
        for (key, value, expected) in [
            ("log.partitions", "0", "log.partitions"),
            ("windows.window_ms", "250", "windows.window_ms"),
            ("log.durability", "maybe", "expected fsync or os, got \"maybe\""),
            ("log.kind", "paper", "expected embedded or kafka"),
            ("roles", "[\"bartender\"]", "expected one of ingest, aggregate, relay, edge, control, bridge"),
            ("preset", "jazz", "preset: expected one of emote-bursts, "),
            ("websocket_bridge.source", "all", "expected moments or raw"),
            ("topics.raw", "a b", "topics.raw"),
            ("kafka.flush_ms", "0", "kafka.flush_ms"),
            ("kafka.security_protocol", "tls", "expected one of plaintext, ssl"),
            ("kafka.security_protocol", "SASL_SSL", "kafka.sasl_username"),
            ("kafka.sasl_mechanism", "gssapi", "expected plain, scram-sha-256"),
            ("kafka.ssl_key_file", "key.pem", "kafka.ssl_certificate_file"),
            ("kafka.namespace", "a b", "kafka.namespace"),
            ("bridge.from", "now", "expected earliest or latest"),
            ("bridge.topics", "[\"a b\"]", "bridge.topics"),
            ("roles", "[\"bridge\"]", "log.kind = \"kafka\" beside bridge"),
            ("internal.key", "short", "internal.key"),
            ("control.url", "10.0.0.5", "control.url"),
            ("node_name", "a b", "node_name"),
            ("accounts.tier_devices", "[5, 0]", "accounts.tier_devices"),
            ("accounts.default_tier", "4", "accounts.default_tier"),
            ("placement.ttl_ms", "3000", "placement.ttl_ms"),
            ("placement.ticket_ms", "30001", "placement.ticket_ms"),
            ("placement.clusters", "[{name=\"a\"},{name=\"a\"}]", "placement.clusters[1].name"),
            ("placement.clusters", "[{name=\"a\",capacity=0}]", "placement.clusters[0].capacity"),
            ("edges", "[{name=\"a\"}]", "missing"),
            ("spool.max_age_ms", "0", "spool.max_age_ms"),
            ("spool.max_bytes", "1000", "spool.max_bytes"),
            ("spool.drain_timeout_ms", "3600001", "spool.drain_timeout_ms"),
            ("compat.channel", "a b", "compat.channel"),
            ("nonsense", "1", "nonsense"),
            ("log.nonsense", "1", "nonsense"),
            ("channels", "[{name=\"a b\"}]", "channels[0].name"),
            ("channels", "[{threshold=0.0}]", "channels[0].threshold"),
            ("channels", "[{palette=[\"zz\"]}]", "channels[0].palette"),
            ("a b", "1", "--set a b"),
        ] {
            let error = load(&layers(&[(key, value)], &[])).unwrap_err().to_string();
            assert!(error.contains(expected), "{key}={value}: {error}");
        }
    }
}
