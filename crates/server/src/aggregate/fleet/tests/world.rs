//! A fleet as a test drives it: nodes on one broker, a clock, and the two ways to count what the raw log holds.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use emostream_log::{Clock, ManualClock, Record, TopicPartition};
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    Emotes,
    record::{self, LogRecord},
    row::Row,
};

use super::{
    super::{Components, Topics, Turn, count::Count, merge::Merging},
    Dice,
    audience::Audience,
    broker::{Broker, NodeLog},
};
use crate::telemetry::Metrics;

pub(super) const START_MS: i64 = 1_700_000_000_000;
pub(super) const HORIZON_MS: u32 = 125_000;

/// More turns than anything here takes: who needs them is caught in a loop.
const TURNS_MAX: usize = 20_000;

pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) broker: Arc<Broker>,
    pub(super) audience: Audience,
    pub(super) raw_partitions: u32,
    pub(super) output_partitions: u32,
    /// Where nodes that join from now on cut steps.
    pub(super) part_bytes: usize,
    started: usize,
}

/// A node that counts and merges.
pub(super) struct Node {
    pub(super) log: Arc<NodeLog>,
    pub(super) count: Option<Count>,
    pub(super) merge: Option<Merging>,
    pub(super) stopping: bool,
    pub(super) metrics: Arc<Metrics>,
}

/// Rows of each channel, encoded.
pub(super) type Rows = BTreeMap<String, Vec<Bytes>>;

pub(super) fn parameters() -> StreamParameters {
    StreamParameters::new(2_000, 500, HORIZON_MS).unwrap()
}

