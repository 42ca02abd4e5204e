//! Viewer frames of the subprotocol `emostream.json.v1`: what a viewer sends and sees, one JSON text frame each.

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use crate::{
    emote::{EmoteId, Emotes},
    input::{ReactionInput, Rejection, RejectionKind, Text},
    limits::EMOTES_PER_FRAME_MAX,
    palette::Palette,
    position::{Epoch, Position},
    row::{EmoteCount, MomentRow, WindowRow},
    settings::{MomentRule, SettingsDocument},
    time,
};

pub mod close;

/// The WebSocket subprotocol of these frames.
pub const SUBPROTOCOL: &str = "emostream.json.v1";

/// What a viewer sends.
#[derive(Debug, PartialEq)]
pub enum ViewerMessage<'a> {
    /// A tap.
    React(ReactionInput<'a>),
}

#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
}

impl<'a> ViewerMessage<'a> {
    /// Reads a text frame. On error also says the id that the message carried, if it could be read, so that the error
    /// can be addressed.
    pub fn parse(text: &'a str) -> Result<Self, (Option<String>, Rejection)> {
        #[derive(Deserialize)]
        struct WithId<'a> {
            #[serde(borrow, default)]
            id: Option<Text<'a>>,
        }
        let id =
            || serde_json::from_str::<WithId<'_>>(text).ok().and_then(|m| m.id).map(|id| id.0.into_owned());
        let kind = serde_json::from_str::<Tagged<'a>>(text).ok().and_then(|tagged| tagged.kind);
        match kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("react") => crate::input::parse_one(text.as_bytes()).map(Self::React).map_err(|e| (id(), e)),
            _ => {
                let detail = "expected an object with \"type\": \"react\"".to_owned();
                Err((id(), Rejection { kind: RejectionKind::FieldInvalid, field: Some("type"), detail }))
            }
        }
    }
}

/// Counts per emote as a JSON object, keyed by the emotes' text.
struct Counts<'a, I>(&'a Emotes, I);

impl<I: Iterator<Item = (EmoteId, u64)> + Clone> Serialize for Counts<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (emote, count) in self.1.clone() {
            self.0.with_name(emote, |name| map.serialize_entry(name, &count))?;
        }
        map.end()
    }
}

/// The first frame of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Hello<'a> {
    /// Channel.
    pub channel: &'a str,
    /// Epoch of the sequences that follow.
    pub epoch: Epoch,
    /// Newest sequence of the channel.
    pub seq: u64,
    /// The server's clock, ms since the Unix epoch.
    pub server_time_ms: i64,
    /// Length of a pulse.
    pub pulse_ms: u32,
    /// Length of a window.
    pub window_ms: u32,
    /// What is offered.
    pub palette: &'a Palette,
}

impl Hello<'_> {
    /// Encodes the frame.
    pub fn encode(&self, emotes: &Emotes) -> Bytes {
        #[derive(Serialize)]
        struct Json<'a> {
            r#type: &'static str,
            channel: &'a str,
            epoch: String,
            seq: u64,
            server_time: String,
            pulse_ms: u32,
            window_ms: u32,
            palette: Vec<String>,
            palette_version: u32,
        }
        encode(&Json {
            r#type: "hello",
            channel: self.channel,
            epoch: self.epoch.to_string(),
            seq: self.seq,
            server_time: time::format_ms(self.server_time_ms),
            pulse_ms: self.pulse_ms,
            window_ms: self.window_ms,
            palette: self.palette.featured().iter().map(|id| emotes.name(*id).to_string()).collect(),
            palette_version: self.palette.version(),
        })
    }
}

/// What came in during the last pulse; best effort.
#[derive(Debug, Clone, Copy)]
pub struct Pulse<'a> {
    /// Channel.
    pub channel: &'a str,
    /// Epoch.
    pub epoch: Epoch,
    /// Newest sequence of the channel, repeated.
    pub seq: u64,
    /// Begin of the pulse by the edge's clock, ms since the Unix epoch.
    pub start_ms: i64,
    /// Reactions per emote, most frequent first.
    pub counts: &'a [(EmoteId, u64)],
}

