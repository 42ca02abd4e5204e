//! System D as its user runs it: subscribers that are full, a client that waits, one that stops, and the waiting one let in.

use std::net::SocketAddr;

use serde_json::json;

use super::{post, start};
use crate::harness::{
    process::{Process, command},
    wait_for,
};

/// Two subscribers of two clusters, each for two clients, on free ports.
const EDGES: &str = "edges=[\
    {name=\"cluster1-subscriber1\",cluster=\"cluster1\",listen=\"127.0.0.1:0\",capacity=2},\
    {name=\"cluster2-subscriber1\",cluster=\"cluster2\",listen=\"127.0.0.1:0\",capacity=2}]";

/// A running client program.
struct Client {
    id: &'static str,
    process: Process,
}

impl Client {
    fn start(id: &'static str, subscriber: SocketAddr, port: Option<&str>) -> Self {
        let mut command = command();
        let url = format!("http://{subscriber}");
        command.args(["simulate", "broadcast-client", "--client-id", id, "--url", &url]);
        command.env_remove("PORT");
        command.envs(port.map(|port| ("PORT", port)));
        Self { id, process: Process::spawn(command) }
    }

    async fn says(&self, words: &str) {
        let said = async || self.process.stdout().contains(words).then_some(());
        wait_for(&format!("{} to say {words:?}, not {:?}", self.id, self.process.stdout()), said).await;
    }

    async fn is_registered(&self, subscriber: &str) {
        self.says(&format!("{} is registered: {subscriber}", self.id)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_waits_while_the_subscribers_are_full_and_gets_the_place_of_one_that_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--preset", "concurrent-broadcast", "--set", EDGES]);
    let [main, first, second] = server.addresses()[..] else { panic!("{:?}", server.addresses()) };
    // One of each pair reads, the other one is called.
    let one = Client::start("c1", first, None);
    let two = Client::start("c2", first, Some("0"));
    let others = [Client::start("c3", second, None), Client::start("c4", second, Some("0"))];
    for client in [&one, &two] {
        client.is_registered("cluster1-subscriber1 of cluster1, which takes 2").await;
    }
    for client in &others {
        client.is_registered("cluster2-subscriber1 of cluster2, which takes 2").await;
    }
    let waiting = [Client::start("c5", first, None), Client::start("c6", main, None)];
    for client in &waiting {
        client.says(&format!("{} waits for room", client.id)).await;
    }
    let tap = |emoji: &str| {
        let tap = json!({"user_id": "ada", "emoji_type": emoji, "timestamp": "2025-04-06T10:32:11.123Z"});
        assert_eq!(post(main, "/send-emoji", &tap.to_string()).0, 200);
    };
    for _ in 0..3 {
        tap("happy");
    }
    // Whoever has a place sees the exact count and the shown one: three of an emoji are far from a thousand.
    for client in [&one, &two, &others[0], &others[1]] {
        client.says("😀 ").await;
        assert!(client.process.stdout().lines().any(|line| line.starts_with("😀 ") && line.ends_with(" 0")));
    }
    assert!(waiting.iter().all(|client| !client.process.stdout().contains("is registered")));
    // Its place is free at once: to one who asks there, or to one who asks anywhere.
    two.process.terminate();
    two.says("c2 has left").await;
    let in_first = async || {
        let found = waiting.iter().find(|client| client.process.stdout().contains("is registered"));
        found.map(|client| client.id)
    };
    let let_in = wait_for("one of those who wait to be let in", in_first).await;
    tap("sad");
    let client = waiting.iter().find(|client| client.id == let_in).unwrap();
    client.says("😢 1 0").await;
    one.says("😢 1 0").await;
    // The next one goes, and the last one comes in. Nobody else has lost a place.
    one.process.terminate();
    let other = waiting.iter().find(|client| client.id != let_in).unwrap();
    other.is_registered("cluster1-subscriber1").await;
    for client in &others {
        let lines = client.process.stdout();
        assert_eq!(lines.matches("is registered").count(), 1, "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_comes_back_when_its_subscriber_does() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--preset", "concurrent-broadcast", "--set", EDGES]);
    let [_, first, second] = server.addresses()[..] else { panic!("{:?}", server.addresses()) };
    let client = Client::start("c1", first, None);
    client.is_registered("cluster1-subscriber1").await;
    server.kill9();
    client.says("waits for the server").await;
    let at = |name: &str, listen: SocketAddr| {
        format!("{{name=\"{name}\",cluster=\"{name}\",listen=\"{listen}\",capacity=2}}")
    };
    let edges = format!("edges=[{},{}]", at("again1", first), at("again2", second));
    let server = start(dir.path(), &["--preset", "concurrent-broadcast", "--set", &edges]);
    client.is_registered("again1 of again1").await;
    drop(server);
}
