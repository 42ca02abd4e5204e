//! The keys by which an edge knows control's tickets: asked for when a ticket names one that is not known.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use emostream_log::Clock;
use emostream_protocol::placement::TicketClaims;
use tokio::sync::Mutex;

use crate::placement_link::{ControlLink, TicketError, TicketKeys};

/// Control is asked for keys at most this often: tickets that nobody has signed name keys that nobody has.
const ASK_EVERY_MS: i64 = 2_000;

/// Why what a ticket says cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    #[error("{0}")]
    Bad(#[from] TicketError),
    #[error("the keys of tickets are not known here: control has not answered since the start")]
    NoKeys,
    #[error("this node has no control to ask for the keys of tickets")]
    NoControl,
}

/// Public keys of tickets, shared by all edges of a node.
pub(super) struct Keyring {
    keys: ArcSwapOption<TicketKeys>,
    link: Option<Arc<dyn ControlLink>>,
    clock: Arc<dyn Clock>,
    /// When control was asked last, ms. Held while it is asked, so that one asks for all.
    asked_ms: Mutex<Option<i64>>,
}

impl Keyring {
    pub(super) fn new(link: Option<Arc<dyn ControlLink>>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { keys: ArcSwapOption::empty(), link, clock, asked_ms: Mutex::default() })
    }

    /// What a ticket says, if control has signed it and it still holds.
    pub(super) async fn verify(&self, ticket: &str, now_ms: i64) -> Result<TicketClaims, Unverified> {
        let is_known = self.keys.load().as_ref().is_some_and(|keys| !keys.is_of_another_key(ticket));
        if !is_known {
            self.refresh().await;
        }
        match (&*self.keys.load(), &self.link) {
            (Some(keys), _) => Ok(keys.verify(ticket, now_ms)?),
            (None, Some(_)) => Err(Unverified::NoKeys),
            (None, None) => Err(Unverified::NoControl),
        }
    }

    /// Asks control for its keys, unless it was asked a moment ago.
    pub(super) async fn refresh(&self) {
        let Some(link) = &self.link else { return };
        let mut asked_ms = self.asked_ms.lock().await;
        let now_ms = self.clock.now_ms();
        if asked_ms.is_some_and(|asked_ms| now_ms - asked_ms < ASK_EVERY_MS) {
            return;
        }
        match link.ticket_keys().await {
            Ok(keys) => self.keys.store(Some(Arc::new(keys))),
            Err(error) => tracing::warn!(%error, "the keys of tickets are not to be had"),
        }
        *asked_ms = Some(self.clock.now_ms());
    }

    /// Whether any are known.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.load().is_none()
    }
}