impl Pulse<'_> {
    /// Encodes the frame; `shown` is the scale-down for a count.
    pub fn encode(&self, emotes: &Emotes, shown: impl Fn(u64) -> u64 + Copy) -> Bytes {
        #[derive(Serialize)]
        struct Json<'a, C, S> {
            r#type: &'static str,
            channel: &'a str,
            epoch: String,
            seq: u64,
            start: String,
            counts: C,
            shown: S,
            total: u64,
            others: u64,
        }
        let total = self.counts.iter().map(|(_, count)| count).sum();
        let named = &self.counts[..self.counts.len().min(EMOTES_PER_FRAME_MAX)];
        encode(&Json {
            r#type: "pulse",
            channel: self.channel,
            epoch: self.epoch.to_string(),
            seq: self.seq,
            start: time::format_ms(self.start_ms),
            counts: Counts(emotes, named.iter().copied()),
            shown: Counts(emotes, named.iter().map(|(emote, count)| (*emote, shown(*count)))),
            total,
            others: total - named.iter().map(|(_, count)| count).sum::<u64>(),
        })
    }
}

/// Encodes a window for viewers. Beyond [`EMOTES_PER_FRAME_MAX`] emotes, the least frequent are summed up as `others`.
pub fn encode_window(
    row: &WindowRow,
    epoch: Epoch,
    emotes: &Emotes,
    shown: impl Fn(u64) -> u64 + Copy,
) -> Bytes {
    #[derive(Serialize)]
    struct Json<'a, C, S> {
        r#type: &'static str,
        channel: &'a str,
        epoch: String,
        seq: u64,
        window_start: String,
        window_ms: u32,
        counts: C,
        shown: S,
        total: u64,
        others: u64,
        reactors: u64,
    }
    let named = most_frequent(row);
    let total = row.total();
    encode(&Json {
        r#type: "window",
        channel: &row.channel,
        epoch: epoch.to_string(),
        seq: row.seq,
        window_start: time::format_ms(row.window_start_ms),
        window_ms: row.window_ms,
        counts: Counts(emotes, named.iter().map(|e| (e.emote, e.count))),
        shown: Counts(emotes, named.iter().map(|e| (e.emote, shown(e.count)))),
        total,
        others: total - named.iter().map(|e| e.count).sum::<u64>(),
        reactors: row.reactors,
    })
}

/// The emotes that a frame names: all of them, or the most frequent ones, in the row's order.
fn most_frequent(row: &WindowRow) -> Vec<EmoteCount> {
    let mut named = row.emotes.clone();
    if named.len() > EMOTES_PER_FRAME_MAX {
        named.sort_by_key(|emote| std::cmp::Reverse(emote.count));
        let least = named[EMOTES_PER_FRAME_MAX - 1].count;
        let mut ties = named[..EMOTES_PER_FRAME_MAX].iter().filter(|emote| emote.count == least).count();
        named.clone_from(&row.emotes);
        named.retain(|emote| {
            let is_tie = emote.count == least && ties > 0;
            ties -= usize::from(is_tie);
            emote.count > least || is_tie
        });
    }
    named
}

/// Encodes a window for queries: every field that is stored.
pub fn encode_window_item(row: &WindowRow, emotes: &Emotes) -> Vec<u8> {
    #[derive(Serialize)]
    struct Json<C, L, R> {
        seq: u64,
        window_start: String,
        window_ms: u32,
        counts: C,
        total: u64,
        late: u64,
        reactors: u64,
        unverified: u64,
        late_by_emote: L,
        reactors_by_emote: R,
    }
    encode_vec(&Json {
        seq: row.seq,
        window_start: time::format_ms(row.window_start_ms),
        window_ms: row.window_ms,
        counts: Counts(emotes, row.emotes.iter().map(|e| (e.emote, e.count))),
        total: row.total(),
        late: row.late(),
        reactors: row.reactors,
        unverified: row.unverified,
        late_by_emote: Counts(emotes, row.emotes.iter().filter(|e| e.late > 0).map(|e| (e.emote, e.late))),
        reactors_by_emote: Counts(emotes, row.emotes.iter().map(|e| (e.emote, e.reactors))),
    })
}

