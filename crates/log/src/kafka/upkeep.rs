//! What is done every now and then: deleting what no replay needs, asking the brokers' clock, ending idle clients.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context as TaskContext, Waker},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Offset as Place, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    error::KafkaError,
};

use super::{
    client::{self, Context, Health},
    clock::BrokerClock,
    config::{KafkaConfig, TopicKind},
    error::{unavailable, words},
    read::{Reader, partition_number},
    waiting::wait_until,
    write::{Value, Writer},
};
use crate::{AppendFuture, Clock as _, LogError, Offset, TopicPartition, locks::lock};

/// How often it is looked whether something is due.
const EVERY: Duration = Duration::from_secs(1);

/// Without an append for this long, one is made to ask the clock.
const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// Does the upkeep on a thread of its own.
pub(super) struct Upkeep {
    work: Arc<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Work {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    clock: Arc<BrokerClock>,
    reader: Arc<Reader>,
    writer: Arc<Writer>,
    restore_points: Mutex<BTreeMap<TopicPartition, Offset>>,
    ended: Mutex<bool>,
    end: Condvar,
}

/// The record by which a node asks the brokers' clock.
pub(super) fn clock_probe(node: &str) -> Vec<Value> {
    vec![(Some(format!("clock/{node}").into()), Bytes::from_static(&[1]))]
}

impl Upkeep {
    pub(super) fn start(
        config: &Arc<KafkaConfig>,
        health: &Arc<Health>,
        clock: &Arc<BrokerClock>,
        reader: &Arc<Reader>,
        writer: &Arc<Writer>,
    ) -> Result<Self, LogError> {
        let work = Arc::new(Work {
            config: Arc::clone(config),
            health: Arc::clone(health),
            clock: Arc::clone(clock),
            reader: Arc::clone(reader),
            writer: Arc::clone(writer),
            restore_points: Mutex::default(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let running = Arc::clone(&work);
        let thread = std::thread::Builder::new().name("kafka-upkeep".to_owned()).spawn(move || running.run());
        let thread = thread.map_err(|error| LogError::Failed(format!("start a thread: {error}")))?;
        Ok(Self { work, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn set_restore_point(&self, of: &TopicPartition, offset: Offset) {
        let mut points = lock(&self.work.restore_points);
        let point = points.entry(of.clone()).or_default();
        // A promise is not taken back.
        *point = offset.max(*point);
    }

    /// Deletes now what may be deleted.
    pub(super) fn trim(&self) -> Result<(), LogError> {
        self.work.trim()
    }

    pub(super) fn close(&self) {
        *lock(&self.work.ended) = true;
        self.work.end.notify_all();
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the upkeep's thread has panicked");
        }
    }
}

impl Work {
    fn run(&self) {
        let mut trimmed = Instant::now();
        let mut probe: Option<AppendFuture> = None;
        while !self.wait() {
            self.reader.tidy();
            probe = self.probe(probe);
            if trimmed.elapsed() >= self.config.trim_every {
                if let Err(error) = self.trim() {
                    tracing::warn!(%error, "records that no replay needs could not be deleted; tried again later");
                }
                trimmed = Instant::now();
            }
        }
    }

    /// Waits for the next time; whether this was the last.
    fn wait(&self) -> bool {
        let ended = lock(&self.ended);
        let (ended, _) = self
            .end
            .wait_timeout_while(ended, EVERY, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        *ended
    }

    /// Asks the clock where no append has for a while. The answer teaches the clock by itself.
    fn probe(&self, under_way: Option<AppendFuture>) -> Option<AppendFuture> {
        if let Some(mut probe) = under_way {
            let polled = probe.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
            return polled.is_pending().then_some(probe);
        }
        if self.clock.age() < CLOCK_EVERY {
            return None;
        }
        let state = TopicPartition::new(self.config.state_topic.as_str(), 0);
        Some(self.writer.append(&state, &clock_probe(&self.config.node)))
    }

    fn trim(&self) -> Result<(), LogError> {
        let points: Vec<_> =
            lock(&self.restore_points).iter().map(|(of, offset)| (of.clone(), *offset)).collect();
        let mut cuts = TopicPartitionList::new();
        let mut troubles = Vec::new();
        for (of, restore_point) in points {
            // One partition without a leader must not fill the disks with all others.
            match self.cut(&of, restore_point) {
                Ok(None) => {}
                Ok(Some(cut)) => {
                    let offset = Place::Offset(i64::try_from(cut).unwrap_or(i64::MAX));
                    let (topic, number) = (self.config.remote(&of.topic), partition_number(&of));
                    let added = cuts.add_partition_offset(&topic, number, offset);
                    added.map_err(|error| unavailable("delete records", &error))?;
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
        if cuts.count() > 0 {
            self.delete(&cuts)?;
        }
        troubles.into_iter().next().map_or(Ok(()), Err)
    }

    /// Where a partition may be cut off, if anywhere.
    fn cut(&self, of: &TopicPartition, restore_point: Offset) -> Result<Option<Offset>, LogError> {
        let TopicKind::Log { retention_ms } = self.reader.topic(of)?.kind else { return Ok(None) };
        let start = self.reader.bounds(of)?.start;
        if restore_point <= start {
            return Ok(None);
        }
        let kept_ms = i64::try_from(retention_ms).unwrap_or(i64::MAX);
        let old = self.reader.offset_at(of, self.clock.now_ms().saturating_sub(kept_ms))?;
        let cut = restore_point.min(old);
        Ok((cut > start).then_some(cut))
    }

    fn delete(&self, cuts: &TopicPartitionList) -> Result<(), LogError> {
        let failed = |error: &KafkaError| unavailable("delete records", error);
        // Made for each time: nobody would serve what an idle one reports.
        let context = Context { health: Arc::clone(&self.health) };
        let admin: AdminClient<Context> =
            client::base(&self.config).create_with_context(context).map_err(|error| failed(&error))?;
        let timeout = self.config.request_timeout;
        let options = AdminOptions::new().request_timeout(Some(timeout));
        let deadline = Instant::now() + 2 * timeout;
        let done = wait_until(deadline, admin.delete_records(cuts, &options));
        let done =
            done.ok_or_else(|| LogError::Unavailable("delete records: no broker answers".to_owned()))?;
        let done = done.map_err(|error| failed(&error))?;
        let refused = done.elements().into_iter().find_map(|cut| {
            let error = cut.error().err()?;
            Some(format!("delete records of {}-{}: {}", cut.topic(), cut.partition(), words(&error)))
        });
        refused.map_or(Ok(()), |refused| Err(LogError::Unavailable(refused)))
    }
}
