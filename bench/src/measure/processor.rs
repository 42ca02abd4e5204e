//! Processor time of this program, for work that it does itself.

use rustix::time::{ClockId, clock_gettime};

/// Of this thread, in seconds.
pub(crate) fn thread_s() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// Of all threads of this process, in seconds, with what the kernel did for them.
pub(crate) fn process_s() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
