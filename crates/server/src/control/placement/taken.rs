//! A place that is being given: unless it is, it goes back to whom it belongs, whatever became of the request.

use std::sync::Arc;

use emostream_store::EdgeRecord;
use uuid::Uuid;

use super::{Core, Placed, line::Waiter};

/// A place that was taken. Dropped without [`Taken::keep`], it is free again, and whoever had waited stands in line where they
/// stood, unless they had to [leave](Taken::leave_line): an error, and a caller who went away in the middle of it, cost nobody
/// anything.
pub(super) struct Taken {
    core: Arc<Core>,
    pub(super) ticket: Uuid,
    pub(super) edge: EdgeRecord,
    waiter: Option<Waiter>,
    is_given: bool,
}

impl Taken {
    pub(super) fn new(core: Arc<Core>, ticket: Uuid, edge: EdgeRecord, waiter: Option<Waiter>) -> Self {
        Self { core, ticket, edge, waiter, is_given: false }
    }

    /// Whoever had waited is refused, and not for a while: they wait no longer.
    pub(super) fn leave_line(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.core.state().given.forget(waiter.id);
        }
    }

    /// It is given: to be told again to whoever had waited and did not hear of it.
    pub(super) fn keep(mut self, placed: &Placed) {
        self.is_given = true;
        if let Some(waiter) = self.waiter.take() {
            self.core.state().given.keep(waiter, placed.clone());
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_given {
            return;
        }
        let mut state = self.core.state();
        state.house.give_back(&self.edge.name, self.ticket);
        if let Some(waiter) = self.waiter.take() {
            state.given.forget(waiter.id);
            state.line.put_back(waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        net::IpAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use emostream_log::ManualClock;
    use emostream_protocol::placement::EdgeReport;
    use emostream_store::{NewUser, Role, Store, StoreOptions, UserId};
    use futures_util::FutureExt as _;
    use serde_json::Value;
    use uuid::Uuid;

    use super::super::{Components, Device, Placed, Placement, Wanted, Who};
    use crate::{
        config::{AccountsConfig, PlacementConfig},
        control::tickets::TicketSigner,
        http::problem::{ErrorType, Problem},
        tasks::Tasks,
        telemetry::Metrics,
    };

    fn ada() -> UserId {
        UserId::from_bytes([7; 16])
    }

    /// Placement with one edge that has room for one.
    async fn placement(dir: &tempfile::TempDir, tasks: &Tasks) -> Arc<Placement> {
        let store = Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap();
        let user = NewUser {
            id: ada(),
            name: "Ada".into(),
            role: Role::Viewer,
            password_hash: "x".into(),
            tier: Some(1),
        };
        store.create_user(&user, 1).await.unwrap();
        let components = Components {
            store,
            signer: TicketSigner::random().unwrap(),
            dir: dir.path().to_owned(),
            metrics: Arc::new(Metrics::default()),
            clock: Arc::new(ManualClock::new(1_750_000_000_000)),
        };
        let (config, accounts) = (PlacementConfig::default(), AccountsConfig::default());
        let placement = Placement::start(&config, &accounts, components, tasks).await.unwrap();
        placement.take_report(report(1, 1, &[])).await.unwrap();
        placement
    }

    fn report(number: u64, viewers: u32, opened: &[Uuid]) -> EdgeReport {
        EdgeReport {
            edge: "north-1".into(),
            cluster: "north".into(),
            url: String::new(),
            port: 3005,
            capacity: 1,
            generation: Uuid::from_u128(1),
            number,
            viewers,
            is_leaving: false,
            opened: opened.to_vec(),
            closed: Vec::new(),
            held: Some(Vec::new()),
        }
    }

    fn phone(line: Option<&str>) -> Wanted {
        let device = Device::new(Some("phone".into()), None).unwrap();
        let who = Who::Account { id: ada(), name: "Ada".into(), device };
        Wanted { who, line: line.map(str::to_owned), end_device: None, lost_edge: None }
    }

    fn guest() -> Wanted {
        let who = Who::Guest { name: "guest:1".into(), address: IpAddr::from([10, 0, 0, 1]) };
        Wanted { who, line: None, end_device: None, lost_edge: None }
    }

    async fn place(placement: &Placement, wanted: Wanted) -> Result<Placed, Problem> {
        placement.place(wanted, ready(Ok(())).boxed()).await
    }

    /// Token and place of who is told to wait.
    fn waits(placed: Result<Placed, Problem>) -> (String, u64) {
        let line = placed.unwrap_err().members.unwrap().remove("line").unwrap();
        let token = line.get("token").and_then(Value::as_str).unwrap().to_owned();
        (token, line.get("place").and_then(Value::as_u64).unwrap())
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_in_the_middle_keeps_the_place_and_takes_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let placement = placement(&dir, &tasks).await;
        let (token, at) = waits(place(&placement, phone(None)).await);
        assert_eq!(at, 1);
        assert_eq!(waits(place(&placement, guest()).await).1, 2);
        // There is room for one now. The first asks, and goes away while the lease is being reserved.
        placement.take_report(report(2, 0, &[])).await.unwrap();
        assert!(place(&placement, phone(Some(&token))).now_or_never().is_none());
        let placed = place(&placement, phone(Some(&token))).await.unwrap();
        assert_eq!(placed.device_id.as_deref(), Some("phone"));
        // Whoever did not hear of that is told the same, and nobody else goes.
        let again = place(&placement, phone(Some(&token))).await.unwrap();
        assert_eq!((again.ticket, again.lease), (placed.ticket, placed.lease));
        assert_eq!(waits(place(&placement, guest()).await).1, 2);
        tasks.stop.cancel();
        tasks.ended().await;
    }

    #[tokio::test]
    async fn whose_account_it_is_is_asked_of_those_who_join_and_those_whose_turn_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let placement = placement(&dir, &tasks).await;
        let asked = AtomicUsize::new(0);
        let checked = async |wanted: Wanted, answer: Result<(), Problem>| {
            let check = async {
                asked.fetch_add(1, Ordering::SeqCst);
                answer
            };
            placement.place(wanted, check.boxed()).await
        };
        let gone = || Problem::new(ErrorType::TokenInvalid, "the account is gone");
        // Who joins is looked at first, and takes no place in line if that fails.
        assert_eq!(checked(phone(None), Err(gone())).await.unwrap_err().kind, ErrorType::TokenInvalid);
        assert_eq!(placement.core.state().line.len(), 0);
        let (token, _) = waits(checked(phone(None), Ok(())).await);
        assert_eq!(asked.swap(0, Ordering::SeqCst), 2);
        waits(checked(phone(Some(&token)), Err(gone())).await);
        assert_eq!(asked.swap(0, Ordering::SeqCst), 0, "others are first: nothing is given");
        // It is its turn now: nothing is given to who is somebody else by now, and they stand in nobody's way.
        placement.take_report(report(2, 0, &[])).await.unwrap();
        let refused = checked(phone(Some(&token)), Err(gone())).await.unwrap_err();
        assert_eq!((refused.kind, asked.swap(0, Ordering::SeqCst)), (ErrorType::TokenInvalid, 1));
        {
            let state = placement.core.state();
            assert_eq!((state.line.len(), state.house.free(placement.core.contact.now_us())), (0, 1));
        }
        tasks.stop.cancel();
        tasks.ended().await;
    }
}
