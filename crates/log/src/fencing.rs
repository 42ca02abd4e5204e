//! Who holds a writer identity now: taking it again ascends its epoch and so fences the holder before.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{LogError, locks::lock};

/// Keeps an owner's epoch across restarts.
pub(crate) trait EpochStore: Send + Sync {
    /// Stores durably that `owner` has reached `epoch`.
    fn save(&self, owner: &str, epoch: u64) -> Result<(), LogError>;
}

/// The claim of one writer on an identity.
#[derive(Clone)]
pub(crate) struct Claim {
    owner: Arc<str>,
    epoch: u64,
    newest: Arc<AtomicU64>,
}

impl Claim {
    /// Refuses once a newer claim exists.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.newest.load(Ordering::SeqCst) == self.epoch {
            Ok(())
        } else {
            Err(LogError::Fenced(self.owner.to_string()))
        }
    }
}

/// All identities of a log.
pub(crate) struct Owners {
    store: Box<dyn EpochStore>,
    newest: Mutex<HashMap<Arc<str>, Arc<AtomicU64>>>,
}

impl Owners {
    pub(crate) fn new(store: Box<dyn EpochStore>, stored: impl IntoIterator<Item = (String, u64)>) -> Self {
        let newest = stored
            .into_iter()
            .map(|(owner, epoch)| (owner.into(), Arc::new(AtomicU64::new(epoch))))
            .collect();
        Self { store, newest: Mutex::new(newest) }
    }

    /// Takes an identity. The caller must still wait for appends of the fenced holder that are under way.
    pub(crate) fn claim(&self, owner: &str) -> Result<Claim, LogError> {
        check_name("writer", owner)?;
        let mut all = lock(&self.newest);
        let known = all.get(owner).map_or(0, |newest| newest.load(Ordering::SeqCst));
        let epoch = known + 1;
        // Stored before it takes effect: a claim that cannot be kept fences nobody.
        self.store.save(owner, epoch)?;
        let owner: Arc<str> = owner.into();
        let newest = Arc::clone(all.entry(Arc::clone(&owner)).or_default());
        newest.store(epoch, Ordering::SeqCst);
        Ok(Claim { owner, epoch, newest })
    }
}

/// Names become file names, so only harmless characters are taken.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), LogError> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= 128 && name.chars().all(harmless) {
        return Ok(());
    }
    Err(LogError::Format(format!(
        "{what} name {name:?} is not 1 to 128 ASCII letters, digits, dots, underscores or hyphens"
    )))
}
