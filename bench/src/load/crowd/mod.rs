//! A crowd of viewers who are sent to edges, each a task of one thread: they come all at once, and come back after a loss.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod viewer;
mod wire;

pub(crate) use viewer::{Member, Sight};
use viewer::{Viewer, lock};

/// How often it is looked whether something has come to be.
const LOOK: Duration = Duration::from_millis(5);

/// Viewers, and what has become of them.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    leaving: CancellationToken,
    watching: Option<JoinHandle<()>>,
    /// When all of them were let loose.
    pub(crate) began: Instant,
}

/// What all viewers have in common.
struct Shared {
    home: SocketAddr,
    channel: &'static str,
    /// The first viewers are these, the others guests.
    members: Vec<Member>,
    sights: Vec<Mutex<Sight>>,
    /// Viewers who have been greeted and are still there.
    connected: AtomicUsize,
    /// Places asked for.
    asked: AtomicU64,
    /// What went wrong, and how often, with what was said of it last.
    faults: Mutex<BTreeMap<String, (u64, String)>>,
}

impl Shared {
    /// Counts what went wrong. Nothing was said of when to try again.
    fn note(&self, kind: &str, said: &str) -> Option<Duration> {
        let mut faults = lock(&self.faults);
        let fault = faults.entry(kind.to_owned()).or_default();
        fault.0 += 1;
        said.clone_into(&mut fault.1);
        None
    }
}

impl Crowd {
    /// Lets so many viewers loose on a server that places them. Members are among them, the others are guests.
    pub(crate) fn begin(
        home: SocketAddr,
        channel: &'static str,
        number: usize,
        members: Vec<Member>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            home,
            channel,
            members,
            sights: (0..number).map(|_| Mutex::default()).collect(),
            connected: 0.into(),
            asked: 0.into(),
            faults: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (leaving, theirs) = (CancellationToken::new(), shared.clone());
        let left = leaving.clone();
        let began = Instant::now();
        // It stays on the core of loads, where this thread is.
        let watching = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut viewers = JoinSet::new();
                for number in 0..theirs.sights.len() {
                    viewers.spawn(Viewer::new(theirs.clone(), number).watch());
                }
                // They watch until they are dropped: one that ends has panicked.
                left.run_until_cancelled(viewers.join_next()).await;
            });
        });
        Ok(Self { shared, leaving, watching: Some(watching), began })
    }

    /// Viewers who are there.
    pub(crate) fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// Places asked for so far.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// What went wrong so far, and how often.
    pub(crate) fn faults(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.faults).iter().map(|(kind, (number, _))| (kind.clone(), *number)).collect()
    }

    /// What each viewer has seen so far.
    pub(crate) fn sights<T>(&self, of: impl Fn(&Sight) -> T) -> Vec<T> {
        self.shared.sights.iter().map(|sight| of(&lock(sight))).collect()
    }

    /// Waits until something is so.
    pub(crate) fn wait(
        &self,
        what: &str,
        patience: Duration,
        is_so: impl Fn(&Self) -> Result<bool>,
    ) -> Result<()> {
        let began = Instant::now();
        while !is_so(self)? {
            let is_watching = self.watching.as_ref().is_some_and(|watching| !watching.is_finished());
            ensure!(is_watching, "the viewers have broken off");
            ensure!(
                began.elapsed() < patience,
                "{what}: not within {patience:?}; {} of {} are there, {:?}",
                self.connected(),
                self.shared.sights.len(),
                lock(&self.shared.faults)
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until everybody is there.
    pub(crate) fn wait_for_all(&self, patience: Duration) -> Result<()> {
        let number = self.shared.sights.len();
        self.wait("everybody is there", patience, |crowd| Ok(crowd.connected() == number))
    }
}

/// Everybody leaves.
impl Drop for Crowd {
    fn drop(&mut self) {
        self.leaving.cancel();
        if let Some(watching) = self.watching.take() {
            drop(watching.join());
        }
    }
}
