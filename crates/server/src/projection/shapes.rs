//! The lines that other people's programs read: a reaction, a window or a moment as each source system writes it.
//!
//! | shape | reaction | window, one line an emote | moment |
//! |---|---|---|---|
//! | `emote` (A) | `{"emote","timestamp"}` | | `{"emote","count","timestamp"}` |
//! | `emoji` (B) | `{"emoji","timestamp"}` | `{"emoji","count","shown","window_start"}`, shown ⌈count / 100⌉ | |
//! | `emoji-type` (D, E) | `{"user_id","emoji_type","timestamp"}` | `{"emoji_type","count","shown","window_start"}`, shown ⌊count / 1000⌋ | |
//! | `native` | `emostream_protocol::projected` | the window as `/v1/…/windows` has it | the moment as `/v1/…/moments` has it, and `timestamp` |
//!
//! Each line goes on with what lets a reader know a repeat: `id` of a reaction, `channel` and `seq` of the others.

use bytes::Bytes;
use emostream_moments::ScaleDown;
use emostream_protocol::{
    Emotes, frame,
    record::Reaction,
    row::{EmoteCount, MomentRow, WindowRow},
    time,
};
use serde::{Serialize, Serializer};

use self::Field::{Number, Text};
use crate::config::LineShape;

/// A reaction as a source system writes it; `None` for shapes that are none's.
pub fn reaction(shape: LineShape, channel: &str, reaction: &Reaction<'_>, emotes: &Emotes) -> Option<Bytes> {
    let emote = emotes.name(reaction.emote);
    let user = String::from_utf8_lossy(reaction.user);
    let timestamp = time::format_ms(reaction.tapped_ms);
    let (emote, timestamp) = (Text(&emote), Text(&timestamp));
    let own: &[_] = match shape {
        LineShape::Emote => &[("emote", emote), ("timestamp", timestamp)],
        LineShape::Emoji => &[("emoji", emote), ("timestamp", timestamp)],
        LineShape::EmojiType => &[("user_id", Text(&user)), ("emoji_type", emote), ("timestamp", timestamp)],
        LineShape::Native | LineShape::Off => return None,
    };
    let id = reaction.id.to_string();
    Some(line(&[own, &[("id", Text(&id)), ("channel", Text(channel))]].concat()))
}

/// The lines of a window, in the order of its emotes.
pub fn window(shape: LineShape, row: &WindowRow, emotes: &Emotes) -> Vec<Bytes> {
    let (field, scale) = match shape {
        LineShape::Native => {
            return vec![with_first("channel", &row.channel, &frame::encode_window_item(row, emotes))];
        }
        LineShape::Emoji => ("emoji", ScaleDown::PerHundred),
        LineShape::EmojiType => ("emoji_type", ScaleDown::PerThousand),
        LineShape::Emote | LineShape::Off => return Vec::new(),
    };
    let window_start = time::format_ms(row.window_start_ms);
    let of_emote = |emote: &EmoteCount| {
        line(&[
            (field, Text(&emotes.name(emote.emote))),
            ("count", Number(emote.count)),
            ("shown", Number(scale.shown(emote.count))),
            ("window_start", Text(&window_start)),
            ("window_ms", Number(row.window_ms.into())),
            ("channel", Text(&row.channel)),
            ("seq", Number(row.seq)),
        ])
    };
    row.emotes.iter().map(of_emote).collect()
}

/// The line of a moment; `None` for a shape that has none.
pub fn moment(shape: LineShape, row: &MomentRow, emotes: &Emotes) -> Option<Bytes> {
    let timestamp = time::format_ms(row.window_start_ms);
    match shape {
        LineShape::Native => {
            Some(with_first("timestamp", &timestamp, &frame::encode_moment_item(row, emotes)))
        }
        LineShape::Emote => Some(line(&[
            ("emote", Text(&emotes.name(row.emote))),
            ("count", Number(row.count)),
            ("timestamp", Text(&timestamp)),
            ("id", Text(&row.id())),
            ("channel", Text(&row.channel)),
            ("seq", Number(row.seq)),
        ])),
        LineShape::Emoji | LineShape::EmojiType | LineShape::Off => None,
    }
}

/// A field's value.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Text(&'a str),
    Number(u64),
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Text(text) => serializer.serialize_str(text),
            Number(number) => serializer.serialize_u64(*number),
        }
    }
}

/// A JSON object with its fields in this order.
fn line(fields: &[(&str, Field<'_>)]) -> Bytes {
    struct Object<'a>(&'a [(&'a str, Field<'a>)]);
    impl Serialize for Object<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }
    serde_json::to_vec(&Object(fields)).expect("text and numbers under text keys").into()
}

