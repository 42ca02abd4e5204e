//! What an audience and its broadcasters do to the raw log: repeats, skewed clocks, spools, changes of settings, damage. It
//! keeps its own account of what was accepted.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use emostream_log::TopicPartition;
use emostream_protocol::{
    ChannelName, ChannelSettings, Emotes, ReactionId,
    id::home_partition,
    record::{BatchBuilder, NewReaction, SettingsChange, SpoolPosition},
    settings::{MomentRule, PlainRule},
};

use super::{Dice, broker::Broker};

const CHANNELS: [&str; 5] = ["main", "match-1", "b.2", "quiz", "a-longer-name"];
const EMOTES: [&str; 4] = ["🔥", "👏", "😂", ":goal:"];

/// Ids are given again within so long: well within the horizon.
const AGAIN_MS: i64 = 60_000;

#[derive(Clone)]
struct Tap {
    channel: &'static str,
    emote: &'static str,
    id: ReactionId,
    user: String,
    received_ms: i64,
    tapped_ms: i64,
}

pub(super) struct Audience {
    broker: Arc<Broker>,
    raw_topic: Arc<str>,
    raw_partitions: u32,
    emotes: Emotes,
    /// Taps whose clients gave an id, with the time at which the log had them first.
    given: Vec<(i64, Tap)>,
    /// Batches of a spool for each raw partition.
    spooled: Vec<Vec<Bytes>>,
    version: u64,
    /// What counts, by channel and emote.
    pub(super) accepted: BTreeMap<(String, String), u64>,
    pub(super) damaged: usize,
}

impl Audience {
    pub(super) fn new(broker: Arc<Broker>, raw_topic: Arc<str>, raw_partitions: u32) -> Self {
        let emotes = Emotes::new();
        emotes.register_custom(":goal:").unwrap();
        Self {
            broker,
            raw_topic,
            raw_partitions,
            emotes,
            given: Vec::new(),
            spooled: vec![Vec::new(); raw_partitions as usize],
            version: 0,
            accepted: BTreeMap::new(),
            damaged: 0,
        }
    }

    /// Appends something to the raw log.
    pub(super) fn act(&mut self, dice: &mut Dice, now_ms: i64) {
        match dice.below(20) {
            0 => self.change_settings(dice),
            1 => self.damage(dice),
            2..=5 => self.forward_spool(dice, now_ms),
            _ => self.tap(dice, now_ms),
        }
    }

    fn append(&self, partition: u32, record: Bytes) {
        self.broker.append(&TopicPartition::new(self.raw_topic.clone(), partition), vec![record]).unwrap();
    }

    /// Taps of one flush, over the partitions of their ids.
    pub(super) fn tap(&mut self, dice: &mut Dice, now_ms: i64) {
        let mut batches: BTreeMap<u32, BatchBuilder> = BTreeMap::new();
        for _ in 0..=dice.below(12) {
            let recent = self.given.iter().rposition(|(at, _)| now_ms - at > AGAIN_MS).map_or(0, |at| at + 1);
            let again = dice.one_in(4) && recent < self.given.len();
            let (tap, from_client) = if again {
                let known = recent + dice.below(self.given.len() - recent);
                (self.given[known].1.clone(), true)
            } else {
                let tap = new_tap(dice, now_ms);
                let from_client = dice.one_in(2);
                self.accept(&tap);
                if from_client {
                    self.given.push((now_ms, tap.clone()));
                }
                (tap, from_client)
            };
            let partition = tap.id.partition(tap.channel, self.raw_partitions);
            push(batches.entry(partition).or_default(), &tap, from_client, &self.emotes);
        }
        for (partition, mut batch) in batches {
            self.append(partition, batch.finish(None, &self.emotes));
        }
    }

    /// A node forwards what waited in its spool, and sometimes what it had forwarded before.
    fn forward_spool(&mut self, dice: &mut Dice, now_ms: i64) {
        let partition = dice.below(self.raw_partitions as usize) as u32;
        let known = self.spooled[partition as usize].len();
        let from = known.saturating_sub(dice.below(4));
        for repeated in from..known {
            self.append(partition, self.spooled[partition as usize][repeated].clone());
        }
        let mut batch = BatchBuilder::new();
        while batch.len() < 3 {
            let received_ms = now_ms - dice.between(0, 20_000);
            let tap = new_tap(dice, received_ms);
            if tap.id.partition(tap.channel, self.raw_partitions) == partition {
                self.accept(&tap);
                push(&mut batch, &tap, false, &self.emotes);
            }
        }
        let position = SpoolPosition { spool: [partition as u8; 16], offset: known as u64 * 2 };
        let record = batch.finish(Some(position), &self.emotes);
        self.spooled[partition as usize].push(record.clone());
        self.append(partition, record);
    }

    fn change_settings(&mut self, dice: &mut Dice) {
        // Control says again what holds now and then.
        self.version += u64::from(!dice.one_in(3));
        let rule = PlainRule { threshold: [2.0, 0.4][dice.below(2)], interval: 5 };
        let settings = ChannelSettings {
            version: self.version,
            rule: MomentRule::Plain(rule),
            ..ChannelSettings::default()
        };
        let channel = CHANNELS[dice.below(CHANNELS.len())];
        let change = SettingsChange { channel: ChannelName::new(channel).unwrap(), settings };
        self.append(home_partition(channel, self.raw_partitions), change.encode());
    }

    /// A record that nobody can read.
    fn damage(&mut self, dice: &mut Dice) {
        self.damaged += 1;
        let partition = dice.below(self.raw_partitions as usize) as u32;
        self.append(partition, Bytes::from_static(&[1, 3, 255, 255]));
    }

    fn accept(&mut self, tap: &Tap) {
        *self.accepted.entry((tap.channel.to_owned(), tap.emote.to_owned())).or_default() += 1;
    }
}

fn new_tap(dice: &mut Dice, received_ms: i64) -> Tap {
    let mut random = [0; 10];
    random.iter_mut().for_each(|byte| *byte = dice.next() as u8);
    Tap {
        channel: CHANNELS[dice.below(CHANNELS.len()).min(dice.below(CHANNELS.len()))],
        emote: EMOTES[dice.below(EMOTES.len()).min(dice.below(EMOTES.len()))],
        id: ReactionId::from_parts(received_ms - dice.between(-2_000, 5_000), random),
        user: if dice.one_in(5) { String::new() } else { format!("user-{}", dice.below(300)) },
        received_ms,
        tapped_ms: received_ms + dice.between(-3_000, 1_000),
    }
}

fn push(batch: &mut BatchBuilder, tap: &Tap, id_from_client: bool, emotes: &Emotes) {
    let reaction = NewReaction {
        emote: emotes.resolve(tap.emote).unwrap(),
        id: tap.id,
        id_from_client,
        user: &tap.user,
        received_ms: tap.received_ms,
        tapped_ms: Some(tap.tapped_ms),
        media_time_ms: None,
    };
    batch.push(&ChannelName::new(tap.channel).unwrap(), &reaction);
}
