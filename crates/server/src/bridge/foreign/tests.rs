//! Values as the source systems' producers write them, and what is wrong with others.

use std::sync::Arc;

use emostream_protocol::{
    ChannelName, Emotes,
    input::RejectionKind,
    settings::{PaletteDocument, SettingsDocument},
};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Reading, VALUE_BYTES_MAX};
use crate::channels::{Channels, Published};

/// `main` takes every emoji, `fire` takes 🔥 and `:goal:`, `over` is closed.
fn reading() -> Reading {
    let (channels, emotes) = (Arc::<Channels>::default(), Arc::new(Emotes::new()));
    let fire = PaletteDocument {
        featured: vec!["🔥".into()],
        accepted_emotes: Some(vec!["🔥".into()]),
        custom_emotes: vec![":goal:".into()],
        ..PaletteDocument::default()
    };
    for (name, palette, closed) in [("main", None, false), ("fire", Some(fire), false), ("over", None, true)]
    {
        let default = SettingsDocument::default();
        let document = SettingsDocument { palette: palette.unwrap_or(default.palette.clone()), ..default };
        let published = Published::new(1, document, closed, &emotes).unwrap();
        channels.publish(&ChannelName::new(name).unwrap(), published).unwrap();
    }
    Reading { channels, emotes, channel: ChannelName::new("main").unwrap() }
}

/// Channel, emote, user and time of a value.
fn read(value: &str) -> Result<(String, String, String, Option<i64>), String> {
    let reading = reading();
    let read = reading.read(value.as_bytes());
    read.map(|reaction| {
        let emote = reading.emotes.name(reaction.emote).to_string();
        (reaction.channel.name.to_string(), emote, reaction.user.into_owned(), reaction.tapped_ms)
    })
    .map_err(|rejection| format!("{}: {}", rejection.field.unwrap_or("-"), rejection.detail))
}

fn is(value: &str, channel: &str, emote: &str, user: &str, tapped_ms: Option<i64>) {
    let expected = Ok((channel.to_owned(), emote.to_owned(), user.to_owned(), tapped_ms));
    assert_eq!(read(value), expected, "{value}");
}

const TIME_MS: i64 = 1_743_935_531_123;

