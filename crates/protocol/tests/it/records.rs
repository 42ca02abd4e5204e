//! Log records survive encoding, refuse foreign bytes, and old ones stay readable.

use bytes::Bytes;
use emostream_protocol::{
    ChannelName, ChannelSettings, DecodeError, EmoteId, Emotes, ReactionId,
    record::{self, BatchBuilder, LogRecord, NewReaction, SettingsChange, SpoolPosition},
    settings::{MomentRule, PlainRule},
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

#[derive(Debug, Clone)]
struct Given {
    channel: String,
    emote: u16,
    custom: Option<String>,
    id: [u8; 10],
    client: bool,
    user: String,
    received_ms: i64,
    tapped_ms: Option<i64>,
    media: Option<u64>,
}

fn given() -> impl Strategy<Value = Given> {
    (
        "[a-z][a-z0-9._-]{0,10}",
        0u16..1_800,
        prop::option::of("[a-z]{1,5}"),
        any::<[u8; 10]>(),
        any::<bool>(),
        "[a-zé🔥]{0,12}",
        1_700_000_000_000i64..1_800_000_000_000,
        prop::option::of(0i64..2_000_000_000_000),
        prop::option::of(0u64..1_000_000_000),
    )
        .prop_map(|(channel, emote, custom, id, client, user, received_ms, tapped_ms, media)| Given {
            channel,
            emote,
            custom,
            id,
            client,
            user,
            received_ms,
            tapped_ms,
            media,
        })
}

fn emote(given: &Given, emotes: &Emotes) -> EmoteId {
    match &given.custom {
        Some(name) => emotes.register_custom(&format!(":{name}:")).unwrap(),
        None => EmoteId::standard(given.emote).unwrap(),
    }
}

fn build(all: &[Given], spool: Option<SpoolPosition>, emotes: &Emotes) -> Bytes {
    let mut builder = BatchBuilder::new();
    for given in all {
        let reaction = NewReaction {
            emote: emote(given, emotes),
            id: ReactionId::from_parts(given.received_ms, given.id),
            id_from_client: given.client,
            user: &given.user,
            received_ms: given.received_ms,
            tapped_ms: given.tapped_ms,
            media_time_ms: given.media,
        };
        builder.push(&ChannelName::new(&given.channel).unwrap(), &reaction);
    }
    builder.finish(spool, emotes)
}

proptest! {
    #[test]
    fn batches_survive(all in prop::collection::vec(given(), 0..40), spool in prop::option::of((any::<[u8; 16]>(), any::<u64>()))) {
        let spool = spool.map(|(spool, offset)| SpoolPosition { spool, offset });
        let bytes = build(&all, spool, &Emotes::new());
        // Another process: custom emotes get their own numbers, names stay.
        let emotes = Emotes::new();
        emotes.register_custom(":other:").unwrap();
        let LogRecord::Reactions(batch) = record::decode(&bytes, &emotes).unwrap() else { panic!("a batch") };
        prop_assert_eq!(batch.len(), all.len());
        prop_assert_eq!(batch.spool, spool);
        let read: Vec<_> = batch.iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), all.len());
        for (read, given) in read.iter().zip(&all) {
            prop_assert_eq!(batch.channels[read.channel], &given.channel);
            prop_assert_eq!(&*emotes.name(read.emote), &*emotes.name(emote(given, &emotes)));
            prop_assert_eq!(read.id, ReactionId::from_parts(given.received_ms, given.id));
            prop_assert_eq!(read.id_from_client, given.client);
            prop_assert_eq!(read.user, given.user.as_bytes());
            prop_assert_eq!(read.received_ms, given.received_ms);
            prop_assert_eq!(read.tapped_ms, given.tapped_ms.unwrap_or(given.received_ms));
            prop_assert_eq!(read.media_time_ms, given.media);
        }
    }

    #[test]
    fn damaged_batches_end_in_an_error_or_other_values_but_never_panic(
        all in prop::collection::vec(given(), 1..5), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let mut bytes = build(&all, None, &Emotes::new()).to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(LogRecord::Reactions(batch)) = record::decode(&bytes, &Emotes::new()) {
            let read = batch.iter().count();
            prop_assert!(read <= batch.len() + 1);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
        let _decoded = record::decode(&bytes, &Emotes::new()).map(|record| match record {
            LogRecord::Reactions(batch) => batch.iter().count(),
            _ => 0,
        });
    }
}

