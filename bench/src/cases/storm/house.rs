//! A fleet with three edges: control, a node that takes and counts reactions, and an edge in a process each, on Kafka.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    cases::{Bench, kafka},
    load::{
        callers::{Call, Callers},
        crowd::Member,
        http,
    },
    measure::{broker::Broker, process::Server},
};

pub(super) const CHANNEL: &str = "main";
pub(super) const EDGES: [&str; 3] = ["edge-a", "edge-b", "edge-c"];

const KEY: &str = "internal.key=the-key-that-nodes-of-this-fleet-share";
const PASSWORD: &str = "correct horse battery";
/// Devices that an account may have connected.
const DEVICES: usize = 5;
/// Calls on their way at once, before anything is measured.
const AT_ONCE: usize = 8;
/// Control hears of each edge within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fleet.
pub(super) struct House {
    pub(super) control: Server,
    pub(super) count: Server,
    pub(super) edges: Vec<Option<Server>>,
    pub(super) broker: Broker,
}

/// Processor time so far, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    pub(super) control: f64,
    pub(super) count: f64,
    /// Of those that are alive.
    pub(super) edges: f64,
    pub(super) broker: f64,
}

impl House {
    /// Starts it for so many viewers; any two edges have room for all.
    pub(super) fn start(bench: &Bench, viewers: usize) -> Result<Self> {
        let broker = Broker::start(&bench.scratch, bench.cores)?;
        let channels = format!("channels=[{{name=\"{CHANNEL}\", threshold=20}}]");
        let devices = format!("accounts.tier_devices=[{DEVICES}]");
        let control = [
            KEY,
            r#"roles=["control"]"#,
            "node_name=home",
            &channels,
            &devices,
            "accounts.default_tier=1",
            "accounts.registrations_per_minute=0",
        ];
        let control = kafka::node(bench, &broker, "home", &control)?;
        let url = format!("control.url=http://{}", control.address);
        let count = [KEY, r#"roles=["ingest", "aggregate"]"#, "node_name=count", &url];
        let count = kafka::node(bench, &broker, "count", &count)?;
        let capacity = viewers * 3 / 5;
        let edge = |name: &&str| {
            let edges = format!(
                "edges=[{{name=\"{name}\", cluster=\"{name}s\", listen=\"127.0.0.1:0\", capacity={capacity}}}]"
            );
            let node = format!("node_name={name}");
            kafka::node(bench, &broker, name, &[KEY, r#"roles=["edge"]"#, &node, &url, &edges]).map(Some)
        };
        let edges = EDGES.iter().map(edge).collect::<Result<_>>()?;
        let house = Self { control, count, edges, broker };
        house.wait_for_edges()?;
        Ok(house)
    }

    /// Waits until control sends viewers to all edges.
    fn wait_for_edges(&self) -> Result<()> {
        let began = Instant::now();
        let all = format!("emostream_edges_known{{kind=\"live\"}} {}", EDGES.len());
        while !http::get(self.control.address, "/metrics")?.lines().any(|line| line.trim() == all) {
            ensure!(began.elapsed() < PATIENCE, "control does not hear of the edges");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Devices of new accounts, as many of each as its tier allows.
    pub(super) fn members(&self, number: usize) -> Result<Vec<Member>> {
        let callers = Callers::new(self.control.address, AT_ONCE);
        let accounts = number.div_ceil(DEVICES);
        let call = |path, status| {
            let person = move |n| {
                let body = json!({"username": format!("viewer {n}"), "password": PASSWORD});
                Call { path, token: None, body, status }
            };
            (0..accounts).map(person).collect()
        };
        callers.make(call("/v1/register", 201))?;
        let answers = callers.make(call("/v1/login", 200))?;
        let token = |answer: &Value| answer["token"].as_str().map(str::to_owned).context("a token");
        let tokens = answers.iter().map(token).collect::<Result<Vec<_>>>()?;
        let member = |n: usize| Member {
            // The devices of an account come at different times.
            token: tokens[n % accounts].clone(),
            device: format!("device {}", n / accounts),
        };
        Ok((0..number).map(member).collect())
    }

    /// Kills an edge; what it would have stored is gone with it.
    pub(super) fn kill(&mut self, name: &str) -> Result<()> {
        let place = EDGES.iter().position(|edge| *edge == name).context("an edge of that name")?;
        drop(self.edges[place].take().context("it is alive")?);
        Ok(())
    }

    /// Processor time so far. That of an edge that was killed is not in it.
    pub(super) fn spent(&self) -> Result<Spent> {
        let edges = self.edges.iter().flatten().map(Server::cpu_s).sum::<Result<f64>>()?;
        let (control, count) = (self.control.cpu_s()?, self.count.cpu_s()?);
        Ok(Spent { control, count, edges, broker: self.broker.cpu_s()? })
    }

    /// Sequences of all moments, ascending, as the archive has them.
    pub(super) fn moments(&self) -> Result<Vec<u64>> {
        let page = http::get(self.control.address, &format!("/v1/channels/{CHANNEL}/moments?limit=1000"))?;
        let page: Value = serde_json::from_str(&page).context("read a page of moments")?;
        let items = page["items"].as_array().context("a page has items")?;
        ensure!(page["next"].is_null(), "there are more moments than fit on a page");
        let mut moments = items
            .iter()
            .map(|item| item["seq"].as_u64().context("a moment has a sequence"))
            .collect::<Result<Vec<_>>>()?;
        moments.sort_unstable();
        Ok(moments)
    }
}

impl Spent {
    /// What was spent since then.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            control: self.control - before.control,
            count: self.count - before.count,
            edges: self.edges - before.edges,
            broker: self.broker - before.broker,
        }
    }

    /// So many times as much.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            control: self.control * factor,
            count: self.count * factor,
            edges: self.edges * factor,
            broker: self.broker * factor,
        }
    }

    /// Of the nodes that have to do with viewers.
    pub(super) fn for_viewers(self) -> f64 {
        self.control + self.edges
    }
}

/// Taps that make moments: 25 of one emote twice a second.
pub(super) fn tap(door: SocketAddr) -> Result<()> {
    let taps: Vec<_> = (0..25).map(|_| json!({"emote": "🔥"})).collect();
    http::post(door, &format!("/v1/channels/{CHANNEL}/reactions"), &json!(taps).to_string()).map(drop)
}
