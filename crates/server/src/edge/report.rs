//! The report of one edge to control, again and again: who has come and gone, and that it lives. The answer says who must go.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{gate::Gate, keyring::Keyring};
use crate::{
    placement_link::ControlLink,
    telemetry::{Labelled, Metrics},
};

/// A report must be answered after so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The last one, at a stop, after so long.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What happens between two reports is told after this part of the time between them.
const NEWS_PART: u32 = 8;

/// What the reports of one edge need.
pub(super) struct Reports {
    pub(super) gate: Arc<Gate>,
    pub(super) link: Arc<dyn ControlLink>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) every: Duration,
}

impl Reports {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let _done = (self.gate.told.clone().drop_guard(), self.gate.reported.clone().drop_guard());
        let mut is_answered = true;
        while !self.gate.finished.is_cancelled() {
            is_answered = self.send(PATIENCE, is_answered).await;
            if self.keyring.is_empty() {
                self.keyring.refresh().await;
            }
            tokio::select! {
                () = self.gate.news.notified() => {
                    // Others come and go meanwhile: one report for all of them.
                    let gathering = tokio::time::sleep(self.every / NEWS_PART);
                    if self.gate.finished.run_until_cancelled(gathering).await.is_none() {
                        break;
                    }
                }
                () = tokio::time::sleep(self.every) => {}
                () = self.gate.finished.cancelled() => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
        self.send(LAST_PATIENCE, is_answered).await;
        Ok(())
    }

    /// Whether control has answered. Only a change of that goes to the log.
    async fn send(&self, patience: Duration, was_answered: bool) -> bool {
        let report = self.gate.report();
        let (number, is_leaving, edge) = (report.number, report.is_leaving, self.gate.name());
        let sent = Instant::now();
        let answer = match tokio::time::timeout(patience, self.link.report(report)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer in {patience:?}")),
        };
        let round_trip = sent.elapsed();
        if is_leaving {
            self.gate.told.cancel();
        }
        let kind = if answer.is_ok() { "answered" } else { "failed" };
        self.metrics.placement_reports.get_or_create(&Labelled { kind }).inc();
        match answer {
            Ok(orders) => {
                if !was_answered {
                    tracing::info!(edge, "control answers reports again");
                }
                self.gate.obey(number, orders, round_trip);
                true
            }
            Err(error) => {
                if was_answered {
                    tracing::warn!(
                        edge,
                        error,
                        "control does not answer reports: nobody new is sent here until it does"
                    );
                }
                false
            }
        }
    }
}
