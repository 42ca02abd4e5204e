//! The log on brokers.

use std::{collections::BTreeMap, sync::Arc};

use emostream_log::{
    LogError, TopicPartition,
    kafka::{KafkaAdmin, KafkaSnapshot, KafkaStartError},
};
use emostream_moments::StreamParameters;
use emostream_protocol::{Emotes, Epoch, time};

use super::{
    LogCommand, NO_SUCH_TOPIC, READ_BYTES, Selection,
    describe::{Describer, line},
};
use crate::{
    aggregate::fleet::StreamShape,
    cli::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, say, say_error},
    config::Config,
    node::{OUTPUT_TOPIC, RAW_TOPIC, kafka_config},
};

/// How this command is called in the brokers' logs.
const CALLED: &str = "log";

pub(super) fn run(command: &LogCommand, config: &Config) -> anyhow::Result<u8> {
    let kafka = kafka_config(config, CALLED);
    let log = match KafkaAdmin::connect(&kafka).and_then(|admin| admin.snapshot()) {
        Ok(log) => log,
        Err(error) => return Ok(refused(&error)),
    };
    if log.partitions().next().is_none() {
        let (namespace, servers) = (&config.kafka.namespace, &config.kafka.bootstrap_servers);
        anyhow::bail!(
            "there is no log in the namespace {namespace:?} (kafka.namespace) on the brokers {servers}"
        );
    }
    match command {
        LogCommand::Ls(_) => list(&log),
        LogCommand::Cat { selection, .. } => cat(&log, selection),
        LogCommand::Verify(_) => verify(&log),
    }
}

/// What did not come about is a matter of configuration, or a failure.
fn refused(error: &KafkaStartError) -> u8 {
    say_error(&error.to_string());
    if error.is_configuration() { EXIT_USAGE } else { EXIT_FAILED }
}

fn list(log: &KafkaSnapshot) -> anyhow::Result<u8> {
    match log.generation() {
        Some(generation) => {
            say(&format!("epoch {}", Epoch(generation.id)));
            for (name, value) in &generation.parameters {
                say(&format!("{name} = {value}"));
            }
        }
        None => say("no node has begun a log on these topics yet"),
    }
    let widest = log.partitions().map(|of| log.remote_name(&of.topic).len()).max().unwrap_or(0).max(20);
    say(&format!(
        "{:<widest$} {:>9} {:>12} {:>12}  {:<24}  {}",
        "topic", "partition", "start", "end", "first", "last"
    ));
    for of in log.partitions() {
        let bounds = log.bounds(&of)?;
        let (first, last) = if bounds.end > bounds.start {
            (log.read(&of, bounds.start, 1)?.records.into_iter().next(), log.last(&of)?)
        } else {
            (None, None)
        };
        let shown = |record: Option<emostream_log::Record>| {
            record.map_or_else(|| "-".to_owned(), |record| time::format_ms(record.append_time_ms))
        };
        let (topic, partition) = (log.remote_name(&of.topic), of.partition);
        say(&format!(
            "{topic:<widest$} {partition:>9} {:>12} {:>12}  {:<24}  {}",
            bounds.start,
            bounds.end,
            shown(first),
            shown(last)
        ));
    }
    Ok(EXIT_OK)
}

/// What steps and states of this log are decoded with.
fn shape(log: &KafkaSnapshot) -> Option<StreamShape> {
    let parameters: &BTreeMap<String, String> = &log.generation()?.parameters;
    let number = |name: &str| parameters.get(name)?.parse::<u32>().ok();
    let parameters = StreamParameters::new(
        number("windows.window_ms")?,
        number("windows.allowed_lateness_ms")?,
        number("windows.horizon_ms")?,
    );
    Some(StreamShape {
        parameters: parameters.ok()?,
        raw_partitions: log.partitions_of(RAW_TOPIC)?,
        output_partitions: log.partitions_of(OUTPUT_TOPIC)?,
        emotes: Arc::new(Emotes::new()),
    })
}

