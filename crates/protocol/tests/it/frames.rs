//! Viewer frames as a client sees them.

use emostream_protocol::{
    ChannelName, EmoteId, Emotes, Epoch, Palette,
    frame::{self, Hello, Pulse, ViewerMessage},
    input::RejectionKind,
    row::{EmoteCount, WindowRow},
};
use serde_json::{Value, json};

const EPOCH: Epoch = Epoch([0xab; 16]);

fn read(frame: &[u8]) -> Value {
    serde_json::from_slice(frame).unwrap()
}

#[test]
fn hello_names_all_that_a_client_needs() {
    let emotes = Emotes::new();
    let palette = Palette::new(3, &["🔥", ":goal:"], None::<&[&str]>, &[":goal:"], &emotes);
    let palette = palette.unwrap_or_else(|error| panic!("{error}"));
    let hello = Hello {
        channel: "main",
        epoch: EPOCH,
        seq: 449_000_000_000_001,
        server_time_ms: 1_500,
        pulse_ms: 100,
        window_ms: 2_000,
        palette: &palette,
    };
    assert_eq!(
        read(&hello.encode(&emotes)),
        json!({"type": "hello", "channel": "main", "epoch": "abababababababababababababababab", "seq": 449_000_000_000_001u64,
            "server_time": "1970-01-01T00:00:01.500Z", "pulse_ms": 100, "window_ms": 2_000,
            "palette": ["🔥", ":goal:"], "palette_version": 3})
    );
}

#[test]
fn pulses_and_windows_carry_exact_and_shown_counts() {
    let emotes = Emotes::new();
    let fire = emotes.resolve("🔥").unwrap();
    let pulse = Pulse { channel: "main", epoch: EPOCH, seq: 1, start_ms: 0, counts: &[(fire, 123)] };
    let value = read(&pulse.encode(&emotes, |n| n / 10));
    assert_eq!((&value["counts"], &value["shown"]), (&json!({"🔥": 123}), &json!({"🔥": 12})));
    let row = WindowRow {
        channel: ChannelName::new("main").unwrap(),
        seq: 9,
        window_start_ms: 2_000,
        window_ms: 2_000,
        emotes: vec![EmoteCount { emote: fire, count: 5, late: 1, reactors: 4 }],
        reactors: 4,
        unverified: 0,
    };
    let value = read(&frame::encode_window(&row, EPOCH, &emotes, |n| n));
    assert_eq!(
        (&value["total"], &value["reactors"], &value["window_start"]),
        (&json!(5), &json!(4), &json!("1970-01-01T00:00:02.000Z"))
    );
    let item = read(&frame::encode_window_item(&row, &emotes));
    assert_eq!(
        (&item["late_by_emote"], &item["reactors_by_emote"], &item["late"]),
        (&json!({"🔥": 1}), &json!({"🔥": 4}), &json!(1))
    );
}

#[test]
fn a_frame_names_the_most_frequent_emotes_and_sums_up_the_rest() {
    let emotes = Emotes::new();
    let all: Vec<_> = (0u16..200).map(|n| (EmoteId::standard(n).unwrap(), u64::from(n % 100) + 1)).collect();
    let counts =
        |(emote, count): &(EmoteId, u64)| EmoteCount { emote: *emote, count: *count, late: 0, reactors: 1 };
    let row = WindowRow {
        channel: ChannelName::new("main").unwrap(),
        seq: 9,
        window_start_ms: 0,
        window_ms: 2_000,
        emotes: all.iter().map(counts).collect(),
        reactors: 1,
        unverified: 0,
    };
    let mut sorted = all;
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let pulse = Pulse { channel: "main", epoch: EPOCH, seq: 1, start_ms: 0, counts: &sorted };
    for frame in [frame::encode_window(&row, EPOCH, &emotes, |n| n), pulse.encode(&emotes, |n| n)] {
        let value = read(&frame);
        let named: Vec<u64> =
            value["counts"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!((named.len(), named.iter().min()), (48, Some(&77)));
        assert_eq!(
            value["total"].as_u64().unwrap(),
            named.iter().sum::<u64>() + value["others"].as_u64().unwrap()
        );
        assert_eq!(value["total"], json!(10_100));
    }
}

#[test]
fn messages_are_read_or_refused_with_their_id() {
    let ViewerMessage::React(input) =
        ViewerMessage::parse(r#"{"type":"react","emote":"🔥","id":"x"}"#).unwrap();
    assert_eq!(input.emote.0, "🔥");
    for (text, id, field) in [
        (r#"{"type":"react","id":"x"}"#, Some("x"), Some("emote")),
        (r#"{"type":"dance","id":"x"}"#, Some("x"), Some("type")),
        ("{}", None, Some("type")),
        ("nonsense", None, Some("type")),
        (r#"{"type":5}"#, None, Some("type")),
    ] {
        let (found, rejection) = ViewerMessage::parse(text).unwrap_err();
        assert_eq!((found.as_deref(), rejection.field), (id, field), "{text}");
        assert_ne!(rejection.kind, RejectionKind::EmoteUnknown);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _read = ViewerMessage::parse(&text).is_ok();
    }
}
