//! What the system says of processes: whether a fault has taken effect.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::harness::PATIENCE;

/// The state of a process as one letter: `T` is stopped by a signal, `Z` ended and not yet waited for.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may hold spaces and parentheses.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// There is no process of this id any more.
pub(crate) fn assert_gone(pid: u32) {
    assert_eq!(state(pid), None, "process {pid} is still there");
}

/// A signal is taken a moment after it was sent.
pub(crate) fn assert_stopped(pid: u32, stopped: bool) {
    let began = Instant::now();
    while (state(pid) == Some('T')) != stopped {
        assert!(began.elapsed() < PATIENCE, "process {pid} is in state {:?}", state(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
}
