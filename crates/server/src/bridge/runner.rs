//! The thread that reads other people's topics: a round of records, durable in the log, then the places that are done.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use emostream_log::{
    AppendFuture, Appended, LogError, TopicPartition,
    foreign::{ForeignBegin, ForeignReader, ForeignTopic, Gathered},
};
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Components, GROUP, foreign::Reading, round::Round, source::Source};
use crate::{projection::course::Course, tasks::Tasks, telemetry::Labelled};

/// How long one look for records waits: so quickly the thread sees that it is to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// First and longest pause after a failure.
const PAUSE_MS: (u64, u64) = (50, 2_000);

/// How long a stop waits for what is being appended; what is not durable by then is read again by whoever is next.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Dead letters are told of at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Starts the thread.
pub(super) fn start(
    topics: Vec<String>,
    begin: ForeignBegin,
    components: &Components,
    course: &Course,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let channels = components.channels.clone();
    let reading =
        Reading { channels, emotes: components.emotes.clone(), channel: components.channel.clone() };
    let runner = Runner {
        components: components.clone(),
        reading,
        topics,
        begin,
        sources: BTreeMap::new(),
        told: None,
        runtime: Handle::current(),
        stop: course.to_stop(),
        course: course.clone(),
    };
    let running = course.running();
    tasks.spawn_essential_thread("bridge", move || {
        let result = runner.run();
        drop(running);
        result
    })?;
    Ok(())
}

struct Runner {
    components: Components,
    reading: Reading,
    topics: Vec<String>,
    begin: ForeignBegin,
    sources: BTreeMap<TopicPartition, Source>,
    /// When dead letters were last told of, and how many there were since.
    told: Option<(Instant, u64)>,
    runtime: Handle,
    stop: CancellationToken,
    course: Course,
}

impl Runner {
    fn run(mut self) -> anyhow::Result<()> {
        self.make_topics();
        self.course.is_prepared();
        // Before, nothing could be read for what it is.
        while !self.reading.is_ready() && !self.stop.is_cancelled() {
            self.sleep(PATIENCE);
        }
        let mut pause_ms = PAUSE_MS.0;
        while !self.stop.is_cancelled() {
            let topics = self.components.topics.clone();
            let mut reader = match topics.read(GROUP, &self.topics, self.begin) {
                Ok(reader) => reader,
                Err(error) => {
                    self.pause(&mut pause_ms, "join", &error);
                    continue;
                }
            };
            let left = self.rounds(&mut *reader);
            self.sources.clear();
            match left {
                Ok(()) => {
                    reader.close();
                    return Ok(());
                }
                Err(error @ (LogError::Failed(_) | LogError::Closed)) if !self.stop.is_cancelled() => {
                    return Err(error.into());
                }
                Err(error) => self.pause(&mut pause_ms, "read", &error),
            }
        }
        Ok(())
    }

    /// Makes topics that are missing. The reader waits for one that may not be made.
    fn make_topics(&self) {
        let mut pause_ms = PAUSE_MS.0;
        let partitions = self.components.log.partitions(&self.components.raw_topic).unwrap_or(1);
        let wanted: Vec<_> =
            self.topics.iter().map(|name| ForeignTopic { name: name.clone(), partitions }).collect();
        while !self.stop.is_cancelled() {
            match self.components.topics.make(&wanted) {
                Ok(found) => {
                    for (topic, found) in wanted.iter().zip(found) {
                        match found.partitions {
                            Ok(partitions) if found.made => {
                                tracing::info!(topic = topic.name, partitions, "bridge: topic made");
                            }
                            Ok(_) => {}
                            Err(why) => tracing::error!("bridge: {why}"),
                        }
                    }
                    return;
                }
                Err(error) => self.pause(&mut pause_ms, "look for topics", &error),
            }
        }
    }

    fn sleep(&self, pause: Duration) {
        let sleeping = async { self.stop.run_until_cancelled(tokio::time::sleep(pause)).await };
        self.runtime.block_on(sleeping).unwrap_or(());
    }

    fn pause(&self, pause_ms: &mut u64, action: &str, error: &LogError) {
        tracing::warn!(%error, "bridge: {action}");
        self.components.metrics.bridge_failures.inc();
        self.sleep(Duration::from_millis(*pause_ms));
        *pause_ms = (*pause_ms * 2).min(PAUSE_MS.1);
    }