fn cat(log: &KafkaSnapshot, selection: &Selection) -> anyhow::Result<u8> {
    let Selection { topic, partition: only, from, limit } = selection;
    let describer = Describer::of_stream(shape(log));
    // A topic may be called as brokers call it.
    let is_named = |of: &TopicPartition| &*of.topic == topic || log.remote_name(&of.topic) == *topic;
    let wanted = |of: &TopicPartition| is_named(of) && only.is_none_or(|only| only == of.partition);
    let partitions: Vec<_> = log.partitions().filter(wanted).collect();
    anyhow::ensure!(!partitions.is_empty(), NO_SUCH_TOPIC);
    for of in &partitions {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut reading = Reading::from(log, of.clone(), *from)?;
        while left > 0
            && let Some(records) = reading.next()?
        {
            for record in records.iter().take(left) {
                say(&line(of, record, describer.describe(&of.topic, record)));
            }
            left = left.saturating_sub(records.len());
        }
    }
    Ok(EXIT_OK)
}

/// Reads a partition up to where it ended at the beginning.
struct Reading<'a> {
    log: &'a KafkaSnapshot,
    of: TopicPartition,
    at: u64,
    end: u64,
}

impl<'a> Reading<'a> {
    fn from(log: &'a KafkaSnapshot, of: TopicPartition, from: u64) -> Result<Self, LogError> {
        let bounds = log.bounds(&of)?;
        Ok(Self { log, of, at: from.max(bounds.start), end: bounds.end })
    }

    /// The next records, `None` at the end, or where everything further waits for a transaction.
    fn next(&mut self) -> Result<Option<Vec<emostream_log::Record>>, LogError> {
        while self.at < self.end {
            match self.log.read(&self.of, self.at, READ_BYTES) {
                Ok(batch) if batch.next <= self.at => return Ok(None),
                Ok(batch) => {
                    self.at = batch.next;
                    return Ok(Some(batch.records));
                }
                // Deleted since, because nobody needs it any more.
                Err(LogError::OutOfRange { start, .. }) if start > self.at => self.at = start,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn verify(log: &KafkaSnapshot) -> anyhow::Result<u8> {
    let describer = Describer::of_stream(shape(log));
    let mut totals = Found::default();
    let mut partitions = 0;
    for of in log.partitions() {
        let mut reading = Reading::from(log, of.clone(), 0)?;
        let (start, mut found) = (reading.at, Found::default());
        while let Some(records) = reading.next()? {
            for record in &records {
                found.add(record, describer.describe(&of.topic, record).err());
            }
        }
        let name = format!("{}-{}", log.remote_name(&of.topic), of.partition);
        let Found { records, bytes, bad, first_bad } = &found;
        say(&format!("{name} offsets {start}..{}: {records} records, {bytes} bytes", reading.at));
        if let Some(first) = first_bad {
            say_error(&format!("log {name} is damaged {first}; {bad} of its records cannot be decoded"));
        }
        partitions += 1;
        totals.records += records;
        totals.bytes += bytes;
        totals.bad += bad;
    }
    let Found { records, bytes, bad, .. } = totals;
    say(&format!("{partitions} partitions, {records} records, {bytes} bytes, {bad} damaged"));
    Ok(if bad == 0 { EXIT_OK } else { EXIT_FAILED })
}

/// What was read of a partition.
#[derive(Default)]
struct Found {
    records: u64,
    bytes: u64,
    bad: u64,
    first_bad: Option<String>,
}

impl Found {
    fn add(&mut self, record: &emostream_log::Record, error: Option<emostream_protocol::DecodeError>) {
        self.records += 1;
        self.bytes += record.value.len() as u64;
        if let Some(error) = error {
            self.bad += 1;
            self.first_bad.get_or_insert_with(|| format!("at offset {}: {error}", record.offset));
        }
    }
}
