//! Where ingest and control meet: whose login token it is. Only channels for members ask.

use emostream_log::Clock;
use foldhash::fast::RandomState;
use futures_util::future::BoxFuture;
use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// Tells members by their login tokens.
pub trait Members: Send + Sync {
    /// The name of the account whose token it is.
    fn member(&self, token: String) -> BoxFuture<'_, Result<String, NotMember>>;
}

/// Why a token tells no member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMember {
    /// The token is not good, or not any more.
    #[error("the token is not valid")]
    Invalid,
    /// Who would know does not answer.
    #[error("control does not answer: {0}")]
    Unavailable(String),
}

/// So long an answer holds, ms: an account that is removed reacts no longer than that.
const HOLDS_MS: i64 = 30_000;

/// Answers that are kept. Of more, each costs a question.
const KEPT_MAX: usize = 100_000;

/// Remembers members for a while: they react again and again.
pub struct KnownMembers {
    ask: Arc<dyn Members>,
    clock: Arc<dyn Clock>,
    /// By a digest of the token, with the time until which it holds.
    known: Mutex<HashMap<[u8; 32], (String, i64), RandomState>>,
}

impl KnownMembers {
    /// Nobody is known yet.
    pub fn new(ask: Arc<dyn Members>, clock: Arc<dyn Clock>) -> Self {
        Self { ask, clock, known: Mutex::default() }
    }

    /// The name of the account whose token it is.
    pub async fn member(&self, token: &str) -> Result<String, NotMember> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(name) = self.remembered(&key) {
            return Ok(name);
        }
        let name = self.ask.member(token.to_owned()).await?;
        self.remember(key, &name);
        Ok(name)
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        let (name, until_ms) = known.get(key)?;
        (*until_ms > self.clock.now_ms()).then(|| name.clone())
    }

    fn remember(&self, key: [u8; 32], name: &str) {
        let now_ms = self.clock.now_ms();
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if known.len() >= KEPT_MAX {
            known.retain(|_, (_, until_ms)| *until_ms > now_ms);
        }
        if known.len() < KEPT_MAX {
            known.insert(key, (name.to_owned(), now_ms + HOLDS_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    };

    use emostream_log::Clock;
    use futures_util::future::BoxFuture;

    use super::{HOLDS_MS, KnownMembers, Members, NotMember};

    #[derive(Default)]
    struct Control {
        asked: AtomicUsize,
        now_ms: AtomicI64,
    }

    impl Members for Control {
        fn member(&self, token: String) -> BoxFuture<'_, Result<String, NotMember>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let name = token.strip_prefix("of ").map(str::to_owned).ok_or(NotMember::Invalid);
            Box::pin(std::future::ready(name))
        }
    }

    impl Clock for Control {
        fn now_ms(&self) -> i64 {
            self.now_ms.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_member_is_remembered_for_a_while_and_a_stranger_is_not() {
        let control = Arc::<Control>::default();
        let known = KnownMembers::new(control.clone(), control.clone());
        let asked = || control.asked.load(Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(known.member("of ada").await, Ok("ada".to_owned()));
        }
        assert_eq!((known.member("of bob").await, asked()), (Ok("bob".to_owned()), 2));
        assert_eq!(
            (known.member("x").await, known.member("x").await),
            (Err(NotMember::Invalid), Err(NotMember::Invalid))
        );
        assert_eq!(asked(), 4);
        control.now_ms.store(HOLDS_MS, Ordering::SeqCst);
        assert_eq!((known.member("of ada").await, asked()), (Ok("ada".to_owned()), 5));
    }
}
