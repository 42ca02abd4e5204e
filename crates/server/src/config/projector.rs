//! `projector`: what nodes with the role bridge write for other people's programs, and in whose words.

use emostream_log::foreign::Compression;
use serde::{Deserialize, Serialize};

use super::{Findings, compat::is_topic};

/// `projector`: reactions, windows and moments on other people's topics. Each line carries the header `emostream`, so that
/// the bridge does not take it for theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectorConfig {
    /// How reactions stand in `topics.raw`: `native` (all channels, with what counting them needs), or as a source system's
    /// single stream `emote` (A), `emoji` (B), `emoji-type` (D and E); `off`: not at all. Reactions that the bridge took in
    /// are not written.
    pub raw_shape: LineShape,
    /// How windows stand in `topics.windows`: `native`, or a line an emote as `emoji` (B) or `emoji-type` (D); `off`.
    pub windows_shape: LineShape,
    /// How moments stand in `topics.moments`: `native`, or as `emote` (A); `off`.
    pub moments_shape: LineShape,
    /// Whether `raw_shape = "native"` has a line without emote for each record without a reaction, so that readers who go by
    /// event time, such as Flink, get on in silence.
    pub ticks: bool,
    /// A topic with all that Emostream counts, in our own shape: reactions that the bridge took in as well, and ticks. For
    /// those who count again, such as Flink. Empty: there is none.
    pub counting_topic: String,
    /// How lines are compressed, also the relay's: `none`, `gzip`, `lz4` or `zstd`. Every reader knows the first two; many
    /// need a library of their own for the others.
    pub compression: LineCompression,
    /// Topics that windows are written to as well, in the same shape.
    pub windows_also: Vec<String>,
}

/// In whose words a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum LineShape {
    /// Ours: all channels, with everything that is known.
    Native,
    /// System A's.
    Emote,
    /// System B's.
    Emoji,
    /// System D's and E's.
    EmojiType,
    /// Nobody's: nothing is written.
    Off,
}

impl LineShape {
    const ALL: [Self; 5] = [Self::Native, Self::Emote, Self::Emoji, Self::EmojiType, Self::Off];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emote => "emote",
            Self::Emoji => "emoji",
            Self::EmojiType => "emoji-type",
            Self::Off => "off",
        }
    }
}

impl TryFrom<String> for LineShape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|shape| shape.name() == text);
        let expected = Self::ALL.map(Self::name).join(", ");
        known.ok_or_else(|| format!("expected one of {expected}, got {text:?}"))
    }
}

/// How batches of lines are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum LineCompression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
    /// By LZ4.
    Lz4,
    /// By Zstandard.
    Zstd,
}

impl TryFrom<String> for LineCompression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::Zstd),
            _ => Err(format!("expected none, gzip, lz4 or zstd, got {text:?}")),
        }
    }
}

impl From<LineCompression> for Compression {
    fn from(configured: LineCompression) -> Self {
        match configured {
            LineCompression::None => Self::None,
            LineCompression::Gzip => Self::Gzip,
            LineCompression::Lz4 => Self::Lz4,
            LineCompression::Zstd => Self::Zstd,
        }
    }
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            raw_shape: LineShape::Native,
            windows_shape: LineShape::Native,
            moments_shape: LineShape::Native,
            ticks: true,
            counting_topic: String::new(),
            compression: LineCompression::None,
            windows_also: Vec::new(),
        }
    }
}

impl ProjectorConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            self.windows_shape != LineShape::Emote,
            "projector.windows_shape",
            "native, emoji, emoji-type or off: system A has no windows",
        );
        findings.expect(
            matches!(self.moments_shape, LineShape::Native | LineShape::Emote | LineShape::Off),
            "projector.moments_shape",
            "native, emote or off: only system A has moments",
        );
        findings.expect(
            self.counting_topic.is_empty() || is_topic(&self.counting_topic),
            "projector.counting_topic",
            "the name of a topic: 1 to 249 letters, digits, '.', '_' or '-'",
        );
        let named = self.windows_also.iter().all(|topic| is_topic(topic));
        findings.expect(
            named && self.windows_also.len() <= 16,
            "projector.windows_also",
            "at most 16 names of topics: 1 to 249 letters, digits, '.', '_' or '-'",
        );
    }
}
