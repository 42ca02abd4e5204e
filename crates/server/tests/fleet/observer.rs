//! What the log holds, and what counting it without any disturbance comes to.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use emostream::{
    config::Config,
    node::{OUTPUT_TOPIC, PARTIALS_TOPIC, RAW_TOPIC, kafka_config},
};
use emostream_log::{Log, Record, TopicPartition, kafka::KafkaLog};
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    Emotes,
    record::{LogRecord, decode},
    row::Row,
};

use crate::harness::{PATIENCE, windows::Totals};

/// Rows of each channel, ascending by sequence.
pub(crate) type Rows = BTreeMap<String, Vec<Row>>;

const READ_BYTES: usize = 4 << 20;

/// Steps of all raw partitions come together when a window ends, and then none for longer than this.
const BETWEEN_WINDOWS: Duration = Duration::from_millis(250);

/// Asks again, as nodes do, where a broker has died and nobody has taken its place yet.
fn patiently<T, E: Debug>(question: impl Fn() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match question() {
            Err(error) if Instant::now() < deadline => println!("observer: asking again: {error:?}"),
            answer => return answer,
        }
    }
}

/// Reads the log of a fleet, and takes no part in it.
pub(crate) struct Observer {
    log: KafkaLog,
    parameters: StreamParameters,
    emotes: Arc<Emotes>,
}

/// What the raw log comes to.
pub(crate) struct Undisturbed {
    pub(crate) rows: Rows,
    /// Ids of all reactions, and how often they are there.
    pub(crate) ids: HashSet<String>,
    /// Reactions in the log, repeats included.
    pub(crate) reactions: usize,
}

impl Observer {
    /// Opens the log of nodes with this configuration. Blocks.
    pub(crate) fn open(config: &Config) -> Self {
        let (log, _) = patiently(|| KafkaLog::open(&kafka_config(config, "observer"))).unwrap();
        let windows = &config.windows;
        let parameters =
            StreamParameters::new(windows.window_ms, windows.allowed_lateness_ms, windows.horizon_ms)
                .unwrap();
        Self { log, parameters, emotes: Arc::new(Emotes::new()) }
    }

    /// Rows of the output as its readers take them: of repeated ones the first. Blocks.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for records in self.read_all(OUTPUT_TOPIC) {
            for record in records {
                let row = Row::decode(&record.value, &self.emotes).unwrap();
                let channel = rows.entry(row.channel().to_string()).or_default();
                if channel.last().is_none_or(|last| last.seq() < row.seq()) {
                    channel.push(row);
                    continue;
                }
                let first = channel.iter().find(|known| known.seq() == row.seq());
                assert_eq!(first, Some(&row), "a row that comes late is no repetition");
            }
        }
        rows
    }

    /// Counts the raw log from its first record to its end, in one go. Blocks.
    pub(crate) fn undisturbed(&self) -> Undisturbed {
        let partitions = self.read_all(RAW_TOPIC);
        let mut aggregate = Aggregate::new(self.parameters, partitions.len(), self.emotes.clone(), 7);
        let mut output = AggregateOutput::default();
        let (mut ids, mut reactions) = (HashSet::new(), 0);
        for (partition, records) in partitions.iter().enumerate() {
            for record in records {
                let decoded = decode(&record.value, &self.emotes).unwrap();
                if let LogRecord::Reactions(batch) = &decoded {
                    reactions += batch.len();
                    ids.extend(batch.iter().map(|reaction| reaction.unwrap().id.to_string()));
                }
                aggregate.observe(partition, record.append_time_ms, &decoded, &mut output).unwrap();
            }
        }
        let mut rows = Rows::new();
        for row in output.rows {
            rows.entry(row.channel().to_string()).or_default().push(row);
        }
        Undisturbed { rows, ids, reactions }
    }

    /// Waits until every raw partition has just said what it has of a window: in a moment its rows are written.
    pub(crate) async fn rows_are_due(&self) {
        let partition = TopicPartition::new(PARTIALS_TOPIC, 0);
        let steps = u64::from(self.log.partitions(RAW_TOPIC).unwrap());
        let mut end = self.log.follow(&partition).unwrap();
        loop {
            let before = *end.borrow_and_update();
            // Nothing for a while: the next step is the first of its window.
            if tokio::time::timeout(BETWEEN_WINDOWS, end.changed()).await.is_err() {
                end.wait_for(|end| *end >= before + steps).await.unwrap();
                return;
            }
        }
    }

    /// Sum of a channel's windows, per emote.
    pub(crate) fn totals(&self, rows: &[Row]) -> Totals {
        let mut totals = Totals::new();
        for row in rows {
            let Row::Window(window) = row else { continue };
            for emote in &window.emotes {
                *totals.entry(self.emotes.name(emote.emote).to_string()).or_default() += emote.count;
            }
        }
        totals
    }

    /// All records of each partition of a topic up to its end now.
    fn read_all(&self, topic: &str) -> Vec<Vec<Record>> {
        let partitions = self.log.partitions(topic).unwrap();
        let read = |number| {
            let partition = TopicPartition::new(topic, number);
            let bounds = patiently(|| self.log.bounds(&partition)).unwrap();
            let (mut records, mut at) = (Vec::new(), bounds.start);
            while at < bounds.end {
                let batch = patiently(|| self.log.read(&partition, at, READ_BYTES)).unwrap();
                at = batch.next;
                records.extend(batch.records);
            }
            records
        };
        (0..partitions).map(read).collect()
    }
}
