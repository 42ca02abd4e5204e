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
    /// The variable names the topic of a cluster of system D, such as `cluster2-emoji-topic`: where that cluster listens.
    ClusterListen,
    /// The cluster's subscribers.
    ClusterEdges,
    /// The topic that the relay writes.
    ClusterTopics,
}

/// Subscribers of a cluster of system D, and the clients that each takes.
const SUBSCRIBERS: u16 = 3;
const CLIENTS: u32 = 2;

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
    Variable {
        name: "CLUSTER_TOPIC",
        meaning: Meaning::Keys(&[
            ("listen", Value::ClusterListen),
            ("edges", Value::ClusterEdges),
            ("relay.topics", Value::ClusterTopics),
        ]),
    },
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
            Self::ClusterListen => Ok(format!("[\"127.0.0.1:{}\"]", cluster_port(name, text)?)),
            Self::ClusterTopics => {
                cluster_port(name, text)?;
                Ok(format!("[{}]", serde_json::Value::from(text)))
            }
            Self::ClusterEdges => {
                let port = cluster_port(name, text)?;
                let cluster = cluster_of(text).unwrap_or_default();
                let edges: Vec<_> = (1..=SUBSCRIBERS)
                    .map(|number| {
                        let listen = port + number;
                        format!(
                            "{{ name = \"{cluster}-subscriber{number}\", cluster = \"{cluster}\", \
                             listen = \"127.0.0.1:{listen}\", capacity = {CLIENTS} }}"
                        )
                    })
                    .collect();
                Ok(format!("[{}]", edges.join(", ")))
            }
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

/// `cluster2` of `cluster2-emoji-topic`.
fn cluster_of(topic: &str) -> Option<&str> {
    let (cluster, _) = topic.split_once(['-', '_']).unwrap_or((topic, ""));
    let number = cluster.strip_prefix("cluster")?;
    (number.len() == 1 && number != "0" && number.bytes().all(|b| b.is_ascii_digit())).then_some(cluster)
}

/// Where a cluster of system D listens: cluster 2 on 5020, its subscribers on 5021, 5022 and 5023.
fn cluster_port(name: &str, topic: &str) -> Result<u16, ConfigError> {
    let number = cluster_of(topic).and_then(|cluster| cluster.strip_prefix("cluster")?.parse::<u16>().ok());
    number.filter(|_| super::compat::is_topic(topic)).map(|number| 5_000 + 10 * number).ok_or_else(|| {
        let expected = "expected the topic of a cluster, cluster1-emoji-topic to cluster9-emoji-topic";
        ConfigError::Unreadable(format!("{name}: {expected}, got {topic:?}"))
    })
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
    fn a_topic_of_a_cluster_selects_its_subscribers_and_derives_their_ports() {
        let keys = of("CLUSTER_TOPIC", "cluster2-emoji-topic").unwrap();
        assert_eq!(keys[0], ("listen", "[\"127.0.0.1:5020\"]".to_owned()));
        let edges = &keys[1].1;
        assert!(edges.contains("name = \"cluster2-subscriber3\", cluster = \"cluster2\""), "{edges}");
        assert!(edges.contains("127.0.0.1:5023") && !edges.contains("5024"), "{edges}");
        assert_eq!(keys[2], ("relay.topics", "[\"cluster2-emoji-topic\"]".to_owned()));
        for bad in ["emoji-topic", "cluster0-emoji-topic", "cluster10", "cluster-emoji", "cluster1-a b"] {
            let error = of("CLUSTER_TOPIC", bad).unwrap_err();
            assert!(error.starts_with("CLUSTER_TOPIC: expected the topic of a cluster"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for bad in ["fast", "-1", "0", "inf"] {
            let error = of("BUFFER_FLUSH_INTERVAL", bad).unwrap_err();
            assert!(error.starts_with("BUFFER_FLUSH_INTERVAL: expected seconds"), "{error}");
        }
    }
}