#[test]
fn what_each_source_system_writes_is_read() {
    let at = "2025-04-06T10:32:11.123Z";
    is(&format!(r#"{{"emote": "👉", "timestamp": "{at}"}}"#), "main", "👉", "", Some(TIME_MS));
    is(r#"{"emoji":"happy"}"#, "main", "😀", "", None);
    is(&format!(r#"{{"emoji":"sad","timestamp":"{at}"}}"#), "main", "😢", "", Some(TIME_MS));
    let d = format!(r#"{{"user_id":"u-1","emoji_type":"🔥","timestamp":"{at}"}}"#);
    is(&d, "main", "🔥", "u-1", Some(TIME_MS));
    is(r#"{"userId":7,"type":":fire:","time":1743935531.123,"x":[{}]}"#, "main", "🔥", "7", Some(TIME_MS));
    is(r#"{"user":"a\"b","emoji":"\ud83d\udd25","emote":null}"#, "main", "🔥", "a\"b", None);
}

#[test]
fn the_first_name_of_a_field_counts() {
    is(r#"{"type":"sad","emoji":"happy","emoji_type":"🔥","emote":"👏"}"#, "main", "👏", "", None);
    is(r#"{"type":"sad","emoji":"happy","emoji_type":"🔥"}"#, "main", "🔥", "", None);
    is(r#"{"type":"sad","emoji":"happy"}"#, "main", "😀", "", None);
    is(r#"{"emoji":"🔥","user":"c","userId":"b","user_id":"a"}"#, "main", "🔥", "a", None);
    is(r#"{"emoji":"🔥","user":"c","userId":"b","user_id":null}"#, "main", "🔥", "b", None);
    let times = r#"{"emoji":"🔥","time":1000000000,"timestamp":"1970-01-01T00:00:01Z"}"#;
    is(times, "main", "🔥", "", Some(1_000));
}

#[test]
fn a_channel_counts_where_it_exists() {
    is(r#"{"emote":"🔥","channel":"fire"}"#, "fire", "🔥", "", None);
    is(r#"{"emote":":goal:","channel":"fire"}"#, "fire", ":goal:", "", None);
    is(r#"{"emote":"👏","channel":"elsewhere"}"#, "main", "👏", "", None);
    is(r#"{"emote":"👏","channel":5}"#, "main", "👏", "", None);
    assert!(read(r#"{"emote":"👏","channel":"fire"}"#).unwrap_err().contains("that channel fire accepts"));
    assert!(read(r#"{"emote":"👏","channel":"over"}"#).unwrap_err().contains("whose event is not over"));
    assert!(read(r#"{"emote":":goal:"}"#).unwrap_err().contains("that channel main accepts"));
}

#[test]
fn times_have_many_forms() {
    for (form, ms) in [
        (r#""2025-04-06T10:32:11.123456Z""#, TIME_MS),
        (r#""2025-04-06T12:32:11.123+02:00""#, TIME_MS),
        (r#""2025-04-06T10:32:11.123456+00:00""#, TIME_MS),
        (r#""2025-04-06T10:32:11.123""#, TIME_MS),
        (r#""2025-04-06 10:32:11.123456""#, TIME_MS),
        ("1743935531", TIME_MS - 123),
        ("1743935531.123", TIME_MS),
        ("1743935531123", TIME_MS),
        ("1743935531123.9", TIME_MS),
        ("1743935531123456", TIME_MS),
        ("1743935531123456789", TIME_MS),
        (r#""1743935531""#, TIME_MS - 123),
        (r#""1743935531123""#, TIME_MS),
    ] {
        is(&format!(r#"{{"emote":"🔥","timestamp":{form}}}"#), "main", "🔥", "", Some(ms));
    }
    for form in
        ["0", "-1", "999999999", "10000000000", "99999999999", "1e400", "true", "{}", r#""now""#, r#""""#]
    {
        let error = read(&format!(r#"{{"emote":"🔥","time":{form}}}"#)).unwrap_err();
        let named =
            error.starts_with("time: expected a time such as") || error.contains("number out of range");
        assert!(named, "{form}: {error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_field_as_it_was_written() {
    let long = "x".repeat(65);
    for (value, expected) in [
        ("", "-: expected a JSON object such as"),
        ("🔥", "-: expected a JSON object such as"),
        (r#"["🔥"]"#, "-: expected a JSON object such as"),
        (r#"{"emote":"🔥""#, "-: expected a JSON object such as"),
        (r#"{"emote":"🔥","emote":"👏"}"#, "duplicate field `emote`"),
        ("{}", "emote: expected an emote in one of emote, emoji_type, emoji, type"),
        (r#"{"emoji":null}"#, "emote: expected an emote in one of"),
        (r#"{"emoji":"nope"}"#, "emoji: expected an emoji up to Emoji 15.1"),
        (r#"{"emoji_type":17}"#, "emoji_type: expected a string with an emote, got a number"),
        (r#"{"type":["🔥"]}"#, "type: expected a string with an emote, got a list"),
        (r#"{"emote":"🔥","userId":{"id":1}}"#, "userId: expected a string with a user's id, got an object"),
        (r#"{"emote":"🔥","user":"guest:1"}"#, "user: expected a user id that does not begin with"),
        (r#"{"emote":"🔥","user":"a\nb"}"#, "user: expected at most 64 bytes"),
        (&format!(r#"{{"emote":"🔥","user_id":"{long}"}}"#), "user_id: expected at most 64 bytes"),
        (
            &format!(r#"{{"emote":"{long}"}}"#),
            "emote: expected an emoji, an alias or a custom emote of at most",
        ),
        (&format!(r#"{{"emote":"{}"}}"#, "x".repeat(VALUE_BYTES_MAX)), "-: expected at most 65536 bytes"),
    ] {
        let error = read(value).unwrap_err();
        assert!(error.contains(expected), "{value}: {error}");
    }
}

#[test]
fn without_the_channel_nothing_can_be_read() {
    let reading = Reading { channel: ChannelName::new("later").unwrap(), ..reading() };
    assert!(!reading.is_ready());
    let error = reading.read(r#"{"emote":"🔥"}"#.as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.field), (RejectionKind::FieldInvalid, Some("channel")));
    assert!(reading.read(r#"{"emote":"🔥","channel":"main"}"#.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_do_harm(value: Vec<u8>) {
        drop(reading().read(&value));
    }

    #[test]
    fn any_user_and_time_come_back_or_are_refused(user in any::<String>(), ms in 1_000_000_000_000i64..9_999_999_999_999) {
        let value = serde_json::json!({ "emoji": "🔥", "user_id": user, "timestamp": ms }).to_string();
        match read(&value) {
            Ok((_, _, read_user, tapped_ms)) => {
                prop_assert_eq!(read_user, user);
                prop_assert_eq!(tapped_ms, Some(ms));
            }
            Err(error) => prop_assert!(error.starts_with("user_id: "), "{}", error),
        }
    }
}
