//! Binds the addresses that a node serves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use super::StartError;
use crate::config::{Config, Preset};

/// Where a node listens unless told otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// System A's port, served as well when it is free.
const LISTEN_ALSO: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001);

/// The addresses that a node binds, and whether it does not start without them.
pub(crate) fn wanted(config: &Config) -> Vec<(SocketAddr, bool)> {
    if config.listen.is_empty() {
        return vec![(LISTEN_DEFAULT, true), (LISTEN_ALSO, false)];
    }
    config.listen.iter().map(|address| (*address, true)).collect()
}

/// Binds all addresses. Of the defaults, only the first must be free; a preset's must all be, because its clients know
/// no others.
pub(super) async fn all(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(bind(*address).await.map_err(|error| failed(error, config.preset))?);
    }
    if config.listen.is_empty() {
        listeners.push(bind(LISTEN_DEFAULT).await?);
        match bind(LISTEN_ALSO).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => tracing::warn!("{error:#}; going on without this second port"),
        }
    }
    Ok(listeners)
}

/// Binds the addresses of this node's edges, in the order of the configuration.
pub(super) async fn edges(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for edge in &config.edges {
        listeners.push(bind(edge.listen).await.map_err(|error| failed(error, config.preset))?);
    }
    Ok(listeners)
}

/// Binds the internal API's own address, if it has one.
pub(super) async fn internal(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    match config.internal.listen {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

fn failed(error: anyhow::Error, preset: Option<Preset>) -> StartError {
    match preset {
        Some(preset) => StartError::Configuration(format!(
            "{error:#}; preset {} needs its ports: free it, or give other addresses with --listen",
            preset.name()
        )),
        None => StartError::Failed(error),
    }
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
