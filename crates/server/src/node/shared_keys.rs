//! The keys that sign guests in, the same on all nodes of a fleet: control's own, asked for at the start and again and again,
//! kept in the data directory for when control is down.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::control_client::ControlClient;
use crate::{durable, ingest::identity::GuestKeys, tasks::Tasks};

/// Asked again after so long.
const REFRESH: Duration = Duration::from_secs(60);

/// And after a refusal.
const RETRY: Duration = Duration::from_secs(5);

/// Takes over control's keys, and goes on doing so. While control does not answer, those that were kept hold; a node that
/// never had an answer signs guests in with its own until it has one, and accepts those tokens afterwards as well.
pub(super) async fn follow(
    client: ControlClient,
    path: PathBuf,
    keys: Arc<ArcSwap<GuestKeys>>,
    tasks: &Tasks,
) {
    let first = take_over(&client, &path, &keys).await;
    let mut rest = if first { REFRESH } else { RETRY };
    let stop = tasks.stop.clone();
    tasks.spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_some() {
            rest = if take_over(&client, &path, &keys).await { REFRESH } else { RETRY };
        }
    });
}

async fn take_over(client: &ControlClient, path: &std::path::Path, keys: &ArcSwap<GuestKeys>) -> bool {
    let shared = match client.guest_keys().await {
        Ok(shared) => shared,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the keys of guests are not known to be those of control"
            );
            return false;
        }
    };
    let present = keys.load();
    if present.has_current_of(&shared) {
        return true;
    }
    let taken = shared.with_previous_of(&present);
    match serde_json::to_vec_pretty(&taken) {
        Ok(json) => {
            if let Err(error) = durable::write_private(path, &json) {
                tracing::warn!(%error, path = %path.display(), "keys of guests are not kept");
            }
        }
        Err(error) => tracing::error!(%error, "keys of guests are not kept"),
    }
    keys.store(Arc::new(taken));
    true
}
