//! The source systems' own environment variables, each with the keys that it stands for.

use super::ConfigError;

/// One variable of a source system.
struct Variable {
    name: &'static str,
    meaning: Meaning,
}

/// What a variable means here.
enum Meaning {
    /// These keys have its value, or a fixed one.
    Keys(&'static [(&'static str, Value)]),
    /// What it asks for is not in this build: setting it is an error.
    NotHere(&'static str),
    /// It speaks to `emostream simulate`, not to a server.
    Simulator,
}

/// Where a key's value comes from.
enum Value {
    /// The variable's text, also where it looks like a number.
    Text,
    /// The variable holds seconds, the key milliseconds.
    SecondsAsMs,
    /// Always this.
    Fixed(&'static str),
}

/// The table.
const VARIABLES: &[Variable] = &[
    // System A
    Variable { name: "TOKEN_SECRET", meaning: Meaning::Keys(&[("control.token_secret", Value::Text)]) },
    Variable { name: "ADMIN_USERNAME", meaning: Meaning::Keys(&[("control.admin_username", Value::Text)]) },
    Variable { name: "ADMIN_PASSWORD", meaning: Meaning::Keys(&[("control.admin_password", Value::Text)]) },
    // System E
    Variable {
        name: "KAFKA_BOOTSTRAP_SERVERS",
        meaning: Meaning::Keys(&[
            ("kafka.bootstrap_servers", Value::Text),
            ("log.kind", Value::Fixed("kafka")),
        ]),
    },
    Variable { name: "EMOJI_TOPIC", meaning: Meaning::Keys(&[("topics.raw", Value::Text)]) },
    Variable {
        name: "BUFFER_FLUSH_INTERVAL",
        meaning: Meaning::Keys(&[("kafka.flush_ms", Value::SecondsAsMs)]),
    },
    Variable { name: "NUM_CLIENTS", meaning: Meaning::Simulator },
    Variable { name: "EMOJIS_PER_CLIENT", meaning: Meaning::Simulator },
    // System D
    Variable { name: "CLUSTER_TOPIC", meaning: Meaning::NotHere("this build has no clusters") },
    Variable { name: "PORT", meaning: Meaning::Simulator },
];

/// Whether a variable of this name may be taken from a `.env` file: one of the table, or one of ours.
pub(super) fn is_known(name: &str) -> bool {
    name.starts_with("EMOSTREAM__") || VARIABLES.iter().any(|variable| variable.name == name)
}

/// The keys, and the values as TOML, that the source systems' variables in an environment stand for. An empty variable is none.
pub(super) fn keys(environment: &[(String, String)]) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let mut keys = Vec::new();
    for Variable { name, meaning } in VARIABLES {
        let Some(text) = environment.iter().find(|(set, text)| set == name && !text.is_empty()) else {
            continue;
        };
        match meaning {
            Meaning::Keys(of_variable) => {
                for (key, value) in *of_variable {
                    keys.push((*key, value.of(name, &text.1)?));
                }
            }
            Meaning::NotHere(reason) => {
                let text = format!("{name}: {reason}; expected the variable not to be set");
                return Err(ConfigError::Unreadable(text));
            }
            Meaning::Simulator => {}
        }
    }
    Ok(keys)
}

impl Value {
    fn of(&self, name: &str, text: &str) -> Result<String, ConfigError> {
        match self {
            Self::Text => serde_json::to_string(text)
                .map_err(|error| ConfigError::Unreadable(format!("{name}: {error}"))),
            Self::Fixed(value) => Ok((*value).to_owned()),
            Self::SecondsAsMs => {
                let seconds = text.trim().parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
                let ms = seconds.map(|seconds| (seconds * 1_000.0).ceil() as u64);
                ms.map(|ms| ms.to_string()).ok_or_else(|| {
                    let expected = format!("{name}: expected seconds above 0 such as 0.5, got {text:?}");
                    ConfigError::Unreadable(expected)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::keys;

    fn of(name: &str, text: &str) -> Result<Vec<(&'static str, String)>, String> {
        keys(&[(name.to_owned(), text.to_owned())]).map_err(|error| error.to_string())
    }

    #[test]
    fn each_variable_stands_for_its_keys() {
        assert_eq!(of("EMOJI_TOPIC", "1e5"), Ok(vec![("topics.raw", "\"1e5\"".into())]));
        assert_eq!(of("BUFFER_FLUSH_INTERVAL", "0.5"), Ok(vec![("kafka.flush_ms", "500".into())]));
        let kafka = of("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092").unwrap();
        assert!(kafka.contains(&("log.kind", "kafka".into())), "{kafka:?}");
        for of_others in ["NUM_CLIENTS", "EMOJIS_PER_CLIENT", "PORT", "HOME"] {
            assert_eq!(of(of_others, "5"), Ok(vec![]));
        }
        assert_eq!(of("EMOJI_TOPIC", ""), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_read_or_is_not_here_is_said() {
        for bad in ["fast", "-1", "0", "inf"] {
            let error = of("BUFFER_FLUSH_INTERVAL", bad).unwrap_err();
            assert!(error.starts_with("BUFFER_FLUSH_INTERVAL: expected seconds"), "{error}");
        }
        assert!(of("CLUSTER_TOPIC", "cluster1-emoji-topic").unwrap_err().starts_with("CLUSTER_TOPIC: "));
    }
}
