//! Log records survive encoding, refuse foreign bytes, and old ones stay readable.

use bytes::Bytes;
use emostream_protocol::{
    ChannelName, ChannelSettings, DecodeError, EmoteId, Emotes, ReactionId,
    record::{
        self, BatchBuilder, BatchHead, LogRecord, NewReaction, Reaction, ReactionBatch, SettingsChange,
        SpoolPosition,
    },
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
        builder.push(&given.channel(), &given.reaction(emotes));
    }
    builder.finish(spool, emotes)
}

impl Given {
    fn channel(&self) -> ChannelName {
        ChannelName::new(&self.channel).unwrap()
    }

    fn reaction(&self, emotes: &Emotes) -> NewReaction<'_> {
        NewReaction {
            emote: emote(self, emotes),
            id: ReactionId::from_parts(self.received_ms, self.id),
            id_from_client: self.client,
            user: &self.user,
            received_ms: self.received_ms,
            tapped_ms: self.tapped_ms,
            media_time_ms: self.media,
        }
    }
}

fn batch<'a>(bytes: &'a [u8], emotes: &Emotes) -> Result<ReactionBatch<'a>, DecodeError> {
    match record::decode(bytes, emotes)? {
        LogRecord::Reactions(batch) => Ok(batch),
        other => panic!("a batch, not {other:?}"),
    }
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
    fn heads_are_read_without_the_rest(
        all in prop::collection::vec(given(), 0..10), spool in prop::option::of((any::<[u8; 16]>(), any::<u64>())),
    ) {
        let spool = spool.map(|(spool, offset)| SpoolPosition { spool, offset });
        let record = build(&all, spool, &Emotes::new());
        let head = BatchHead { spool, placed: None, reactions: all.len() };
        prop_assert_eq!(BatchHead::read(&record), Ok(head));
        // What is behind the head does not matter.
        let emotes = Emotes::new();
        let body: usize = batch(&record, &emotes).unwrap().iter().map(|_| 19).sum();
        prop_assert_eq!(BatchHead::read(&record[..record.len() - body]), Ok(head));
    }

    #[test]
    fn places_survive(
        all in prop::collection::vec((given(), 1u64..1 << 40), 0..40), first: u64, spool: [u8; 16],
    ) {
        let emotes = Emotes::new();
        let mut builder = BatchBuilder::new();
        let mut places = Vec::new();
        for (given, gap) in &all {
            let place = places.last().map_or(Some(first), |last: &u64| last.checked_add(*gap));
            let Some(place) = place else { break };
            builder.push_at(&given.channel(), &given.reaction(&emotes), place);
            places.push(place);
        }
        let placed = builder.finish_placed(spool, &emotes);
        builder.push(&ChannelName::new("main").unwrap(), &fixture_reactions(&emotes)[0]);
        let plain = builder.finish(None, &emotes);

        let read = batch(&placed, &emotes).unwrap();
        prop_assert_eq!((read.placed, read.spool), (Some(spool), None));
        let read: Vec<_> = read.iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.iter().map(|r| r.place).collect::<Vec<_>>(), places.iter().copied().map(Some).collect::<Vec<_>>());
        // But for their places the reactions are those of a plain batch.
        let given: Vec<_> = all[..places.len()].iter().map(|(given, _)| given.clone()).collect();
        let same = build(&given, None, &emotes);
        let same = batch(&same, &emotes).unwrap().iter().collect::<Result<Vec<_>, _>>().unwrap();
        let read: Vec<_> = read.into_iter().map(|reaction| Reaction { place: None, ..reaction }).collect();
        prop_assert_eq!(read, same);
        // The builder begins anew.
        let read = batch(&plain, &emotes).unwrap();
        prop_assert_eq!((read.placed, read.len(), read.iter().next().unwrap().unwrap().place), (None, 1, None));
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
fn only_batches_have_heads() {
    let placed = BatchHead { spool: None, placed: Some([8; 16]), reactions: 2 };
    assert_eq!(BatchHead::read(&placed_fixture()), Ok(placed));
    assert_eq!(BatchHead::read(&record::encode_tick()), Err(DecodeError::Kind(2)));
    assert_eq!(BatchHead::read(&[2, 1, 0]), Err(DecodeError::Version(2)));
    assert_eq!(BatchHead::read(&[1, 1, 4]), Err(DecodeError::Field("header flags")));
    let whole = fixture();
    let head = (0..whole.len()).find(|end| BatchHead::read(&whole[..*end]).is_ok()).unwrap();
    assert_eq!(BatchHead::read(&whole[..head]).unwrap().reactions, 2);
    assert!((0..head).all(|end| BatchHead::read(&whole[..end]) == Err(DecodeError::Truncated)));
}

