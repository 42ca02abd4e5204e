//! The edges of a node as placement knows them.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Listeners, shared::Shared};
use crate::{
    channels::Channels,
    compat::subscribers::{Hold, Place, Room},
    config::NamedEdge,
    edge::{
        Door,
        admission::Identity,
        gate::{Entry, Gate},
    },
};

/// The edge that a node is without `edges` and without a name.
const EDGE_ALONE: &str = "edge";

/// The cluster of a node without `edges`.
const CLUSTER_ALONE: &str = "main";

/// The edges of the configuration, and the whole node as one, which it is without them.
pub(super) fn doors(shared: &Shared, listeners: &Listeners) -> anyhow::Result<(Vec<Door>, Door)> {
    let door = |(named, listener): (&NamedEdge, &TcpListener)| {
        let identity = Identity {
            name: named.name.clone(),
            cluster: named.cluster.clone(),
            url: named.url.clone().unwrap_or_default(),
            port: listener.local_addr()?.port(),
        };
        Ok(Door { identity, capacity: named.capacity })
    };
    let config = &shared.config;
    let doors = config.edges.iter().zip(&listeners.edges).map(door);
    let name = match (&shared.brokers, config.node_name.as_str()) {
        (Some(brokers), _) => brokers.node(),
        (None, "") => EDGE_ALONE,
        (None, name) => name,
    };
    let address = listeners.common.first().map(TcpListener::local_addr).transpose()?;
    let identity = Identity {
        name: name.to_owned(),
        cluster: CLUSTER_ALONE.to_owned(),
        url: config.edge.url.clone().unwrap_or_default(),
        port: address.map_or(0, |address| address.port()),
    };
    if config.edges.is_empty() && config.control.url.is_some() && config.edge.url.is_none() {
        tracing::warn!(
            port = identity.port,
            "edge.url is not set: control sends viewers to this node on the host by which they know control, on this port; \
             they do not get here where that is another machine, a mapped port, or TLS"
        );
    }
    let capacity = u32::try_from(config.edge.viewers_max).unwrap_or(u32::MAX);
    Ok((doors.collect::<anyhow::Result<_>>()?, Door { identity, capacity }))
}

/// The place of a client that is sent what a channel shows.
struct Held {
    entry: Entry,
    show: Show,
}

/// The channel whose windows system D's clients get.
#[derive(Clone)]
pub(super) struct Show {
    pub(super) channels: Arc<Channels>,
    pub(super) name: String,
}

impl Hold for Held {
    fn is_over(&self) -> bool {
        let channel = self.show.channels.get(&self.show.name);
        self.entry.is_over() || channel.is_some_and(|channel| !self.entry.may_stay_in(&channel))
    }
}

/// An edge as system D's subscribers need it.
pub(super) fn room(gate: &Arc<Gate>, show: Show) -> Room {
    let Identity { name, cluster, url, .. } = gate.identity();
    let capacity = gate.capacity();
    let (to_take, of) = (gate.clone(), gate.clone());
    Room {
        name,
        cluster,
        capacity,
        take: Box::new(move || {
            let entry = to_take.take(show.channels.get(&show.name).as_deref())?;
            Ok(Box::new(Held { entry, show: show.clone() }) as Place)
        }),
        free: Box::new(move || capacity.saturating_sub(of.viewers())),
        url: Some(url).filter(|url| !url.is_empty()),
    }
}
