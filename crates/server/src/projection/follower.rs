//! Follows partitions of the log that a group gives to this node, and writes what is made of their records to other people's
//! topics. A place is committed once all lines up to it are written: after a crash some are written again, none is left out.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use emostream_log::{
    Assignment, Committed, Log, LogError, Membership, Offset, Record, TopicPartition,
    foreign::{Compression, ForeignLine, ForeignTopic, ForeignTopics, ForeignWriter},
};
use futures_util::{FutureExt, future::select_all};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::course::Course;
use crate::tasks::Tasks;

/// Bytes read from a partition before the next one's turn.
const READ_BYTES: usize = 256 << 10;

/// How often places are committed: so many seconds of lines may be written twice after a crash.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// First and longest pause after a failure.
const PAUSE_MS: (u64, u64) = (50, 2_000);

/// How long a stop goes on to write what is in the log already.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Makes lines of the records of some partitions.
pub trait Lines: Send + 'static {
    /// The topics that lines are for; those that are missing are made.
    fn topics(&self) -> Vec<ForeignTopic>;

    /// Learns how many partitions the topics have, in their order.
    fn found(&mut self, partitions: &[u32]);

    /// Begins with a partition, and says where to read from: at the committed place, or before it to learn what was there.
    fn begin(
        &mut self,
        log: &dyn Log,
        partition: &TopicPartition,
        committed: Option<&Committed>,
    ) -> Result<Offset, LogError>;

    /// Makes lines of the next record.
    fn take(&mut self, partition: &TopicPartition, record: &Record, lines: &mut Vec<ForeignLine>);

    /// What [`begin`](Self::begin) needs to go on behind the last record taken.
    fn metadata(&self, partition: &TopicPartition) -> Bytes;

    /// Forgets a partition that is somebody else's now.
    fn end(&mut self, partition: &TopicPartition);
}

/// What a follower needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Other people's topics.
    pub topics: Arc<dyn ForeignTopics>,
    /// How lines are compressed on their way.
    pub compression: Compression,
    /// This node's name in groups.
    pub member: Arc<str>,
    /// Lines written.
    pub written: Counter,
    /// Records of the log that lines are not written of yet.
    pub lag: Gauge,
    /// Attempts that failed.
    pub failures: Counter,
}

/// What is followed, by which group.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Name of the thread.
    pub name: &'static str,
    /// The group that divides the partitions among nodes.
    pub group: &'static str,
    /// Topic of the log.
    pub topic: Arc<str>,
}

/// Starts a thread that follows until it is asked to stop. It then writes what is in the log by that time.
pub fn start(
    follow: Follow,
    lines: impl Lines,
    components: &Components,
    tasks: &Tasks,
) -> anyhow::Result<Course> {
    let course = Course::new(tasks);
    let name = follow.name;
    let follower = Follower {
        follow,
        lines,
        components: components.clone(),
        owned: BTreeMap::new(),
        runtime: Handle::current(),
        stop: course.to_stop(),
        course: course.clone(),
        has_given_up: false,
    };
    let running = course.running();
    tasks.spawn_essential_thread(name, move || {
        let result = follower.run();
        drop(running);
        result
    })?;
    Ok(course)
}

struct Follower<L> {
    follow: Follow,
    lines: L,
    components: Components,
    owned: BTreeMap<TopicPartition, Owned>,
    runtime: Handle,
    stop: CancellationToken,
    course: Course,
    /// The stop came before all lines of what was taken were written: nothing may be committed any more.
    has_given_up: bool,
}

/// A partition that is this node's.
struct Owned {
    at: Offset,
    end: watch::Receiver<Offset>,
    /// What is committed, as far as this node knows.
    committed: Option<Offset>,
}

