//! Checks that a viewer sees what is promised: sequences ascend within an epoch, and no moment comes twice.

use std::collections::VecDeque;

/// What one viewer has seen. Pure.
#[derive(Debug, Default)]
pub(super) struct OrderCheck {
    epoch: String,
    /// Highest sequence of any frame: where to resume.
    newest: u64,
    window: u64,
    moment: u64,
    pulse: u64,
    moments: VecDeque<u64>,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its sequence is not above that of the last frame of its kind.
    Order,
    /// The moment has been seen already.
    DuplicateMoment,
}

/// Moments remembered to tell a repeat from a wrong order.
const MOMENTS_MAX: usize = 512;

impl OrderCheck {
    /// A frame that carries a sequence.
    pub(super) fn see(&mut self, kind: &str, epoch: &str, seq: u64) -> Result<(), Fault> {
        if self.epoch != epoch {
            // Another epoch is another numbering.
            *self = Self { epoch: epoch.to_owned(), ..Self::default() };
        }
        let fault = match kind {
            "window" => ascend(&mut self.window, seq),
            "moment" => self.see_moment(seq),
            // A pulse repeats the newest sequence.
            "pulse" if seq < self.pulse => Some(Fault::Order),
            "pulse" => {
                self.pulse = seq;
                None
            }
            _ => None,
        };
        if kind != "hello" {
            self.newest = self.newest.max(seq);
        }
        fault.map_or(Ok(()), Err)
    }

    fn see_moment(&mut self, seq: u64) -> Option<Fault> {
        if self.moments.contains(&seq) {
            return Some(Fault::DuplicateMoment);
        }
        if self.moments.len() == MOMENTS_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back(seq);
        ascend(&mut self.moment, seq)
    }

    /// What to add to the stream's address to go on where this viewer was.
    pub(super) fn resume_query(&self) -> String {
        if self.newest == 0 {
            return String::new();
        }
        format!("?epoch={}&since={}", self.epoch, self.newest)
    }

    /// After a new connection pulses and windows may start anywhere; moments are still counted once.
    pub(super) fn reconnected(&mut self) {
        (self.pulse, self.window) = (0, 0);
    }
}

fn ascend(last: &mut u64, seq: u64) -> Option<Fault> {
    let fault = (seq <= *last).then_some(Fault::Order);
    *last = (*last).max(seq);
    fault
}

#[cfg(test)]
mod tests {
    use super::{Fault, OrderCheck};

    #[test]
    fn sequences_ascend_by_kind_and_moments_come_once() {
        let mut check = OrderCheck::default();
        let mut see = |kind, seq| check.see(kind, "e1", seq);
        assert_eq!(see("hello", 100), Ok(()));
        assert_eq!((see("window", 101), see("moment", 102), see("pulse", 102)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(see("pulse", 102), Ok(()), "a pulse repeats the newest");
        assert_eq!(see("window", 101), Err(Fault::Order));
        assert_eq!(see("moment", 102), Err(Fault::DuplicateMoment));
        assert_eq!((see("moment", 110), see("moment", 105)), (Ok(()), Err(Fault::Order)));
        assert_eq!(check.resume_query(), "?epoch=e1&since=110");
        check.reconnected();
        assert_eq!(check.see("window", "e1", 90), Ok(()));
        assert_eq!(check.see("moment", "e1", 102), Err(Fault::DuplicateMoment));
        assert_eq!(check.see("window", "e2", 1), Ok(()), "another epoch begins anew");
    }
}
