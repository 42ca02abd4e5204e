//! The store of a node with control, and the way to control of a node without.

use std::time::Duration;

use emostream_store::Schema;

use super::report::Report;
use tokio::runtime::Handle;

use crate::{
    config::{Config, LogKind},
    node::ControlClient,
    tasks::Tasks,
};

/// A database must answer after so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the store can be reached, and which schema it has.
pub(super) async fn store(config: &Config, report: &mut Report) {
    const CHECK: &str = "store";
    let url = config.store.effective_url(&config.data_dir);
    // Shown without the password.
    let shown = config.store.url.as_ref().map_or_else(|| url.clone(), |url| format!("{url:?}"));
    let looked = tokio::time::timeout(PATIENCE, Schema::look(&url)).await;
    match looked {
        Err(_) => report.wrong(
            CHECK,
            &format!("{shown} does not answer"),
            "start the database, or correct store.url",
        ),
        Ok(Err(error)) => {
            report.wrong(CHECK, &format!("{shown}: {error}"), "correct store.url, or start the database");
        }
        Ok(Ok(Schema { found: None, .. })) => {
            report.fine(CHECK, &format!("{shown} has no schema yet; the first start makes it"));
        }
        Ok(Ok(Schema { found: Some(found), known })) if found > known => report.wrong(
            CHECK,
            &format!("{shown} has schema {found}, this version knows up to {known}"),
            "start the newer version that has written it",
        ),
        Ok(Ok(Schema { found: Some(found), known })) if found < known => {
            report.fine(CHECK, &format!("{shown} has schema {found}; the next start brings it to {known}"));
        }
        Ok(Ok(Schema { found: Some(found), .. })) => {
            report.fine(CHECK, &format!("{shown} has schema {found}"));
        }
    }
}

/// Whether control answers, and takes this node's key.
pub(super) async fn reach(config: &Config, report: &mut Report) {
    const CHECK: &str = "control";
    let Some(url) = &config.control.url else {
        if config.log.kind == LogKind::Kafka {
            report.doubt(
                CHECK,
                "control.url is not set, and control does not run here",
                "set control.url and internal.key, or certificates: without them a guest of this node is a stranger on the others",
            );
        }
        return;
    };
    let asked = match ControlClient::new(config, &Tasks::new(Handle::current())) {
        Ok(Some(client)) => client.guest_keys().await,
        Ok(None) => return,
        Err(error) => Err(error),
    };
    match asked {
        Ok(_) => report.fine(CHECK, &format!("{url} answers and takes what this node shows")),
        Err(error) => report.doubt(
            CHECK,
            &format!("{error:#}"),
            "start the node with control, or correct control.url and internal.key, or the certificates; until then this node goes on with what it has",
        ),
    }
}