impl<L: Lines> Follower<L> {
    fn run(mut self) -> anyhow::Result<()> {
        let mut pause_ms = PAUSE_MS.0;
        let log = self.components.log.clone();
        let Some(mut writer) = self.prepare() else { return Ok(()) };
        let membership = loop {
            match log.join(self.follow.group, &self.follow.topic, &self.components.member) {
                Ok(membership) => break membership,
                Err(error @ LogError::Unavailable(_)) => self.pause(&mut pause_ms, "join", &error),
                Err(error) => return Err(error.into()),
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
        };
        let mut assignments = membership.assignments();
        let mut committed = Instant::now();
        while !self.stop.is_cancelled() {
            let assignment = assignments.borrow_and_update().clone();
            let passed = self.own(&assignment).and_then(|()| self.pass(&mut *writer));
            match passed {
                Ok(true) => pause_ms = PAUSE_MS.0,
                Ok(false) => self.wait(&mut assignments, COMMIT_EVERY),
                Err(LogError::Closed) => return Ok(()),
                Err(error @ LogError::Failed(_)) => return Err(error.into()),
                Err(error) => self.pause(&mut pause_ms, "pass", &error),
            }
            if committed.elapsed() >= COMMIT_EVERY {
                self.commit(&*membership, &assignment);
                committed = Instant::now();
            }
        }
        let assignment = assignments.borrow().clone();
        self.finish(&assignment, &mut *writer);
        self.commit(&*membership, &assignment);
        Ok(())
    }

    /// Makes the topics and a writer; `None` when the stop comes first. A topic that is missing and may not be made is
    /// waited for: whoever reads the log hears of it again and again.
    fn prepare(&mut self) -> Option<Box<dyn ForeignWriter>> {
        let wanted = self.lines.topics();
        let mut pause_ms = PAUSE_MS.0;
        loop {
            let made = self.components.topics.make(&wanted);
            let made = made
                .and_then(|found| Ok((found, self.components.topics.write(self.components.compression)?)));
            match made {
                Ok((found, writer)) => {
                    let partitions: Result<Vec<u32>, String> =
                        found.into_iter().map(|topic| topic.partitions).collect();
                    match partitions {
                        Ok(partitions) => {
                            self.lines.found(&partitions);
                            self.course.is_prepared();
                            return Some(writer);
                        }
                        Err(why) => {
                            self.components.failures.inc();
                            tracing::error!("{}: {why}", self.follow.name);
                            self.course.is_prepared();
                            self.sleep(Duration::from_secs(10));
                        }
                    }
                }
                Err(error) => self.pause(&mut pause_ms, "look for topics", &error),
            }
            if self.stop.is_cancelled() {
                return None;
            }
        }
    }

    fn sleep(&self, pause: Duration) {
        let sleeping = async { self.stop.run_until_cancelled(tokio::time::sleep(pause)).await };
        self.runtime.block_on(sleeping).unwrap_or(());
    }

    fn pause(&self, pause_ms: &mut u64, action: &str, error: &LogError) {
        tracing::warn!(%error, "{}: {action}", self.follow.name);
        self.components.failures.inc();
        self.sleep(Duration::from_millis(*pause_ms));
        *pause_ms = (*pause_ms * 2).min(PAUSE_MS.1);
    }

    /// Takes over the partitions that are this node's now.
    fn own(&mut self, assignment: &Assignment) -> Result<(), LogError> {
        let lines = &mut self.lines;
        self.owned.retain(|partition, _| {
            let stays = assignment.partitions.contains(partition);
            if !stays {
                lines.end(partition);
            }
            stays
        });
        let log = &*self.components.log;
        for partition in &assignment.partitions {
            if self.owned.contains_key(partition) {
                continue;
            }
            let committed = log.committed(self.follow.group, partition)?;
            let start = log.bounds(partition)?.start;
            let at = lines.begin(log, partition, committed.as_ref())?;
            if let Some(gone) =
                committed.as_ref().and_then(|at| start.checked_sub(at.offset)).filter(|n| *n > 0)
            {
                missed(self.follow.name, partition, gone);
            }
            let end = log.follow(partition)?;
            let committed = committed.map(|committed| committed.offset);
            self.owned.insert(partition.clone(), Owned { at: at.max(start), end, committed });
        }
        Ok(())
    }

    /// Reads a share of each partition and writes its lines; whether there was anything.
    fn pass(&mut self, writer: &mut dyn ForeignWriter) -> Result<bool, LogError> {
        let mut lines = Vec::new();
        let mut next = Vec::new();
        let mut failure = None;
        for (partition, owned) in &mut self.owned {
            if owned.at >= *owned.end.borrow_and_update() {
                continue;
            }
            match self.components.log.read(partition, owned.at, READ_BYTES) {
                Ok(read) => {
                    for record in &read.records {
                        self.lines.take(partition, record, &mut lines);
                    }
                    next.push((partition.clone(), read.next));
                }
                Err(LogError::OutOfRange { start, .. }) if start > owned.at => {
                    missed(self.follow.name, partition, start - owned.at);
                    owned.at = start;
                }
                // What was taken of the others is written all the same: it is not taken again.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if !self.write(writer, &lines) {
            self.has_given_up = true;
            return Ok(false);
        }
        let left = |owned: &Owned| owned.end.borrow().saturating_sub(owned.at);
        for (partition, at) in &next {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.at = *at;
            }
        }
        let lag: u64 = self.owned.values().map(left).sum();
        self.components.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        failure.map_or(Ok(!next.is_empty()), Err)
    }

    /// Writes lines until brokers have them; false when the stop came first.
    fn write(&self, writer: &mut dyn ForeignWriter, lines: &[ForeignLine]) -> bool {
        let mut pause_ms = PAUSE_MS.0;
        while !lines.is_empty() {
            match writer.write(lines) {
                Ok(()) => {
                    self.components.written.inc_by(lines.len() as u64);
                    break;
                }
                Err(_) if self.stop.is_cancelled() => return false,
                Err(error) => self.pause(&mut pause_ms, "write", &error),
            }
        }
        true
    }

    /// Commits what is written, where that is new.
    fn commit(&mut self, membership: &dyn Membership, assignment: &Assignment) {
        if self.has_given_up {
            return;
        }
        for (partition, owned) in &mut self.owned {
            if owned.committed == Some(owned.at) || !assignment.partitions.contains(partition) {
                continue;
            }
            let position = Committed { offset: owned.at, metadata: self.lines.metadata(partition) };
            match membership.commit(assignment.generation, partition, position) {
                Ok(()) => owned.committed = Some(owned.at),
                // The next assignment says whose it is.
                Err(LogError::StaleGeneration { .. } | LogError::UnknownPartition(_) | LogError::Closed) => {}
                Err(error) => {
                    self.components.failures.inc();
                    tracing::warn!(%partition, %error, "{}: commit", self.follow.name);
                }
            }
        }
    }

    /// Waits until there is something to read, the partitions change, the stop, or so long.
    fn wait(&mut self, assignments: &mut watch::Receiver<Assignment>, longest: Duration) {
        let ends = self.owned.values_mut().map(|owned| owned.end.changed().map(drop).boxed());
        let any = select_all(ends.chain([std::future::pending().boxed()]));
        let waiting = async {
            tokio::select! {
                _ = any => {}
                _ = assignments.changed() => {}
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(longest) => {}
            }
        };
        self.runtime.block_on(waiting);
    }

    /// Writes what is in the log by now.
    fn finish(&mut self, assignment: &Assignment, writer: &mut dyn ForeignWriter) {
        let until = Instant::now() + STOP_PATIENCE;
        while Instant::now() < until && !self.has_given_up {
            match self.own(assignment).and_then(|()| self.pass(writer)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "{}: what is left is written by the next one", self.follow.name);
                    return;
                }
            }
        }
    }
}

fn missed(name: &str, partition: &TopicPartition, records: Offset) {
    tracing::error!(%partition, records, "{name}: records are gone before lines were written of them");
}
