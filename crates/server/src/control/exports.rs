//! Moments in the formats that an editor needs: chapters, subtitles, edit lists, tables. Pure: moments in, text out.
//!
//! `timeline` places moments on the recording and thins chapters out, `title` names them; each format is a file of its own. The same functions serve HTTP and the command line, during the event
//! and afterwards.

use emostream_protocol::{Emotes, row::MomentRow};
use emostream_store::MomentRecord;

mod csv;
mod edl;
mod ffmetadata;
mod json;
mod timecode;
mod timeline;
mod title;
mod webvtt;
mod youtube;

#[cfg(test)]
mod tests;

pub use csv::cell as csv_cell;
pub use timecode::FrameRate;
pub use timeline::{Placed, Timeline};

/// Longest shift of positions, ms: ten days.
pub const OFFSET_MS_MAX: i64 = 864_000_000;

/// A moment as exports take it; texts as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportMoment {
    /// The moment's id, the same wherever it is computed.
    pub id: String,
    /// Sequence.
    pub seq: u64,
    /// Emote by name: an emoji, or a custom `:name:`.
    pub emote: String,
    /// Begin of what was judged, ms since the Unix epoch.
    pub window_start_ms: i64,
    /// Length of what was judged, ms.
    pub window_ms: u32,
    /// Reactions with this emote in it, without late ones.
    pub count: u64,
    /// How far beyond the rule.
    pub strength: f64,
    /// Estimated distinct users.
    pub reactors: u64,
    /// The rule's name.
    pub rule: String,
    /// Version of the settings that held.
    pub rule_version: u64,
    /// Mean media position of its reactions, ms.
    pub media_time_ms: Option<u64>,
    /// What a moderator called it.
    pub title: Option<String>,
    /// What a moderator wrote about it.
    pub note: Option<String>,
}

impl ExportMoment {
    /// A moment as it was found, before anybody has edited it.
    pub fn of(row: &MomentRow, emotes: &Emotes) -> Self {
        Self {
            id: row.id(),
            seq: row.seq,
            emote: emotes.name(row.emote).to_string(),
            window_start_ms: row.window_start_ms,
            window_ms: row.window_ms,
            count: row.count,
            strength: row.strength,
            reactors: row.reactors,
            rule: row.rule.as_str().to_owned(),
            rule_version: row.rule_version,
            media_time_ms: row.media_time_ms,
            title: None,
            note: None,
        }
    }

    /// A moment of the archive, with what moderators added.
    pub fn of_record(moment: MomentRecord) -> Self {
        Self {
            id: moment.id,
            seq: moment.position.seq,
            emote: moment.emote,
            window_start_ms: moment.window_start_ms,
            window_ms: moment.window_ms,
            count: moment.count,
            strength: moment.strength,
            reactors: moment.reactors,
            rule: moment.rule,
            rule_version: moment.rule_version,
            media_time_ms: moment.media_time_ms,
            title: moment.title,
            note: moment.note,
        }
    }
}

/// A format of exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// Chapter lines for the description of a video on YouTube.
    Youtube,
    /// WebVTT cues.
    Vtt,
    /// CMX 3600 edit decision list.
    Edl,
    /// RFC 4180 table.
    Csv,
    /// One JSON document.
    Json,
    /// Chapters of FFmpeg's metadata format.
    Ffmetadata,
}

/// What an export is made with.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Whose moments.
    pub channel: String,
    /// Where on the recording they are.
    pub timeline: Timeline,
    /// Frames per second, for timecodes.
    pub fps: FrameRate,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The whole file.
    pub text: String,
    /// Moments that are not in it: before the recording's start or without a place on it, or beyond what the format
    /// can hold. Moments merged into a neighbouring chapter are not among them.
    pub left_out: usize,
}

/// Why there is no export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Nothing says when the recording began.
    #[error(
        "expected the time at which the recording began: the channel has none, and the moments no media time"
    )]
    NoRecordingStart,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Youtube, Self::Vtt, Self::Edl, Self::Csv, Self::Json, Self::Ffmetadata];

    /// The format's name, as in `?format=`.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Finds a format by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The names of all formats, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Media type of the file.
    pub fn content_type(self) -> &'static str {
        self.facts().1
    }

    /// Ending of the file's name, without the dot.
    pub fn extension(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Youtube => ("youtube", "text/plain; charset=utf-8", "txt"),
            Self::Vtt => ("vtt", "text/vtt; charset=utf-8", "vtt"),
            Self::Edl => ("edl", "text/plain; charset=utf-8", "edl"),
            Self::Csv => ("csv", "text/csv; charset=utf-8; header=present", "csv"),
            Self::Json => ("json", "application/json", "json"),
            Self::Ffmetadata => ("ffmetadata", "text/plain; charset=utf-8", "ffmeta"),
        }
    }

    /// Whether the format can say when a moment was without saying where on the recording.
    fn works_without_position(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}

/// Writes moments in a format. Their order does not matter: exports are in order of their position.
///
/// # Errors
///
/// [`ExportError::NoRecordingStart`] when the format needs positions and there is no moment that has one, only because
/// nothing says when the recording began.
pub fn export(
    format: ExportFormat,
    moments: &[ExportMoment],
    options: &ExportOptions,
) -> Result<Export, ExportError> {
    let (placed, mut left_out) = options.timeline.place(moments, format.works_without_position());
    if placed.is_empty() && left_out > 0 && options.timeline.lacks_start(moments) {
        return Err(ExportError::NoRecordingStart);
    }
    let text = match format {
        ExportFormat::Youtube => youtube::write(&placed),
        ExportFormat::Vtt => webvtt::write(&placed, left_out, options),
        ExportFormat::Edl => edl::write(&placed, &mut left_out, options),
        ExportFormat::Csv => csv::write(&placed),
        ExportFormat::Json => json::write(&placed, left_out, options),
        ExportFormat::Ffmetadata => ffmetadata::write(&placed, left_out, options),
    };
    Ok(Export { text, left_out })
}

/// A safe name for the file of an export: ASCII letters, digits, `-`, `_` and `.`.
pub fn file_name(channel: &str, what: &str, extension: &str) -> String {
    let safe: String = channel
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .collect();
    format!("{safe}-{what}.{extension}")
}
