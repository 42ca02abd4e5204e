//! Edges of one process, each with a listener and a capacity: tickets, devices, and an edge that is emptied while people watch.

mod alone;
mod apart;
mod devices;
mod drain;
mod implicit;
mod tickets;
mod watch;

use std::{net::SocketAddr, path::Path};

use serde_json::json;

use watch::{Placed, place};

use crate::harness::{
    client::{Answer, Client, Seen, Viewer},
    process::Server,
    signed::{Signed, WITH_ADMIN},
    wait_for,
};

/// Password of everybody here.
const PASSWORD: &str = "a password of tests";

/// Control and three edges of the cluster `north` in one process.
struct House {
    server: Server,
}

impl House {
    /// Starts it, and waits until control has heard of every edge.
    async fn start(dir: &Path, capacities: &[u32], more: &[&str]) -> Self {
        let edge = |(number, capacity): (usize, &u32)| {
            format!(
                r#"{{name = "north-{}", cluster = "north", listen = "127.0.0.1:0", capacity = {capacity}}}"#,
                number + 1
            )
        };
        let edges: Vec<_> = capacities.iter().enumerate().map(edge).collect();
        let edges = format!("edges=[{}]", edges.join(", "));
        let set: Vec<&str> = more.iter().flat_map(|setting| ["--set", *setting]).collect();
        let args = [&WITH_ADMIN[..], &["--set", &edges, "--set", "placement.report_ms=200"], &set].concat();
        let house = Self { server: Server::start(dir, &args) };
        let mut admin = house.admin().await;
        let heard = async || {
            let clusters = admin.get("/v1/clusters").await.json();
            let edges = clusters["items"][0]["edges"].as_array()?.clone();
            let live = edges.iter().filter(|edge| edge["state"] == "live").count();
            (live == capacities.len()).then_some(())
        };
        wait_for("control to hear of every edge", heard).await;
        house
    }

    /// Where nothing belongs to an edge.
    fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Where an edge listens, from 1.
    fn edge(&self, number: usize) -> SocketAddr {
        self.server.addresses()[number]
    }

    async fn admin(&self) -> Signed {
        Signed::admin(self.address()).await
    }

    /// Somebody new, logged in.
    async fn member(&self, name: &str) -> Signed {
        let mut client = Client::connect(self.address()).await.unwrap();
        let body = json!({"username": name, "password": PASSWORD}).to_string();
        let answer = client.post("/v1/register", "application/json", body).await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        Signed::login(self.address(), name, PASSWORD).await
    }

    /// A guest's ticket, and where it is for.
    async fn guest(&self) -> Placed {
        Placed::of(&place(self.address(), &json!({"channel": "main"})).await)
    }
}

/// Asks for a place for a device of somebody who is logged in.
async fn place_device(signed: &mut Signed, device: &str) -> Answer {
    signed.json("POST", "/v1/placements", &json!({"channel": "main", "device_id": device})).await
}

/// How a connection ends; frames before are passed over.
async fn end_of(viewer: &mut Viewer) -> Seen {
    loop {
        match viewer.next().await {
            Seen::Frame(_) => {}
            end => return end,
        }
    }
}

fn closed(code: u16, reason: &str) -> Seen {
    Seen::Closed(code, reason.to_owned())
}
