//! The role with topics in memory: what comes out when everything that can fail does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_log::{
    Clock, Generation, Log, ManualClock, Record, TopicPartition, foreign::ForeignLine, memory::MemoryLog,
};
use emostream_moments::StreamParameters;
use emostream_protocol::{
    ChannelName, Emotes, ReactionId,
    record::{self, BatchBuilder, LogRecord, NewReaction, SpoolId, SpoolPosition},
    row::{EmoteCount, Row, WindowRow},
    settings::SettingsDocument,
};
use serde_json::Value;
use tokio::runtime::Handle;

use super::{Components, Handles, start};
use crate::{
    channels::{Channels, Published},
    config::{BridgeConfig, LineShape, ProjectorConfig, TopicsConfig},
    output::Output,
    tasks::Tasks,
    telemetry::{Labelled, Metrics},
};

mod faulty;
mod theirs;

use faulty::FaultyLog;
use theirs::Theirs;

const NOW_MS: i64 = 1_800_000_000_000;

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// A node with the role, and the log and topics that it stands between.
struct Bridged {
    theirs: Theirs,
    log: Arc<FaultyLog>,
    clock: Arc<ManualClock>,
    components: Components,
    tasks: Tasks,
}

impl Bridged {
    fn new(topics: &[(&str, u32)], seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let generation = Generation { id: [9; 16], parameters: BTreeMap::new() };
        let own = [("emote-log", 3), ("emote-output", 2), ("dead-letter", 1)];
        let log = Arc::new(FaultyLog {
            log: MemoryLog::new(generation, &own, clock.clone()),
            dice: Mutex::new(Dice(seed ^ 0xfa17)),
            troubles: AtomicBool::new(false),
        });
        let theirs = Theirs::new(topics, seed);
        let (channels, emotes) = (Arc::<Channels>::default(), Arc::new(Emotes::new()));
        let main = ChannelName::new("main").unwrap();
        for name in ["main", "other"] {
            let published = Published::new(1, SettingsDocument::default(), false, &emotes).unwrap();
            channels.publish(&ChannelName::new(name).unwrap(), published).unwrap();
        }
        let components = Components {
            log: log.clone(),
            topics: Arc::new(theirs.clone()),
            raw_topic: "emote-log".into(),
            output: Output::new(&*log, "emote-output").unwrap(),
            dead_letter: TopicPartition::new("dead-letter", 0),
            parameters: StreamParameters::default(),
            channel: main,
            member: "one".into(),
            emotes,
            channels,
            metrics: Arc::new(Metrics::default()),
            clock: clock.clone(),
        };
        Self { theirs, log, clock, components, tasks: Tasks::new(Handle::current()) }
    }

    fn set_troubles(&self, troubles: bool) {
        self.theirs.lock().troubles = troubles;
        self.log.troubles.store(troubles, Ordering::SeqCst);
    }

    fn start(&self, projector: &ProjectorConfig) -> Handles {
        let topics = TopicsConfig { raw: "emoji".into(), ..TopicsConfig::default() };
        start(&BridgeConfig::default(), projector, &topics, &self.components, &self.tasks).unwrap()
    }

    fn start_bridge(&self) -> Handles {
        let off = LineShape::Off;
        self.start(&ProjectorConfig {
            raw_shape: off,
            windows_shape: off,
            moments_shape: off,
            ..ProjectorConfig::default()
        })
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                assert!(!self.tasks.has_failed(), "{}", self.tasks.failed().await);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap_or_else(|_| panic!("in vain: {what}"));
    }

    fn all(&self, topic: &str) -> Vec<(TopicPartition, Record)> {
        let partitions = (0..self.log.log.partitions(topic).unwrap()).map(|n| TopicPartition::new(topic, n));
        let read = |partition: TopicPartition| {
            let records = self.log.log.read(&partition, 0, usize::MAX).unwrap().records;
            records.into_iter().map(move |record| (partition.clone(), record))
        };
        partitions.flat_map(read).collect()
    }

    /// What counting takes of the raw log: of each spool and partition, places beyond the highest before.
    fn counted(&self) -> Vec<Counted> {
        let mut highest: BTreeMap<(TopicPartition, SpoolId), u64> = BTreeMap::new();
        let mut counted = Vec::new();
        for (partition, record) in self.all("emote-log") {
            let LogRecord::Reactions(batch) = record::decode(&record.value, &self.components.emotes).unwrap()
            else {
                continue;
            };
            let spool = batch.placed.unwrap();
            for reaction in batch.iter().map(Result::unwrap) {
                let place = reaction.place.unwrap();
                let seen = highest.entry((partition.clone(), spool)).or_default();
                if place > *seen {
                    *seen = place;
                    counted.push(Counted {
                        spool,
                        place,
                        id: reaction.id,
                        user: String::from_utf8(reaction.user.to_vec()).unwrap(),
                        channel: batch.channels[reaction.channel].to_owned(),
                        received_ms: reaction.received_ms,
                    });
                }
            }
        }
        counted
    }

