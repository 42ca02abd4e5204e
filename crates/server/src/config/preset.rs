//! Presets: topics, ports and defaults of one source system, as a layer below everything that a user writes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A source system whose defaults a bare start takes over. The endpoints of all five exist in every preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Preset {
    /// System A: ports 8080 and 3001, both required; channel `main` on the plain rule, 0.5 of 100; A's topic names.
    EmoteBursts,
    /// System B: port 3000; B's topic names. Clusters, tiers and registration are not part of this release.
    SocketClusters,
    /// System C: port 8080. Posts and analytics are not part of this release.
    Community,
    /// System D: port 8080; D's topic names, flushed every 0.5 s. Clusters and subscribers are not part of this release.
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