impl World {
    pub(super) fn new(raw_partitions: u32, output_partitions: u32) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        let topics = [
            ("raw", raw_partitions),
            ("partials", output_partitions),
            ("output", output_partitions),
            ("state", 1),
            ("pulses", output_partitions),
            ("dead", 1),
        ];
        let broker = Broker::new(&topics, "state", clock.clone());
        let audience = Audience::new(broker.clone(), "raw".into(), raw_partitions);
        Self { clock, broker, audience, raw_partitions, output_partitions, part_bytes: 1 << 19, started: 0 }
    }

    /// Starts a node, which joins both groups.
    pub(super) fn join(&mut self) -> Node {
        self.started += 1;
        let log = NodeLog::new(&self.broker);
        let topics = Topics {
            raw: "raw".into(),
            partials: "partials".into(),
            output: "output".into(),
            state: "state".into(),
            pulses: "pulses".into(),
            dead_letter: "dead".into(),
        };
        // Nodes know custom emotes under ids of their own.
        let emotes = Arc::new(Emotes::new());
        for other in 0..self.started % 3 {
            emotes.register_custom(&format!(":other-{other}:")).unwrap();
        }
        let components = Components {
            log: log.clone(),
            topics,
            member: format!("node-{}", self.started).into(),
            remembered_ids_max: u64::MAX,
            parameters: parameters(),
            emotes,
            pressure: Arc::default(),
            metrics: Arc::default(),
            clock: self.clock.clone(),
        };
        let count = Some(Count::new(&components).unwrap().cut_at(self.part_bytes));
        let merge = Some(Merging::new(&components).unwrap());
        Node { log, count, merge, stopping: false, metrics: components.metrics }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn records(&self, topic: &str, partition: u32) -> Vec<Record> {
        self.broker.everything(&TopicPartition::new(topic, partition))
    }

    /// Drives healthy nodes until none has anything left to do at this time.
    pub(super) fn settle(&self, nodes: &mut [Node]) {
        for _ in 0..TURNS_MAX {
            let mut is_busy = false;
            for node in nodes.iter_mut() {
                node.log.hear();
                is_busy |= node.turn_count() == Some(Turn::Busy);
                is_busy |= node.turn_merge() == Some(Turn::Busy);
                is_busy |= !node.log.busy().is_empty();
                node.log.deliver_all();
            }
            if !is_busy {
                return;
            }
        }
        panic!("the fleet does not come to rest");
    }

    /// Lets time pass in small steps, as healthy nodes live it.
    pub(super) fn pass(&self, nodes: &mut [Node], ms: i64) {
        let until_ms = self.now_ms() + ms;
        while self.now_ms() < until_ms {
            self.clock.advance(50);
            self.settle(nodes);
        }
    }

    /// Stops nodes gracefully, all counts before the first merge, so that all that was counted is merged.
    pub(super) fn stop(&self, mut nodes: Vec<Node>) {
        self.settle(&mut nodes);
        nodes.iter_mut().for_each(|node| node.stopping = true);
        self.settle_counts(&mut nodes);
        self.settle(&mut nodes);
        let has_stopped = |node: &Node| node.count.is_none() && node.merge.is_none();
        assert!(nodes.iter().all(has_stopped), "a node does not stop");
    }

    /// Drives counts only.
    fn settle_counts(&self, nodes: &mut [Node]) {
        for _ in 0..TURNS_MAX {
            if nodes.iter().all(|node| node.count.is_none()) {
                return;
            }
            for node in nodes.iter_mut() {
                node.turn_count();
                node.log.deliver_all();
            }
        }
        panic!("counting does not stop");
    }

    /// What one process makes of the raw log.
    pub(super) fn expected(&self) -> Rows {
        let emotes = Arc::new(Emotes::new());
        let mut aggregate = Aggregate::new(parameters(), self.raw_partitions as usize, emotes.clone(), 3);
        let mut output = AggregateOutput::default();
        for partition in 0..self.raw_partitions {
            for record in self.records("raw", partition) {
                let (index, at_ms) = (partition as usize, record.append_time_ms);
                let observed = match record::decode(&record.value, &emotes) {
                    Ok(decoded) => aggregate.observe(index, at_ms, &decoded, &mut output),
                    Err(_) => aggregate.observe(index, at_ms, &LogRecord::Tick, &mut output),
                };
                observed.unwrap();
            }
        }
        let mut rows = Rows::new();
        for row in &output.rows {
            rows.entry(row.channel().to_string()).or_default().push(row.encode(&emotes));
        }
        rows
    }

    /// What the output says: of repeated sequences the first.
    pub(super) fn found(&self) -> Rows {
        let emotes = Emotes::new();
        let mut rows = Rows::new();
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        for partition in 0..self.output_partitions {
            for record in self.records("output", partition) {
                let row = Row::decode(&record.value, &emotes).unwrap();
                let seen = newest.entry(row.channel().to_string()).or_default();
                if row.seq() > *seen {
                    *seen = row.seq();
                    rows.entry(row.channel().to_string()).or_default().push(record.value);
                }
            }
        }
        rows
    }

    /// Reactions in the output's windows, by channel and emote.
    pub(super) fn counted(&self) -> BTreeMap<(String, String), u64> {
        let emotes = Emotes::new();
        let mut counted = BTreeMap::new();
        for (channel, rows) in self.found() {
            for row in rows {
                let Row::Window(window) = Row::decode(&row, &emotes).unwrap() else { continue };
                for emote in window.emotes {
                    let key = (channel.clone(), emotes.name(emote.emote).to_string());
                    *counted.entry(key).or_default() += emote.count;
                }
            }
        }
        counted
    }

    /// Every row of the output, repeats included: channel and sequence.
    pub(super) fn sequences(&self) -> Vec<(String, u64)> {
        let emotes = Emotes::new();
        let records = (0..self.output_partitions).flat_map(|partition| self.records("output", partition));
        let rows = records.map(|record| Row::decode(&record.value, &emotes).unwrap());
        rows.map(|row| (row.channel().to_string(), row.seq())).collect()
    }

    /// The newest snapshot of a key.
    pub(super) fn newest_snapshot(&self, key: &str) -> Bytes {
        let of_key = |record: &Record| record.key.as_deref() == Some(key.as_bytes());
        self.records("state", 0).into_iter().rfind(of_key).unwrap().value
    }

    /// Writes the newest snapshot of a key again, changed.
    pub(super) fn rewrite_snapshot(&self, key: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let value = change(&self.newest_snapshot(key));
        self.broker.append_keyed("state", key, value);
    }

    /// Some taps, and what they make of 300 ms.
    pub(super) fn tap(&mut self, dice: &mut Dice, nodes: &mut [Node], times: usize) {
        for _ in 0..times {
            self.audience.tap(dice, self.clock.now_ms());
            self.pass(nodes, 300);
        }
    }

    /// The promise: the rows are those of one process, and everything accepted is counted.
    pub(super) fn assert_exact(&self) {
        self.assert_same_rows();
        assert_eq!(self.counted(), self.audience.accepted);
    }

    /// The rows are those of one process, whose open windows are open here, too.
    pub(super) fn assert_same_rows(&self) {
        let (expected, found) = (self.expected(), self.found());
        for (channel, expected) in &expected {
            let found = found.get(channel).cloned().unwrap_or_default();
            let differs = expected.iter().zip(&found).position(|(expected, found)| expected != found);
            if let Some(at) =
                differs.or((expected.len() != found.len()).then(|| expected.len().min(found.len())))
            {
                let row = |rows: &[Bytes]| rows.get(at).map(|row| Row::decode(row, &Emotes::new()).unwrap());
                panic!(
                    "row {at} of {channel} ({} expected, {} found): expected {:#?}\nfound {:#?}",
                    expected.len(),
                    found.len(),
                    row(expected),
                    row(&found)
                );
            }
        }
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    }
}

impl Node {
    pub(super) fn turn_count(&mut self) -> Option<Turn> {
        let turn = self.count.as_mut()?.turn(self.stopping).unwrap();
        if turn == Turn::Ended {
            self.count = None;
        }
        Some(turn)
    }

    pub(super) fn turn_merge(&mut self) -> Option<Turn> {
        // A graceful stop ends counting first.
        let stopping = self.stopping && self.count.is_none();
        let turn = self.merge.as_mut()?.turn(stopping).unwrap();
        if turn == Turn::Ended {
            self.merge = None;
        }
        Some(turn)
    }

    /// A turn that fails, and why.
    pub(super) fn failure(&mut self) -> String {
        self.log.hear();
        let count = self.count.as_mut().and_then(|count| count.turn(false).err());
        let failed = count.or_else(|| self.merge.as_mut().and_then(|merge| merge.turn(false).err()));
        format!("{:#}", failed.expect("the node goes on"))
    }

    /// Ends the node as a lost process would; its log remains for what is still on its way.
    pub(super) fn crash(self) -> Arc<NodeLog> {
        self.log.crash();
        self.log
    }
}
