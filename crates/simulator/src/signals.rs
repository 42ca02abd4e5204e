//! Ctrl-C and SIGTERM: the first stops gracefully, the second at once.

use tokio_util::sync::CancellationToken;

/// Waits for signals for as long as the run lasts.
pub(crate) async fn watch(stop: CancellationToken, stop_now: CancellationToken) {
    if !signal().await {
        // Without signals the run ends by its own plan.
        return;
    }
    stop.cancel();
    if signal().await {
        stop_now.cancel();
    }
}

/// Whether a signal came; `false` if this system cannot wait for them.
async fn signal() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.is_ok(),
            _ = terminate.recv() => true,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}
