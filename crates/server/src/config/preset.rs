//! Presets: topics, ports and defaults of one source system, as a layer below everything that a user writes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A source system whose defaults a bare start takes over. The endpoints of all five exist in every preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Preset {
    /// System A: ports 8080 and 3001, both required; channel `main` on the plain rule, 0.5 of 100; A's topic names.
    EmoteBursts,
    /// System B: page and API on port 3000, three clusters on ports 3005, 3006 and 3011; people choose their tier; B's topic
    /// names.
    SocketClusters,
    /// System C: port 8080. Posts and analytics are not part of this release.
    Community,
    /// System D: port 8080; three clusters of three subscribers of two clients each, on ports 5011 to 5033; clients on this
    /// machine may be called; D's topic names, flushed every 0.5 s.
    ConcurrentBroadcast,
    /// System E: port 8080; E's topic name, flushed every 0.5 s; one console line for each final window.
    EmojiApi,
}

impl TryFrom<String> for Preset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name);
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| format!("preset: expected one of {}, got {text:?}", known.join(", ")))
    }
}

impl Preset {
    /// All presets, in the order of the systems.
    pub const ALL: [Self; 5] =
        [Self::EmoteBursts, Self::SocketClusters, Self::Community, Self::ConcurrentBroadcast, Self::EmojiApi];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmoteBursts => "emote-bursts",
            Self::SocketClusters => "socket-clusters",
            Self::Community => "community",
            Self::ConcurrentBroadcast => "concurrent-broadcast",
            Self::EmojiApi => "emoji-api",
        }
    }

    /// What the preset sets, as a configuration file. Its ports are required: a client that knows them would not look
    /// elsewhere.
    pub(super) fn layer(self) -> &'static str {
        match self {
            Self::EmoteBursts => {
                r#"
                listen = ["127.0.0.1:8080", "127.0.0.1:3001"]
                topics = { raw = "raw-emote-data", moments = "aggregated-emote-data" }
                projector = { raw_shape = "emote", moments_shape = "emote", ticks = false }
                channels = [{ name = "main", rule = "plain", threshold = 0.5, interval = 100 }]
                "#
            }
            Self::SocketClusters => {
                r#"
                listen = ["127.0.0.1:3000"]
                edges = [
                    { name = "cluster1-3005", cluster = "cluster1", listen = "127.0.0.1:3005", capacity = 100 },
                    { name = "cluster2-3006", cluster = "cluster2", listen = "127.0.0.1:3006", capacity = 100 },
                    { name = "cluster3-3011", cluster = "cluster3", listen = "127.0.0.1:3011", capacity = 100 },
                ]
                placement = { clusters = [{ name = "cluster1" }, { name = "cluster2" }, { name = "cluster3" }] }
                accounts = { choose_tier = true }
                topics = { raw = "emoji", windows = "emoji-counts" }
                projector = { raw_shape = "emoji", windows_shape = "emoji", windows_also = ["publisher-emojis"], ticks = false }
                "#
            }
            Self::Community => {
                r#"
                listen = ["127.0.0.1:8080"]
                "#
            }
            Self::ConcurrentBroadcast => {
                r#"
                listen = ["127.0.0.1:8080"]
                topics = { raw = "emoji-topic", windows = "main-pub-topic" }
                projector = { raw_shape = "emoji-type", windows_shape = "emoji-type", ticks = false }
                kafka = { flush_ms = 500 }
                relay = { topics = ["cluster1-emoji-topic", "cluster2-emoji-topic", "cluster3-emoji-topic"] }
                compat = { notify_networks = ["127.0.0.0/8", "::1/128"] }
                placement = { clusters = [{ name = "cluster1" }, { name = "cluster2" }, { name = "cluster3" }] }
                edges = [
                    { name = "cluster1-subscriber1", cluster = "cluster1", listen = "127.0.0.1:5011", capacity = 2 },
                    { name = "cluster1-subscriber2", cluster = "cluster1", listen = "127.0.0.1:5012", capacity = 2 },
                    { name = "cluster1-subscriber3", cluster = "cluster1", listen = "127.0.0.1:5013", capacity = 2 },
                    { name = "cluster2-subscriber1", cluster = "cluster2", listen = "127.0.0.1:5021", capacity = 2 },
                    { name = "cluster2-subscriber2", cluster = "cluster2", listen = "127.0.0.1:5022", capacity = 2 },
                    { name = "cluster2-subscriber3", cluster = "cluster2", listen = "127.0.0.1:5023", capacity = 2 },
                    { name = "cluster3-subscriber1", cluster = "cluster3", listen = "127.0.0.1:5031", capacity = 2 },
                    { name = "cluster3-subscriber2", cluster = "cluster3", listen = "127.0.0.1:5032", capacity = 2 },
                    { name = "cluster3-subscriber3", cluster = "cluster3", listen = "127.0.0.1:5033", capacity = 2 },
                ]
                "#
            }
            Self::EmojiApi => {
                r#"
                listen = ["127.0.0.1:8080"]
                topics = { raw = "emoji_reactions" }
                projector = { raw_shape = "emoji-type", ticks = false }
                kafka = { flush_ms = 500 }
                compat = { console = true }
                "#
            }
        }
    }
}
