//! Counting on logs that are full, damaged or shorter than they were. [`Rig`] is a log on disk under a clock that the
//! tests own.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use emostream_log::{
    Log, LogError, ManualClock, Record, TopicPartition,
    embedded::{EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};
use emostream_moments::StreamParameters;
use emostream_protocol::{
    ChannelName, Emotes, ReactionId,
    record::{BatchBuilder, NewReaction},
    row::Row,
    settings::SettingsDocument,
};
use tokio::runtime::Handle;

use super::{Components, Handles, start};
use crate::{
    channels::{Channels, Published},
    tasks::Tasks,
};

mod full;
mod unreadable;

const START_MS: i64 = 1_700_000_000_000;
const HORIZON_MS: i64 = 125_000;

struct Rig {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    partitions: u32,
    raw_bytes: Option<u64>,
}

/// A log that is open and, unless it is only looked at, counted.
struct Running {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    components: Components,
    tasks: Tasks,
    handles: Option<Handles>,
}

impl Rig {
    fn new(partitions: u32, raw_bytes: Option<u64>) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        Self { dir: tempfile::tempdir().unwrap(), clock, partitions, raw_bytes }
    }

    fn snapshots(&self) -> PathBuf {
        self.dir.path().join("aggregate")
    }

    /// Opens the log without counting.
    fn open(&self) -> Running {
        let topic = |name: &str, partitions, bytes| TopicConfig {
            name: name.into(),
            partitions,
            retention: Retention { age_ms: None, bytes },
        };
        let topics = vec![
            topic("raw", self.partitions, self.raw_bytes),
            topic("rows", 1, None),
            topic("dead", 1, None),
        ];
        let config = EmbeddedConfig {
            clock: self.clock.clone(),
            queue_bytes_max: 5 << 20,
            ..EmbeddedConfig::new(self.dir.path().join("log"), topics)
        };
        let log = Arc::new(EmbeddedLog::open(&config).unwrap().0);
        let emotes = Arc::new(Emotes::new());
        let channels = Arc::<Channels>::default();
        let published = Published::new(1, SettingsDocument::default(), false, &emotes).unwrap();
        channels.publish(&ChannelName::new("main").unwrap(), published).unwrap();
        let components = Components {
            log: log.clone(),
            raw_topic: "raw".into(),
            output: TopicPartition::new("rows", 0),
            dead_letter: TopicPartition::new("dead", 0),
            parameters: StreamParameters::new(2_000, 500, HORIZON_MS as u32).unwrap(),
            snapshot_dir: self.snapshots(),
            emotes,
            pulses: Arc::default(),
            channels,
            pressure: Arc::default(),
            metrics: Arc::default(),
            clock: self.clock.clone(),
        };
        let tasks = Tasks::new(Handle::current());
        Running { log, clock: self.clock.clone(), components, tasks, handles: None }
    }

    /// Opens the log and counts it.
    fn start(&self) -> Running {
        let mut running = self.open();
        running.handles = Some(start(running.components.clone(), &running.tasks).unwrap());
        running
    }
}

impl Running {
    async fn append(&self, partition: u32, record: Bytes) -> Result<(), LogError> {
        self.log.append(&TopicPartition::new("raw", partition), vec![record]).await.map(drop)
    }

    /// A batch of one partition with that many reactions now.
    fn batch(&self, reactions: usize) -> Bytes {
        let emotes = &self.components.emotes;
        let now_ms = emostream_log::Clock::now_ms(&*self.clock);
        let mut batch = BatchBuilder::default();
        for _ in 0..reactions {
            let reaction = NewReaction {
                emote: emotes.resolve("🔥").unwrap(),
                id: ReactionId::from_parts(now_ms, rand::random()),
                id_from_client: true,
                user: "ann",
                received_ms: now_ms,
                tapped_ms: None,
                media_time_ms: None,
            };
            batch.push(&ChannelName::new("main").unwrap(), &reaction);
        }
        batch.finish(None, emotes)
    }

    /// Waits until what the log holds is counted.
    async fn counted(&self) {
        let mut records = 0;
        for partition in 0..self.log.partitions("raw").unwrap() {
            records += self.records("raw", partition).len();
        }
        let counted = || self.components.metrics.records_counted.get() as usize >= records;
        wait_for("everything to be counted", counted).await;
    }

    fn records(&self, topic: &str, partition: u32) -> Vec<Record> {
        let partition = TopicPartition::new(topic, partition);
        let start = self.log.bounds(&partition).unwrap().start;
        self.log.read(&partition, start, usize::MAX).unwrap().records
    }

    /// Counts of all windows in the output by their start; of repeated rows the first.
    fn windows(&self) -> BTreeMap<i64, u64> {
        let mut windows = BTreeMap::new();
        for record in self.records("rows", 0) {
            if let Row::Window(window) = Row::decode(&record.value, &self.components.emotes).unwrap() {
                windows.entry(window.window_start_ms).or_insert(window.total());
            }
        }
        windows
    }

    /// Ends counting gracefully and closes the log.
    async fn stop(self) {
        if let Some(handles) = &self.handles {
            handles.stop().await;
        }
        assert!(!self.tasks.has_failed());
        self.tasks.stop.cancel();
        self.log.close().unwrap();
        self.tasks.ended().await;
    }
}

async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited too long for {what}");
}
