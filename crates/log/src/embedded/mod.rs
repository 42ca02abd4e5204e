//! The log on this machine's disk: segment files, one writer with group commit, readers that never wait for it.
//!
//! An append is queued, written with everything else that waits, synced and then answered (`writer`). Readers
//! see durable records only (`partition`). Opening cuts what a crash left unfinished and reports what was
//! acknowledged and is gone (`recovery`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use self::{
    disk::DiskLock,
    identity::Identity,
    partition::Partition,
    writer::{
        Writer,
        queue::{Append, Control, Queue, Room},
    },
};
use crate::{
    AppendFuture, Bounds, Committed, FencedWriter, Generation, Log, LogError, Membership, Offset, ReadBatch,
    TopicPartition,
    fencing::{Claim, Owners},
    groups::Groups,
    locks::lock,
};

mod config;
pub mod disk;
mod files;
mod identity;
mod open;
mod partition;
mod recovery;
mod snapshot;
mod state;
mod verify;
mod writer;

#[cfg(feature = "kafka")]
pub(crate) use config::Chance;
pub use config::{Durability, EmbeddedConfig, Retention, TopicConfig};
pub use recovery::{PartitionRecovery, RecoveryReport};
pub use snapshot::Snapshot;
pub use verify::{SegmentReport, verify, verify_on};

/// A log in a directory, owned by this process.
pub struct EmbeddedLog {
    appender: Appender,
    identity: Identity,
    partitions: Vec<Arc<Partition>>,
    owners: Owners,
    groups: Groups,
    thread: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
    _lock: DiskLock,
}

impl EmbeddedLog {
    /// Opens or creates the log and starts its writer thread.
    pub fn open(config: &EmbeddedConfig) -> Result<(Self, RecoveryReport), LogError> {
        let (log, writer, report) = open::open(config)?;
        let queue = Arc::clone(&log.appender.queue);
        let work = move || {
            // However the writer ends, those who wait learn of it.
            let _end = EndOfQueue(queue);
            writer.run()
        };
        let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn(work);
        let thread = thread.map_err(|error| LogError::io("start the writer of", &config.dir, &error))?;
        *lock(&log.thread) = Some(thread);
        Ok((log, report))
    }

    /// Opens or creates the log without a thread: appends wait until the stepper is told to write. For
    /// simulations, which must do the same thing each time. Nothing that waits for the writer may be called
    /// then ([`Log::fenced_writer`], [`EmbeddedLog::retain`]).
    pub fn open_stepped(config: &EmbeddedConfig) -> Result<(Self, Stepper, RecoveryReport), LogError> {
        let (log, writer, report) = open::open(config)?;
        Ok((log, Stepper(writer), report))
    }

    /// Applies retention now, instead of within a second or so.
    pub fn retain(&self) -> Result<(), LogError> {
        self.appender.wait(Control::Retain)
    }

    fn partition(&self, name: &TopicPartition) -> Result<&Arc<Partition>, LogError> {
        let at = self.appender.position(name)?;
        self.partitions.get(at).ok_or_else(|| LogError::UnknownPartition(name.clone()))
    }
}

impl Log for EmbeddedLog {
    fn generation(&self) -> &Generation {
        &self.identity.generation
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.identity.topics.get(topic).copied()
    }

    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        self.appender.append(to, values, None, Room::Common)
    }

    fn append_reserved(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        self.appender.append(to, values, None, Room::Reserved)
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        self.partition(from)?.read(offset, bytes_max)
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        Ok(self.partition(partition)?.end.subscribe())
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        Ok(self.partition(of)?.bounds())
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.partition(of)?.offset_at(append_time_ms)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        let claim = self.owners.claim(owner)?;
        // What the fenced writer has under way is durable or refused when this one begins.
        self.appender.wait(Control::Barrier)?;
        Ok(Box::new(Fenced { appender: self.appender.clone(), claim }))
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        let partitions = Log::partitions(self, topic);
        let partitions =
            partitions.ok_or_else(|| LogError::UnknownPartition(TopicPartition::new(topic, 0)))?;
        self.groups.join(group, topic, partitions, member)
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.partition(of)?;
        Ok(self.groups.committed(group, of))
    }

    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.partition(of)?.set_restore_point(offset);
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        self.appender.queue.close();
        match lock(&self.thread).take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(finished)) => finished,
            Some(Err(_)) => Err(LogError::Failed("the writer thread has panicked".to_owned())),
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "log not closed cleanly");
        }
    }
}

/// The way into the queue.
#[derive(Clone)]
struct Appender {
    queue: Arc<Queue>,
    positions: Arc<HashMap<TopicPartition, usize>>,
    record_bytes_max: usize,
}

impl Appender {
    fn position(&self, name: &TopicPartition) -> Result<usize, LogError> {
        self.positions.get(name).copied().ok_or_else(|| LogError::UnknownPartition(name.clone()))
    }

    fn append(
        &self,
        to: &TopicPartition,
        values: Vec<Bytes>,
        claim: Option<Claim>,
        room: Room,
    ) -> AppendFuture {
        match self.enqueue(to, values, claim, room) {
            Ok(answer) => Box::pin(async move {
                let ended = |_| LogError::Failed("the writer thread has ended".to_owned());
                answer.await.map_err(ended)?
            }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn enqueue(
        &self,
        to: &TopicPartition,
        values: Vec<Bytes>,
        claim: Option<Claim>,
        room: Room,
    ) -> Result<oneshot::Receiver<Result<crate::Appended, LogError>>, LogError> {
        let partition = self.position(to)?;
        let limit = self.record_bytes_max;
        if let Some(bytes) = values.iter().map(Bytes::len).find(|&bytes| bytes > limit) {
            return Err(LogError::TooLarge { bytes, limit });
        }
        if let Some(claim) = &claim {
            claim.check()?;
        }
        let (done, answer) = oneshot::channel();
        self.queue.push(Append { partition, values, claim, room, done })?;
        Ok(answer)
    }

    /// Has the writer do something after what is queued, and waits for it.
    fn wait(&self, control: impl FnOnce(mpsc::SyncSender<()>) -> Control) -> Result<(), LogError> {
        let (done, wait) = mpsc::sync_channel(1);
        self.queue.control(control(done))?;
        wait.recv().map_err(|_| LogError::Failed("the writer thread has ended".to_owned()))
    }
}

struct Fenced {
    appender: Appender,
    claim: Claim,
}

impl FencedWriter for Fenced {
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        self.appender.append(to, values, Some(self.claim.clone()), Room::Common)
    }
}

/// Runs the writer of a log that was opened without a thread.
pub struct Stepper(Writer);

impl Stepper {
    /// Writes what waits now, in one round as far as it fits.
    pub fn step(&mut self) {
        self.0.step(Duration::ZERO);
    }

    /// Ends as a graceful stop does.
    pub fn finish(mut self) -> Result<(), LogError> {
        self.0.finish()
    }
}

struct EndOfQueue(Arc<Queue>);

impl Drop for EndOfQueue {
    fn drop(&mut self) {
        self.0.die();
    }
}
