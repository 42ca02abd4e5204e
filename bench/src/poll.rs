//! Waiting for many sockets at once.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

/// Sockets looked at after one wait.
const EVENTS_MAX: usize = 1_024;

/// A set of sockets with a number each.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket for something to read.
    pub(crate) fn watch(&self, socket: impl AsFd, number: usize) -> Result<()> {
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), EventFlags::IN)?;
        Ok(())
    }

    /// Waits until something can be read, or until the end; the numbers of the sockets.
    pub(crate) fn wait(&mut self, end: Instant, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        self.events.clear();
        let left = end.saturating_duration_since(Instant::now());
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timespec(left)?)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| usize::try_from(event.data.u64()).unwrap_or(usize::MAX)));
        Ok(())
    }
}

fn timespec(time: Duration) -> Result<Timespec> {
    Ok(Timespec::try_from(time)?)
}
