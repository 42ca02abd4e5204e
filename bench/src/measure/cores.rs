//! Which core runs what: the server on one, everything that loads it on the other.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores, the same one where there is no second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// Of servers.
    pub(crate) server: usize,
    /// Of this process.
    pub(crate) load: usize,
    /// Cores that there are.
    pub(crate) number: usize,
}

impl Cores {
    /// Takes the first two cores that this process may use, and moves this thread to the second.
    pub(crate) fn take() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("read the cores of this process")?;
        let usable: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let server = *usable.first().context("expected at least one core")?;
        let load = usable.get(1).copied().unwrap_or(server);
        let cores = Self { server, load, number: usable.len() };
        pin(load)?;
        Ok(cores)
    }

    /// Does something on the servers' core. What it starts stays there: a process inherits the cores of the thread
    /// that starts it, and so its runtime makes as many workers as on a machine with one core.
    pub(crate) fn on_server_core<T>(self, work: impl FnOnce() -> T) -> Result<T> {
        pin(self.server)?;
        let done = work();
        pin(self.load)?;
        Ok(done)
    }
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("move to core {core}"))
}
