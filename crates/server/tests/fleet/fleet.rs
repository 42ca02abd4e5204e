//! A fleet under test: nodes on the same brokers, a crowd that reacts, and what must hold whatever was done to them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use emostream::config::{Layers, load};
use emostream_protocol::{id::home_partition, row::Row};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::{
    CHANNELS,
    brokers::{Brokers, free_port},
    crowd::{self, Crowd, Entrances},
    harness::{client::get, new_id, wait_for, windows::Totals},
    ledger::Ledger,
    node::Node,
    observer::{Observer, Rows, Undisturbed},
};

/// Partitions of `emote-log`, so that three nodes each have some.
pub(crate) const RAW_PARTITIONS: u32 = 6;

/// Partitions of `emote-output`, one for each channel.
pub(crate) const OUTPUT_PARTITIONS: u32 = 2;

/// Length of a window, ms.
pub(crate) const WINDOW_MS: u32 = 1_000;

/// A reaction that the crowd never sends: when it is counted, every window before it is closed.
const LAST: &str = "🏁";

/// Nodes on common brokers, under a namespace of their own.
pub(crate) struct Fleet {
    dir: TempDir,
    config: PathBuf,
    pub(crate) brokers: Arc<Brokers>,
    nodes: Vec<Node>,
    control_port: u16,
    pub(crate) entrances: Arc<Entrances>,
    pub(crate) ledger: Arc<Ledger>,
    crowd: Option<Crowd>,
    seed: u64,
    observer: Option<Observer>,
    /// How often the end was looked at.
    looks: u64,
}

/// What was found at the end of a test.
pub(crate) struct Found {
    /// Reactions acknowledged, all of them counted once.
    pub(crate) acknowledged: u64,
    /// Reactions in the log, repeats included.
    pub(crate) in_log: usize,
    pub(crate) rows: usize,
}

impl Fleet {
    /// A fleet without nodes.
    pub(crate) fn on(brokers: Arc<Brokers>, seed: u64) -> Self {
        let homes = CHANNELS.map(|channel| home_partition(channel, OUTPUT_PARTITIONS));
        assert_ne!(homes[0], homes[1], "rows of both channels in one partition");
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("emostream.toml");
        let control_port = free_port();
        std::fs::write(&config, configuration(&brokers, control_port)).unwrap();
        Self {
            dir,
            config,
            brokers,
            nodes: Vec::new(),
            control_port,
            entrances: Arc::default(),
            ledger: Arc::new(Ledger::new(seed)),
            crowd: None,
            seed,
            observer: None,
            looks: 0,
        }
    }

    /// Adds a node that is not running yet.
    pub(crate) fn add(&mut self, name: &'static str, roles: &str) -> &mut Node {
        let config = self.config.to_str().unwrap().to_owned();
        let mut args = ["--config", &config, "--roles", roles].map(str::to_owned).to_vec();
        if roles.split(',').any(|role| role == "control") {
            // Others find it at the same place after a restart.
            args.extend(["--listen".to_owned(), format!("127.0.0.1:{}", self.control_port)]);
        }
        let mut node = Node::new(name, roles, self.dir.path(), args);
        node.set(&format!("node_name={name}"));
        self.nodes.push(node);
        self.node_mut(name)
    }

    /// Starts nodes at once, and waits until all of them are ready and ingest knows the channels.
    pub(crate) async fn start(&mut self, names: &[&str]) {
        let launched: Vec<_> = names.iter().map(|name| (*name, self.node(name).launch())).collect();
        for (name, process) in launched {
            self.node_mut(name).ready(process).await;
            self.open_entrance(name).await;
        }
    }

