//! Binds the addresses that a node serves.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

/// Where a node listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// System A's port, served as well when it is free.
const LISTEN_ALSO: &str = "127.0.0.1:3001";

/// Binds all addresses. Of the defaults, only the first must be free.
pub(super) async fn all(configured: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in configured {
        listeners.push(bind(*address).await?);
    }
    if configured.is_empty() {
        listeners.push(bind(LISTEN_DEFAULT.parse()?).await?);
        match bind(LISTEN_ALSO.parse()?).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => tracing::warn!("{error:#}; going on without this second port"),
        }
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    /// Connections that the kernel holds while the accept loop is busy: a crowd comes at once.
    const BACKLOG: u32 = 4_096;
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if let Err(error) = socket.bind(address) {
        bail!("cannot listen on {address}: {error}");
    }
    socket.listen(BACKLOG).with_context(|| format!("listen on {address}"))
}