#[derive(Serialize)]
struct MomentJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    seq: u64,
    id: String,
    emote: String,
    window_start: String,
    window_ms: u32,
    count: u64,
    strength: f64,
    reactors: u64,
    rule: &'static str,
    rule_version: u64,
    media_time_ms: Option<u64>,
}

fn moment_json<'a>(row: &'a MomentRow, epoch: Option<Epoch>, emotes: &Emotes) -> MomentJson<'a> {
    MomentJson {
        r#type: epoch.map(|_| "moment"),
        channel: &row.channel,
        epoch: epoch.map(|epoch| epoch.to_string()),
        seq: row.seq,
        id: row.id(),
        emote: emotes.name(row.emote).to_string(),
        window_start: time::format_ms(row.window_start_ms),
        window_ms: row.window_ms,
        count: row.count,
        strength: row.strength,
        reactors: row.reactors,
        rule: row.rule.as_str(),
        rule_version: row.rule_version,
        media_time_ms: row.media_time_ms,
    }
}

/// Encodes a moment for viewers.
pub fn encode_moment(row: &MomentRow, epoch: Epoch, emotes: &Emotes) -> Bytes {
    encode(&moment_json(row, Some(epoch), emotes))
}

/// Encodes a moment for queries.
pub fn encode_moment_item(row: &MomentRow, emotes: &Emotes) -> Vec<u8> {
    encode_vec(&moment_json(row, None, emotes))
}

/// Encodes settings for viewers.
pub fn encode_settings(
    channel: &str,
    position: Position,
    version: u64,
    settings: &SettingsDocument,
) -> Bytes {
    #[derive(Serialize)]
    struct Json<'a> {
        r#type: &'static str,
        channel: &'a str,
        epoch: String,
        seq: u64,
        version: u64,
        rule: &'a MomentRule,
        allowed_emotes: &'a Option<Vec<String>>,
        palette: &'a [String],
        palette_version: u32,
        custom_emotes: &'a [String],
    }
    encode(&Json {
        r#type: "settings",
        channel,
        epoch: position.epoch.to_string(),
        seq: position.seq,
        version,
        rule: &settings.rule,
        allowed_emotes: &settings.allowed_emotes,
        palette: &settings.palette.featured,
        palette_version: settings.palette.version,
        custom_emotes: &settings.palette.custom_emotes,
    })
}

/// Says honestly that moments between two sequences can no longer be delivered.
pub fn encode_gap(from: u64, to: u64) -> Bytes {
    #[derive(Serialize)]
    struct Json {
        r#type: &'static str,
        from: u64,
        to: u64,
    }
    encode(&Json { r#type: "gap", from, to })
}

/// The last frame before a graceful close. `reconnect_in_ms` is absent where the client is not to come back.
pub fn encode_bye(reason: &str, reconnect_in_ms: Option<u64>) -> Bytes {
    #[derive(Serialize)]
    struct Json<'a> {
        r#type: &'static str,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reconnect_in_ms: Option<u64>,
    }
    encode(&Json { r#type: "bye", reason, reconnect_in_ms })
}

/// Confirms that a reaction is in the log.
pub fn encode_ack(id: &str) -> Bytes {
    #[derive(Serialize)]
    struct Json<'a> {
        r#type: &'static str,
        id: &'a str,
    }
    encode(&Json { r#type: "ack", id })
}

/// Refuses a message. `server_time_ms` helps a client whose clock is wrong; `retry_after_ms` one that may try again.
pub fn encode_error(
    id: Option<&str>,
    code: &str,
    detail: &str,
    server_time_ms: Option<i64>,
    retry_after_ms: Option<u64>,
) -> Bytes {
    #[derive(Serialize)]
    struct Json<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        code: &'a str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_time: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let server_time = server_time_ms.map(time::format_ms);
    encode(&Json { r#type: "error", id, code, detail, server_time, retry_after_ms })
}

fn encode(value: &impl Serialize) -> Bytes {
    encode_vec(value).into()
}

fn encode_vec(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("frames have string keys and nothing that can fail to serialise")
}