/// An encoded object with one more field at its head.
fn with_first(name: &str, value: &str, object: &[u8]) -> Bytes {
    let mut joined = line(&[(name, Text(value))]).to_vec();
    joined.pop();
    joined.push(b',');
    joined.extend_from_slice(object.strip_prefix(b"{").unwrap_or(object));
    joined.into()
}

#[cfg(test)]
mod tests {
    use emostream_protocol::{
        ChannelName, Emotes, ReactionId,
        record::Reaction,
        row::{EmoteCount, MomentRow, RuleName, WindowRow},
    };
    use serde_json::{Value, json};

    use super::{LineShape, moment, reaction, window};

    fn parsed(line: &[u8]) -> Value {
        serde_json::from_slice(line).unwrap()
    }

    fn main() -> ChannelName {
        ChannelName::new("main").unwrap()
    }

    #[test]
    fn reactions_stand_as_each_system_writes_them() {
        let emotes = Emotes::new();
        let tapped = Reaction {
            channel: 0,
            emote: emotes.resolve("happy").unwrap(),
            id: ReactionId::from_parts(1_700_000_000_000, [7; 10]),
            id_from_client: false,
            user: b"u\"1",
            received_ms: 1_700_000_000_020,
            tapped_ms: 1_700_000_000_001,
            media_time_ms: None,
            place: None,
        };
        let (at, id) = ("2023-11-14T22:13:20.001Z", "018bcfe5-6800-7707-8707-070707070707");
        let known = [
            (LineShape::Emote, json!({ "emote": "😀", "timestamp": at, "id": id, "channel": "main" })),
            (LineShape::Emoji, json!({ "emoji": "😀", "timestamp": at, "id": id, "channel": "main" })),
            (
                LineShape::EmojiType,
                json!({ "user_id": "u\"1", "emoji_type": "😀", "timestamp": at, "id": id, "channel": "main" }),
            ),
        ];
        for (shape, expected) in known {
            assert_eq!(parsed(&reaction(shape, "main", &tapped, &emotes).unwrap()), expected);
        }
        assert_eq!(reaction(LineShape::Off, "main", &tapped, &emotes), None);
    }

    #[test]
    fn windows_have_the_exact_count_beside_what_is_shown() {
        let emotes = Emotes::new();
        let of = |text: &str, count| EmoteCount {
            emote: emotes.resolve(text).unwrap(),
            count,
            late: 0,
            reactors: count,
        };
        let row = WindowRow {
            channel: main(),
            seq: 9,
            window_start_ms: 4_000,
            window_ms: 2_000,
            emotes: vec![of("happy", 2_401), of("sad", 1)],
            reactors: 2_000,
            unverified: 0,
        };
        let lines = |shape| window(shape, &row, &emotes).iter().map(|line| parsed(line)).collect::<Vec<_>>();
        let line = |field: &str, emote: &str, count: u64, shown: u64| {
            json!({ field: emote, "count": count, "shown": shown, "window_start": "1970-01-01T00:00:04.000Z",
                "window_ms": 2_000, "channel": "main", "seq": 9 })
        };
        assert_eq!(lines(LineShape::Emoji), [line("emoji", "😀", 2_401, 25), line("emoji", "😢", 1, 1)]);
        assert_eq!(
            lines(LineShape::EmojiType),
            [line("emoji_type", "😀", 2_401, 2), line("emoji_type", "😢", 1, 0)]
        );
        let native = lines(LineShape::Native).remove(0);
        assert_eq!(
            (&native["channel"], &native["counts"]["😢"], &native["seq"]),
            (&json!("main"), &json!(1), &json!(9))
        );
        assert_eq!(lines(LineShape::Off), [Value::Null; 0]);
    }

    #[test]
    fn moments_stand_as_system_a_reads_them() {
        let emotes = Emotes::new();
        let row = MomentRow {
            channel: main(),
            seq: 11,
            emote: emotes.resolve("👉").unwrap(),
            window_start_ms: 4_000,
            window_ms: 2_000,
            count: 12,
            strength: 1.2,
            reactors: 3,
            rule: RuleName::PlainCount,
            rule_version: 1,
            media_time_ms: None,
        };
        let at = "1970-01-01T00:00:04.000Z";
        let expected = json!({ "emote": "👉", "count": 12, "timestamp": at, "id": "main:11", "channel": "main", "seq": 11 });
        assert_eq!(parsed(&moment(LineShape::Emote, &row, &emotes).unwrap()), expected);
        let native = parsed(&moment(LineShape::Native, &row, &emotes).unwrap());
        assert!(expected.as_object().unwrap().iter().all(|(name, value)| native[name] == *value), "{native}");
        assert_eq!((&native["rule"], &native["strength"]), (&json!("plain-count"), &json!(1.2)));
        assert_eq!(moment(LineShape::Off, &row, &emotes), None);
    }
}
