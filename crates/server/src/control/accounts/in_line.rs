//! Accounts of those who wait in line, as they were when they were told to: they ask again and again, and the store is not
//! asked with them each time. Before anything is given to them, it is.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use futures_util::{FutureExt as _, future::BoxFuture};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::{Accounts, token_error};
use crate::http::{
    access::Caller,
    problem::{ErrorType, Problem},
};

/// Accounts that are remembered: as many as may wait in line. One more is looked up each time.
const REMEMBERED_MAX: usize = 100_000;

/// Somebody is remembered for so much longer than they were told to wait: answers and people are late at times.
const SLACK: Duration = Duration::from_secs(10);

/// Who was told to wait, by the digest of their token.
#[derive(Default)]
pub(super) struct InLine {
    entries: Mutex<HashMap<[u8; 32], Entry, RandomState>>,
}

struct Entry {
    caller: Caller,
    until_ms: i64,
}

/// Whose token it is, as far as is known.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The account.
    pub caller: Caller,
    token: String,
    /// It is as it was when its owner was told to wait.
    is_remembered: bool,
}

impl InLine {
    fn find(&self, token: &str, now_ms: i64) -> Option<Caller> {
        let entries = self.entries();
        let entry = entries.get(&digest(token)).filter(|entry| entry.until_ms > now_ms)?;
        Some(entry.caller.clone())
    }

    fn remember(&self, shown: &Shown, until_ms: i64, now_ms: i64) {
        let mut entries = self.entries();
        if entries.len() == entries.capacity() || entries.len() >= REMEMBERED_MAX {
            entries.retain(|_, entry| entry.until_ms > now_ms);
        }
        if entries.len() < REMEMBERED_MAX {
            entries.insert(digest(&shown.token), Entry { caller: shown.caller.clone(), until_ms });
        }
    }

    fn forget(&self, token: &str) {
        self.entries().remove(&digest(token));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry, RandomState>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Accounts {
    /// Whose token it is, or was when its owner was told to wait a moment ago: [`Self::check`] finds out which.
    pub async fn shown(&self, token: &str) -> Result<Shown, Problem> {
        let now_ms = self.clock.now_ms();
        // Its signature and its time are looked at in any case.
        self.keys.read(token, now_ms).map_err(token_error)?;
        let (caller, is_remembered) = match self.in_line.find(token, now_ms) {
            Some(caller) => (caller, true),
            None => (self.caller(token).await?, false),
        };
        Ok(Shown { caller, token: token.to_owned(), is_remembered })
    }

    /// Looks the account up, if it was only remembered.
    pub fn check<'a>(&'a self, shown: &'a Shown) -> BoxFuture<'a, Result<(), Problem>> {
        async move {
            if !shown.is_remembered {
                return Ok(());
            }
            let checked = self.caller(&shown.token).await;
            if checked.as_ref().is_err_and(|problem| problem.kind == ErrorType::TokenInvalid) {
                self.in_line.forget(&shown.token);
            }
            checked.map(drop)
        }
        .boxed()
    }

    /// Remembers whoever is told to wait in line.
    pub fn told(&self, shown: &Shown, problem: &Problem) {
        let wait = problem.retry_after.filter(|_| problem.kind == ErrorType::NoRoom);
        if let Some(ms) = wait.and_then(|wait| i64::try_from((wait + SLACK).as_millis()).ok()) {
            let now_ms = self.clock.now_ms();
            self.in_line.remember(shown, now_ms.saturating_add(ms), now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use emostream_store::UserId;

    use super::{InLine, REMEMBERED_MAX, Shown};
    use crate::http::access::{Caller, Role};

    fn shown(token: String) -> Shown {
        let (id, username) = (UserId::from_bytes([7; 16]), "Ada".to_owned());
        let caller = Caller { id, username, role: Role::Viewer, tier: 1, expires_at_ms: 0 };
        Shown { caller, token, is_remembered: false }
    }

    #[test]
    fn who_waits_is_remembered_for_a_while_and_no_more_than_may_wait() {
        let in_line = InLine::default();
        in_line.remember(&shown("a".into()), 10, 0);
        assert!(in_line.find("a", 9).is_some() && in_line.find("a", 10).is_none());
        assert!(in_line.find("b", 0).is_none());
        in_line.forget("a");
        assert!(in_line.find("a", 9).is_none());
        for number in 0..=REMEMBERED_MAX {
            in_line.remember(&shown(number.to_string()), 10, 0);
        }
        assert_eq!(in_line.entries().len(), REMEMBERED_MAX);
        // Those whose time is over give way.
        in_line.remember(&shown("later".into()), 20, 10);
        assert!(in_line.find("later", 19).is_some());
        assert_eq!(in_line.entries().len(), 1);
    }
}