    fn dead_letters(&self) -> Vec<Value> {
        let lines = self.all("dead-letter");
        lines.iter().map(|(_, record)| serde_json::from_slice(&record.value).unwrap()).collect()
    }

    fn metric(&self, kind: &'static str) -> u64 {
        self.components.metrics.bridge_records.get_or_create(&Labelled { kind }).get()
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Counted {
    spool: SpoolId,
    place: u64,
    id: ReactionId,
    user: String,
    channel: String,
    received_ms: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_counts_once_whatever_fails() {
    for seed in 0..12 {
        let node = Bridged::new(&[("emoji", 4)], seed);
        node.set_troubles(true);
        let mut dice = Dice(seed);
        let mut expected = BTreeSet::new();
        let mut unreadable = BTreeSet::new();
        let handles = node.start_bridge();
        for number in 0..1_500 {
            let (partition, user) = (dice.below(4) as u32, format!("u{number}"));
            let (value, is_own) = match dice.below(20) {
                0 => ("{\"emoji\":\"nope\"}".to_owned(), false),
                1 => (format!("{{\"emoji\":\"🔥\",\"user\":\"{user}\"}}"), true),
                _ => (format!("{{\"emoji\":\"🔥\",\"user\":\"{user}\"}}"), false),
            };
            match (value.contains("nope"), is_own) {
                (true, _) => drop(unreadable.insert(number)),
                (false, false) => drop(expected.insert(user)),
                (false, true) => {}
            }
            node.theirs.write("emoji", partition, NOW_MS - 10_000, &value, is_own);
            if dice.one_in(300) {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        // Some rounds with troubles, then an end that can be reached.
        let readers = || node.theirs.lock().readers;
        node.until("a reader was thrown out", || readers() > 1 || node.theirs.is_done()).await;
        node.set_troubles(false);
        node.until("everything is taken", || node.theirs.is_done()).await;
        handles.stop().await;

        let counted = node.counted();
        let users: BTreeSet<_> = counted.iter().map(|reaction| reaction.user.clone()).collect();
        assert_eq!((users.len(), counted.len()), (expected.len(), expected.len()), "seed {seed}");
        assert_eq!(users, expected, "seed {seed}");
        let ids: BTreeSet<_> = counted.iter().map(|reaction| reaction.id).collect();
        assert_eq!(ids.len(), counted.len(), "an id of two records");
        let named: BTreeSet<_> = node
            .dead_letters()
            .iter()
            .map(|line| (line["partition"].as_u64().unwrap(), line["offset"].as_u64().unwrap()))
            .collect();
        assert_eq!(named.len(), unreadable.len(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_named_and_ours_is_left_out() {
    let node = Bridged::new(&[("emoji", 1)], 1);
    let long = format!("{{\"emoji\":\"nope\",\"x\":\"{}\"}}", "é".repeat(2_000));
    for value in [
        "{\"emoji\":\"sad\"}",
        "{\"emoji\":17}",
        "not json",
        &long,
        "{\"emote\":\"👏\",\"channel\":\"other\"}",
    ] {
        node.theirs.write("emoji", 0, NOW_MS - 60_000, value, false);
    }
    node.theirs.write("emoji", 0, NOW_MS, "{\"emote\":null}", true);
    let handles = node.start_bridge();
    node.until("everything is taken", || node.theirs.is_done()).await;
    handles.stop().await;
    let counted = node.counted();
    let told: Vec<_> = counted.iter().map(|one| (one.place, &*one.channel, one.received_ms)).collect();
    assert_eq!(told, [(3, "main", NOW_MS - 60_000), (11, "other", NOW_MS - 60_000)]);
    let letters = node.dead_letters();
    let reasons: Vec<_> = letters.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert!(reasons[0] == "emoji: expected a string with an emote, got a number", "{reasons:?}");
    assert!(reasons[1].starts_with("expected a JSON object such as"), "{reasons:?}");
    assert!(reasons[2].starts_with("emoji: expected an emoji up to"), "{reasons:?}");
    let first = &letters[0];
    assert_eq!(
        (&first["topic"], &first["partition"], &first["offset"]),
        (&"emoji".into(), &0.into(), &5.into())
    );
    assert_eq!((&first["value"], &first["value_bytes"]), (&"{\"emoji\":17}".into(), &12.into()));
    assert_eq!(first["time"], "2027-01-15T07:59:00.000Z");
    let cut = letters[2]["value"].as_str().unwrap();
    assert!(cut.len() <= 1_024 + 3 && letters[2]["value_bytes"] == long.len(), "{}", cut.len());
    assert_eq!((node.metric("bridged"), node.metric("own"), node.metric("dead-letter")), (2, 1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_it_reads_is_not_late_whatever_its_producers_clock_says() {
    let node = Bridged::new(&[("emoji", 1)], 1);
    node.theirs.write("emoji", 0, NOW_MS - 5_000, "{\"emoji\":\"🔥\"}", false);
    let handles = node.start_bridge();
    node.until("the first is taken", || node.theirs.is_done()).await;
    // An hour ahead, and an hour behind.
    for wrong_ms in [3_600_000, -3_600_000] {
        node.clock.advance(700);
        node.theirs.write("emoji", 0, node.clock.now_ms() + wrong_ms, "{\"emoji\":\"🔥\"}", false);
        node.until("it is taken", || node.theirs.is_done()).await;
    }
    handles.stop().await;
    let received: Vec<_> = node.counted().iter().map(|one| one.received_ms - NOW_MS).collect();
    assert_eq!(received, [-5_000, 700, 1_400]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_before_the_channel_exists() {
    let node = Bridged::new(&[("emoji", 1)], 1);
    let components = Components { channel: ChannelName::new("later").unwrap(), ..node.components.clone() };
    node.theirs.write("emoji", 0, NOW_MS, "{\"emoji\":\"🔥\"}", false);
    let off = LineShape::Off;
    let projector = ProjectorConfig {
        raw_shape: off,
        windows_shape: off,
        moments_shape: off,
        ..ProjectorConfig::default()
    };
    let topics = TopicsConfig { raw: "emoji".into(), ..TopicsConfig::default() };
    let handles = start(&BridgeConfig::default(), &projector, &topics, &components, &node.tasks).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((node.theirs.lock().readers, node.dead_letters().len()), (0, 0));
    let published = Published::new(1, SettingsDocument::default(), false, &components.emotes).unwrap();
    components.channels.publish(&components.channel, published).unwrap();
    node.until("it is taken", || node.theirs.is_done()).await;
    handles.stop().await;
    assert_eq!(node.counted()[0].channel, "later");
}

/// A batch of taps of a channel, as ingest appends them.
fn batch(node: &Bridged, channel: &str, taps: &[&str], spool: Option<SpoolPosition>) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    let channel = ChannelName::new(channel).unwrap();
    for (number, emote) in taps.iter().enumerate() {
        let tap = NewReaction {
            emote: node.components.emotes.resolve(emote).unwrap(),
            id: ReactionId::from_parts(NOW_MS, [number as u8; 10]),
            id_from_client: false,
            user: "u",
            received_ms: NOW_MS,
            tapped_ms: Some(NOW_MS - 5),
            media_time_ms: None,
        };
        builder.push(&channel, &tap);
    }
    builder.finish(spool, &node.components.emotes)
}

fn window(node: &Bridged, channel: &str, seq: u64, count: u64) -> bytes::Bytes {
    let emote = node.components.emotes.resolve("🔥").unwrap();
    let row = WindowRow {
        channel: ChannelName::new(channel).unwrap(),
        seq,
        window_start_ms: NOW_MS,
        window_ms: 2_000,
        emotes: vec![EmoteCount { emote, count, late: 0, reactors: 1 }],
        reactors: 1,
        unverified: 0,
    };
    Row::Window(row).encode(&node.components.emotes)
}

async fn append(node: &Bridged, topic: &str, partition: u32, values: Vec<bytes::Bytes>) {
    node.log.log.append(&TopicPartition::new(topic, partition), values).await.unwrap();
}

fn values(lines: &[ForeignLine], topic: &str) -> Vec<Value> {
    let of_topic = lines.iter().filter(|line| &*line.topic == topic);
    of_topic.map(|line| serde_json::from_slice(&line.value).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_projector_writes_what_came_here_in_the_words_of_the_preset() {
    let node = Bridged::new(&[("emoji", 1)], 1);
    node.theirs.write("emoji", 0, NOW_MS, "{\"emoji\":\"sad\"}", false);
    let spool = |offset| Some(SpoolPosition { spool: [4; 16], offset });
    append(&node, "emote-log", 1, vec![batch(&node, "main", &["🔥", "👏"], spool(7)), record::encode_tick()])
        .await;
    append(&node, "emote-log", 1, vec![batch(&node, "main", &["🔥", "👏"], spool(7))]).await;
    append(&node, "emote-log", 1, vec![batch(&node, "other", &["🔥"], spool(8))]).await;
    let rows = [window(&node, "main", 9, 450), window(&node, "main", 9, 450), window(&node, "other", 10, 1)];
    let home = node.components.output.of("main").partition;
    append(&node, "emote-output", home, rows[..2].to_vec()).await;
    append(&node, "emote-output", node.components.output.of("other").partition, vec![rows[2].clone()]).await;
    let handles = node.start(&ProjectorConfig {
        raw_shape: LineShape::Emoji,
        windows_shape: LineShape::Emoji,
        moments_shape: LineShape::Off,
        windows_also: vec!["publisher-emojis".into()],
        counting_topic: "counting".into(),
        ticks: false,
        ..ProjectorConfig::default()
    });
    node.until("everything is taken", || node.theirs.is_done()).await;
    // What is in the log when it stops is written before it ends.
    handles.stop().await;

    let lines = node.theirs.lock().lines.clone();
    let emojis: Vec<_> = values(&lines, "emoji").iter().map(|line| line["emoji"].clone()).collect();
    assert_eq!(emojis, ["🔥", "👏"], "bridged ones, other channels' and repeats are not in it");
    assert!(lines.iter().all(|line| &*line.topic != "emoji" || line.partition == Some(1)));
    for topic in ["emote-windows", "publisher-emojis"] {
        let windows = values(&lines, topic);
        assert_eq!(windows.len(), 1, "{windows:?}");
        let line = &windows[0];
        assert_eq!((&line["emoji"], &line["count"], &line["shown"]), (&"🔥".into(), &450.into(), &5.into()));
    }
    let counting = values(&lines, "counting");
    let told: BTreeSet<_> = counting
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (text("channel"), text("emote"), line["forwarded_before"].as_bool().unwrap_or(false))
        })
        .collect();
    let line = |channel: &str, emote: &str, again| (channel.to_owned(), emote.to_owned(), again);
    let expected = [
        line("-", "-", false),
        line("main", "🔥", false),
        line("main", "👏", false),
        line("main", "🔥", true),
        line("main", "👏", true),
        line("other", "🔥", false),
        line("main", "😢", false),
    ];
    assert_eq!((told, counting.len()), (expected.into(), 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_left_out_or_out_of_order_whatever_fails() {
    for seed in 0..8 {
        let node = Bridged::new(&[("emoji", 1)], seed);
        let mut dice = Dice(seed);
        let mut expected: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
        let mut seqs = Vec::new();
        let mut handles = None;
        for number in 0..60u64 {
            // Stopped without warning and started again, with failures in between.
            if number % 15 == 0 {
                node.set_troubles(true);
                if let Some(handles) = handles.take() {
                    Handles::stop(&handles).await;
                }
                handles =
                    Some(node.start(&ProjectorConfig {
                        moments_shape: LineShape::Off,
                        ..ProjectorConfig::default()
                    }));
            }
            let partition = dice.below(3) as u32;
            let offset = node.log.log.bounds(&TopicPartition::new("emote-log", partition)).unwrap().end;
            let spool = Some(SpoolPosition { spool: [4; 16], offset: number });
            append(&node, "emote-log", partition, vec![batch(&node, "main", &["🔥"], spool)]).await;
            expected.entry(partition).or_default().push((offset, "🔥".into()));
            let home = node.components.output.of("main").partition;
            append(&node, "emote-output", home, vec![window(&node, "main", number + 1, 1)]).await;
            seqs.push(number + 1);
            node.clock.advance(40);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        node.set_troubles(false);
        handles.unwrap().stop().await;

        let lines = node.theirs.lock().lines.clone();
        let mut first: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
        let mut append_times = BTreeMap::new();
        for line in values(&lines, "emoji") {
            let (partition, offset) =
                (line["partition"].as_u64().unwrap() as u32, line["offset"].as_u64().unwrap());
            assert_eq!(
                line.get("forwarded_before"),
                None,
                "a line that is written again is not a record that is"
            );
            let known =
                append_times.entry((partition, offset)).or_insert_with(|| line["append_time"].clone());
            assert_eq!(*known, line["append_time"], "the same line both times");
            let seen = first.entry(partition).or_default();
            if seen.last().is_none_or(|(last, _)| offset > *last) {
                seen.push((offset, line["emote"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(first, expected, "seed {seed}");
        let mut windows = Vec::new();
        for line in values(&lines, "emote-windows") {
            let seq = line["seq"].as_u64().unwrap();
            if windows.last().is_none_or(|last| seq > *last) {
                windows.push(seq);
            }
        }
        assert_eq!(windows, seqs, "seed {seed}");
    }
}