#[test]
fn places_belong_to_all_reactions_of_a_batch_or_to_none_and_ascend() {
    let emotes = Emotes::new();
    let read = |bytes: &[u8]| batch(bytes, &emotes).unwrap().iter().collect::<Result<Vec<_>, _>>().err();
    let changed = |bytes: &[u8], place: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[place] = byte;
        bytes
    };
    let mut builder = BatchBuilder::new();
    let main = ChannelName::new("main").unwrap();
    let reaction = NewReaction {
        received_ms: 0,
        tapped_ms: None,
        media_time_ms: None,
        user: "",
        ..fixture_reactions(&emotes)[0]
    };
    builder.push_at(&main, &reaction, 3);
    builder.push_at(&main, &reaction, 4);
    let placed = builder.finish_placed([5; 16], &emotes);
    let flags = placed.iter().rposition(|byte| *byte == 33).unwrap();
    assert_eq!((placed[flags], placed[flags + 1]), (33, 1));
    assert_eq!(read(&placed), None);
    assert_eq!(read(&changed(&placed, flags, 1)), Some(DecodeError::Field("reaction flags")));
    assert_eq!(read(&changed(&placed, flags, 33 | 64)), Some(DecodeError::Field("reaction flags")));
    assert_eq!(read(&changed(&placed, flags + 1, 0)), Some(DecodeError::Field("place")));
    builder.push(&main, &reaction);
    let record = builder.finish(None, &emotes);
    let flags = record.len() - 20;
    assert_eq!(record[flags], 1);
    assert_eq!(read(&changed(&record, flags, 33)), Some(DecodeError::Field("reaction flags")));
    builder.push_at(&main, &reaction, u64::MAX - 1);
    builder.push_at(&main, &reaction, u64::MAX);
    let last = builder.finish_placed([5; 16], &emotes);
    let delta = last.iter().rposition(|byte| *byte == 33).unwrap() + 1;
    assert_eq!((read(&last), read(&changed(&last, delta, 2))), (None, Some(DecodeError::Field("place"))));
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

#[test]
fn the_batch_with_places_stays_readable() {
    let bytes = include_bytes!("../fixtures/reactions-v1-placed.bin");
    let emotes = Emotes::new();
    let batch = batch(bytes, &emotes).unwrap();
    let read: Vec<_> = batch.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(
        (&batch.channels[..], batch.placed, batch.spool),
        (&["main", "match-2"][..], Some([8; 16]), None)
    );
    assert_eq!(read.iter().map(|r| r.place).collect::<Vec<_>>(), [Some(1_000), Some(1_300)]);
    assert_eq!(read.iter().map(|r| emotes.name(r.emote).to_string()).collect::<Vec<_>>(), ["🔥", ":goal:"]);
    assert_eq!((read[0].user, read[0].media_time_ms), (&b"ada"[..], Some(81_000)));
    assert_eq!(&placed_fixture()[..], bytes, "the encoding of version 1 changed: give it a new version byte");
}

/// What the fixtures hold; `EMOSTREAM_WRITE_FIXTURES=1` wrote them once.
fn fixture_reactions(emotes: &Emotes) -> [NewReaction<'static>; 2] {
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
    [first, second]
}

fn fixture() -> Bytes {
    let emotes = Emotes::new();
    let [first, second] = fixture_reactions(&emotes);
    let mut builder = BatchBuilder::new();
    builder.push(&ChannelName::new("main").unwrap(), &first);
    builder.push(&ChannelName::new("match-2").unwrap(), &second);
    builder.finish(Some(SpoolPosition { spool: [9; 16], offset: 300 }), &emotes)
}

fn placed_fixture() -> Bytes {
    let emotes = Emotes::new();
    let [first, second] = fixture_reactions(&emotes);
    let mut builder = BatchBuilder::new();
    builder.push_at(&ChannelName::new("main").unwrap(), &first, 1_000);
    builder.push_at(&ChannelName::new("match-2").unwrap(), &second, 1_300);
    builder.finish_placed([8; 16], &emotes)
}

#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURES").is_some() {
        std::fs::write("tests/fixtures/reactions-v1.bin", fixture()).unwrap();
        std::fs::write("tests/fixtures/reactions-v1-placed.bin", placed_fixture()).unwrap();
    }
}