    /// Lets the crowd in, where a node runs ingest.
    pub(crate) async fn open_entrance(&self, name: &str) {
        let node = self.node(name);
        if !node.runs("ingest") {
            return;
        }
        for channel in CHANNELS {
            let path = format!("/v1/channels/{channel}/windows?limit=1");
            let known = async || (get(node.address(), &path).await.ok()?.status == 200).then_some(());
            wait_for(&format!("{name} knows {channel}"), known).await;
        }
        self.entrances.open(node.name, node.address());
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        let node = self.nodes.iter().find(|node| node.name == name);
        node.unwrap_or_else(|| panic!("there is no node {name}"))
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> &mut Node {
        let node = self.nodes.iter_mut().find(|node| node.name == name);
        node.unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// Where control is, also after a restart.
    pub(crate) fn control_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.control_port).into()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.name == name)
    }

    /// Lets the crowd begin, and waits until each client has had answers.
    pub(crate) async fn gather_crowd(&mut self) {
        let crowd = Crowd::gather(&self.entrances, &self.ledger, self.seed);
        self.crowd = Some(crowd);
        self.wait_for_answers(100).await;
    }

    /// Lets the crowd go home, if there is one.
    pub(crate) async fn disperse_crowd(&mut self) {
        if let Some(crowd) = self.crowd.take() {
            crowd.disperse().await;
        }
    }

    /// Waits until the crowd has had so many more answers.
    pub(crate) async fn wait_for_answers(&self, more: u64) {
        let crowd = self.crowd.as_ref().unwrap();
        let before = crowd.acknowledged();
        let answered = async || (crowd.acknowledged() >= before + more).then_some(());
        wait_for("answers to the crowd", answered).await;
    }

    /// Reads the log beside the nodes.
    pub(crate) fn observer(&mut self) -> &Observer {
        let (config, servers) = (self.config.clone(), self.brokers.servers.clone());
        self.observer.get_or_insert_with(|| {
            let set = vec![("kafka.bootstrap_servers".to_owned(), servers)];
            let config = load(&Layers { file: Some(config), environment: Vec::new(), set }).unwrap();
            block_in_place(|| Observer::open(&config))
        })
    }

    /// Waits until so many more windows of each channel are final.
    pub(crate) async fn wait_for_windows(&mut self, more: usize) {
        let windows = |rows: &Rows, channel| {
            let rows = rows.get(channel).map_or(&[][..], Vec::as_slice);
            rows.iter().filter(|row| matches!(row, Row::Window(_))).count()
        };
        let observer = self.observer();
        let before = block_in_place(|| observer.rows());
        let all = async || {
            let now = block_in_place(|| observer.rows());
            let more = |channel| windows(&now, channel) >= windows(&before, channel) + more;
            CHANNELS.into_iter().all(more).then_some(())
        };
        wait_for("more windows", all).await;
    }

    /// What must hold once everything works again: what was acknowledged is counted, and each reaction once; the rows are
    /// those of an undisturbed count of the same log.
    pub(crate) async fn assert_whole(&mut self) -> Found {
        self.disperse_crowd().await;
        crowd::settle(&self.entrances, &self.ledger).await;
        self.wait_until_drained().await;
        self.looks += 1;
        for channel in CHANNELS {
            let last = json!({"emote": LAST, "id": new_id()});
            crowd::send_one(&self.entrances, channel, &last).await;
        }
        self.wait_for_last().await;
        let (expected, looks) = (CHANNELS.map(|channel| self.ledger.expected(channel)), self.looks);
        let ledger = self.ledger.clone();
        let observer = self.observer();
        // The output first: the raw log goes on meanwhile, and must be ahead of it.
        let rows = block_in_place(|| observer.rows());
        let Undisturbed { rows: undisturbed, ids, reactions: in_log } =
            block_in_place(|| observer.undisturbed());
        let kept = ids.iter().filter(|id| ledger.is_acknowledged(id)).count() as u64;
        let acknowledged: u64 = expected.iter().flat_map(Totals::values).sum();
        assert_eq!(kept, acknowledged, "acknowledged reactions that are in the log");
        for (channel, expected) in CHANNELS.into_iter().zip(expected) {
            let rows = &rows[channel];
            for (place, (found, expected)) in rows.iter().zip(&undisturbed[channel]).enumerate() {
                assert_eq!(
                    found, expected,
                    "row {place} of {channel}, against an undisturbed count of the same log"
                );
            }
            assert!(
                rows.len() <= undisturbed[channel].len(),
                "{channel}: rows that the log does not come to"
            );
            assert_totals(channel, observer.totals(rows), &expected, looks);
        }
        let rows = rows.values().map(Vec::len).sum();
        Found { acknowledged, in_log, rows }
    }

    /// Waits until no node that runs keeps anything back.
    async fn wait_until_drained(&self) {
        for node in self.nodes.iter().filter(|node| node.is_running() && node.runs("ingest")) {
            node.until("spool_reactions", |waiting| waiting == 0.0).await;
        }
    }

    async fn wait_for_last(&mut self) {
        let looks = self.looks;
        let observer = self.observer();
        let counted = async || {
            let rows = block_in_place(|| observer.rows());
            let counted = |channel| {
                rows.get(channel).is_some_and(|rows| observer.totals(rows).get(LAST).copied() >= Some(looks))
            };
            CHANNELS.into_iter().all(counted).then_some(())
        };
        wait_for("the last window of each channel", counted).await;
    }
}

fn assert_totals(channel: &str, mut counted: Totals, expected: &Totals, looks: u64) {
    assert_eq!(counted.remove(LAST), Some(looks), "{LAST} of {channel}");
    assert_eq!(counted, *expected, "accepted and counted in {channel}");
}

/// What was said explains why it failed.
impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                println!("---- {} ----\n{}", node.name, last_lines(&node.stderr(), 60));
            }
        }
    }
}

fn last_lines(text: &str, number: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(number)..].join("\n")
}

/// What all nodes have in common.
fn configuration(brokers: &Brokers, control_port: u16) -> String {
    let namespace = format!("test-{:08x}-", rand::random::<u32>());
    let servers = &brokers.servers;
    let replication = brokers.number();
    format!(
        r#"
[log]
kind = "kafka"
partitions = {RAW_PARTITIONS}

[kafka]
bootstrap_servers = "{servers}"
namespace = "{namespace}"
session_timeout_ms = 6000
output_partitions = {OUTPUT_PARTITIONS}
replication = {replication}

[windows]
window_ms = {WINDOW_MS}

[internal]
key = "the-key-that-nodes-of-this-fleet-share"

[control]
url = "http://127.0.0.1:{control_port}"
admin_password = "{}"

[[channels]]
name = "main"

[[channels]]
name = "lobby"
threshold = 20
"#,
        crate::harness::signed::PASSWORD
    )
}
