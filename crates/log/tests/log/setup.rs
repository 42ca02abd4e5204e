//! Logs to test with.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use emostream_log::{
    Generation, ManualClock, TopicPartition,
    embedded::{EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
    memory::MemoryLog,
};

pub(crate) const START_MS: i64 = 1_000_000;

pub(crate) fn topic(name: &str, partitions: u32) -> TopicConfig {
    TopicConfig { name: name.to_owned(), partitions, retention: Retention::default() }
}

pub(crate) fn at(partition: u32) -> TopicPartition {
    TopicPartition::new("taps", partition)
}

pub(crate) fn values(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

/// A log in a fresh directory, with small segments so that there are several.
pub(crate) struct OnDisk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: EmbeddedConfig,
}

impl OnDisk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START_MS));
        let mut config =
            EmbeddedConfig::new(dir.path().join("log"), vec![topic("taps", 3), topic("rows", 1)]);
        config.clock = Arc::clone(&clock) as _;
        config.segment_bytes = 4096;
        Self { dir, clock, config }
    }

    pub(crate) fn open(&self) -> EmbeddedLog {
        EmbeddedLog::open(&self.config).unwrap().0
    }
}

pub(crate) fn in_memory(clock: &Arc<ManualClock>) -> MemoryLog {
    let generation = Generation { id: [7; 16], parameters: BTreeMap::new() };
    MemoryLog::new(generation, &[("taps", 3), ("rows", 1)], Arc::clone(clock) as _)
}

/// The outcome of a future that should be ready.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Waits for a future.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
