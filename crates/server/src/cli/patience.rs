//! Says what is waited for when it takes long.

use std::{
    io::Write,
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What is there sooner needs no word.
const QUIET: Duration = Duration::from_secs(1);

/// How often it is said again, with how long it has been.
const EVERY: Duration = Duration::from_secs(5);

/// While it lives, standard error says now and then what is waited for.
pub(super) struct Patience {
    done: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Patience {
    /// Starts to wait for something, such as "making topics".
    pub(super) fn with(what: String) -> Self {
        let (done, waiting) = sync_channel::<()>(1);
        let tell = move || {
            let began = Instant::now();
            let mut pause = QUIET;
            while waiting.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let seconds = began.elapsed().as_secs();
                // Where it cannot be said, it is waited in silence.
                writeln!(std::io::stderr(), "emostream: {what} … {seconds} s").ok();
                pause = EVERY;
            }
        };
        let thread = std::thread::Builder::new().name("patience".to_owned()).spawn(tell).ok();
        Self { done: Some(done), thread }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        drop(self.done.take());
        // Nothing is said once the wait is over.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