#[test]
fn settings_and_ticks_survive() {
    let change = SettingsChange {
        channel: ChannelName::new("main").unwrap(),
        settings: ChannelSettings {
            version: 7,
            rule: MomentRule::Plain(PlainRule { threshold: 12.5, interval: 50 }),
            allowed_emotes: Some(vec!["🔥".into()]),
        },
    };
    let emotes = Emotes::new();
    assert!(
        matches!(record::decode(&change.encode(), &emotes), Ok(LogRecord::Settings(read)) if read == change)
    );
    assert!(matches!(record::decode(&record::encode_tick(), &emotes), Ok(LogRecord::Tick)));
}

#[test]
fn newer_versions_and_kinds_are_named() {
    let emotes = Emotes::new();
    assert_eq!(record::decode(&[2, 1], &emotes).err(), Some(DecodeError::Version(2)));
    assert_eq!(record::decode(&[1, 99], &emotes).err(), Some(DecodeError::Kind(99)));
    assert_eq!(record::decode(&[1, 2, 0], &emotes).err(), Some(DecodeError::Trailing(1)));
    assert_eq!(record::decode(&[1, 1, 4], &emotes).err(), Some(DecodeError::Field("header flags")));
}

#[test]
fn the_record_written_by_version_1_stays_readable() {
    let bytes = include_bytes!("../fixtures/reactions-v1.bin");
    let emotes = Emotes::new();
    let LogRecord::Reactions(batch) = record::decode(bytes, &emotes).unwrap() else { panic!("a batch") };
    let read: Vec<_> = batch.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(batch.channels, ["main", "match-2"]);
    assert_eq!(batch.spool, Some(SpoolPosition { spool: [9; 16], offset: 300 }));
    assert_eq!(read.iter().map(|r| emotes.name(r.emote).to_string()).collect::<Vec<_>>(), ["🔥", ":goal:"]);
    assert_eq!(read[0].user, b"ada");
    assert_eq!((read[0].tapped_ms, read[0].media_time_ms), (1_759_999_999_000, Some(81_000)));
    assert_eq!((read[1].received_ms, read[1].id_from_client), (1_760_000_000_005, false));
    assert_eq!(&fixture()[..], bytes, "the encoding of version 1 changed: give it a new version byte");
}

/// What the fixture holds; `EMOSTREAM_WRITE_FIXTURES=1` wrote it once.
fn fixture() -> Bytes {
    let emotes = Emotes::new();
    let first = NewReaction {
        emote: emotes.resolve("🔥").unwrap(),
        id: ReactionId::from_parts(1_760_000_000_000, [1; 10]),
        id_from_client: true,
        user: "ada",
        received_ms: 1_760_000_000_000,
        tapped_ms: Some(1_759_999_999_000),
        media_time_ms: Some(81_000),
    };
    let second = NewReaction {
        emote: emotes.register_custom(":goal:").unwrap(),
        id: ReactionId::from_parts(1_760_000_000_005, [2; 10]),
        id_from_client: false,
        user: "",
        received_ms: 1_760_000_000_005,
        tapped_ms: None,
        media_time_ms: None,
    };
    let mut builder = BatchBuilder::new();
    builder.push(&ChannelName::new("main").unwrap(), &first);
    builder.push(&ChannelName::new("match-2").unwrap(), &second);
    builder.finish(Some(SpoolPosition { spool: [9; 16], offset: 300 }), &emotes)
}

#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURES").is_some() {
        std::fs::write("tests/fixtures/reactions-v1.bin", fixture()).unwrap();
    }
}