    /// Reads and appends until the stop, or until the reader or the log has failed.
    fn rounds(&mut self, reader: &mut dyn ForeignReader) -> Result<(), LogError> {
        let mut pause_ms = PAUSE_MS.0;
        while !self.stop.is_cancelled() {
            let at_ms = self.components.clock.now_ms();
            match reader.gather(PATIENCE) {
                Ok(gathered) => {
                    self.round(reader, gathered, at_ms)?;
                    pause_ms = PAUSE_MS.0;
                }
                Err(error @ LogError::Unavailable(_)) => self.pause(&mut pause_ms, "read", &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn round(
        &mut self,
        reader: &mut dyn ForeignReader,
        gathered: Gathered,
        at_ms: i64,
    ) -> Result<(), LogError> {
        for lost in &gathered.lost {
            self.sources.remove(lost);
        }
        let raw_topic = &self.components.raw_topic;
        let raw_partitions = self.components.log.partitions(raw_topic).unwrap_or(1);
        for taken in &gathered.taken {
            let source = Source::new(taken, raw_topic, raw_partitions, at_ms);
            let (from, to) = (&taken.partition, &source.to);
            tracing::info!(%from, offset = taken.next, end = taken.end, %to, "bridge: partition taken");
            self.sources.insert(taken.partition.clone(), source);
        }
        for (partition, end) in gathered.ends {
            if let Some(source) = self.sources.get_mut(&partition) {
                source.saw_end(end, at_ms);
            }
        }
        let now_ms = self.components.clock.now_ms();
        let round = Round::of(&gathered.records, &mut self.sources, &self.reading, now_ms);
        drop(gathered.records);
        if self.append(&round)? {
            for (partition, next) in &round.done {
                reader.done(partition, *next);
            }
            self.count(&round);
        }
        let lag: u64 = self.sources.values().map(|source| source.end.saturating_sub(source.next)).sum();
        self.components.metrics.bridge_lag_records.set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Appends a round until all of it is durable; false when the stop came first. What is appended again after a failure
    /// that was none is known by its places.
    fn append(&self, round: &Round) -> Result<bool, LogError> {
        let log = &self.components.log;
        let mut waiting: Vec<_> = round.batches.iter().map(|(to, batches)| (to, batches)).collect();
        if !round.dead_letters.is_empty() {
            waiting.push((&self.components.dead_letter, &round.dead_letters));
        }
        let mut pause_ms = PAUSE_MS.0;
        loop {
            let appends: Vec<AppendFuture> =
                waiting.iter().map(|(to, values)| log.append(to, (*values).clone())).collect();
            let Some(appended) = self.wait(appends) else { return Ok(false) };
            let mut failed = Vec::new();
            let mut first = None;
            for (append, appended) in waiting.into_iter().zip(appended) {
                match appended {
                    Ok(_) => {}
                    Err(error @ LogError::Failed(_)) => return Err(error),
                    Err(error) => {
                        failed.push(append);
                        first.get_or_insert(error);
                    }
                }
            }
            let Some(error) = first else { return Ok(true) };
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            waiting = failed;
            self.pause(&mut pause_ms, "append", &error);
        }
    }

    /// The answers to appends, which may take as long as brokers do; `None` when the stop came and they did not.
    fn wait(&self, appends: Vec<AppendFuture>) -> Option<Vec<Result<Appended, LogError>>> {
        let mut answers = Box::pin(join_all(appends));
        self.runtime.block_on(async {
            match self.stop.run_until_cancelled(&mut answers).await {
                Some(answers) => Some(answers),
                None => tokio::time::timeout(STOP_PATIENCE, answers).await.ok(),
            }
        })
    }

    fn count(&mut self, round: &Round) {
        let records = &self.components.metrics.bridge_records;
        let dead_letters = round.dead_letters.len() as u64;
        for (kind, number) in
            [("bridged", round.reactions), ("own", round.own), ("dead-letter", dead_letters)]
        {
            if number > 0 {
                records.get_or_create(&Labelled { kind }).inc_by(number);
            }
        }
        let Some(reason) = &round.reason else { return };
        let (last, since) = self.told.unwrap_or((Instant::now(), 0));
        let records = since + dead_letters;
        if self.told.is_none() || last.elapsed() > TELL_EVERY {
            tracing::warn!(records, reason, "bridge: records that nobody can read are named in dead-letter");
            self.told = Some((Instant::now(), 0));
        } else {
            self.told = Some((last, records));
        }
    }
}
