//! The source systems' producers and consumers on Kafka, against a node that bridges their topics and writes to them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::clients::{node, python};
use crate::harness::{
    brokers::Namespace,
    client::{get, react},
    process::{Process, Server},
    wait_for,
    windows::{Totals, final_total, windows_total},
};

mod readers;

use readers::Reader;

/// Starts a node of a preset, with short windows, on a namespace of its own in which their topics lie as well.
fn start(space: &Namespace, data_dir: &Path, args: &[&str]) -> Server {
    Server::start(data_dir, &settings(space, args).iter().map(String::as_str).collect::<Vec<_>>())
}

fn settings(space: &Namespace, args: &[&str]) -> Vec<String> {
    let quick = ["windows.window_ms=200", "log.partitions=3", "kafka.output_partitions=2"];
    let quick = quick.into_iter().flat_map(|setting| ["--set".to_owned(), setting.to_owned()]);
    space.settings().into_iter().chain(quick).chain(args.iter().map(|arg| (*arg).to_owned())).collect()
}

fn ended_well(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn totals(sent: &Value) -> Totals {
    sent.as_object().unwrap().iter().map(|(emote, count)| (emote.clone(), count.as_u64().unwrap())).collect()
}

/// Final counts of `main` once all of `expected` is counted: then nothing more may come.
async fn counted(address: SocketAddr, expected: &Totals) -> Totals {
    let enough = async || {
        let totals = windows_total(address, "main").await;
        (totals.values().sum::<u64>() >= expected.values().sum()).then_some(())
    };
    wait_for(&format!("{expected:?} in closed windows"), enough).await;
    final_total(address, "main").await
}

/// A metric with one label.
async fn metric(address: SocketAddr, name: &str, kind: &str) -> u64 {
    let metrics = get(address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let begin = format!("emostream_{name}{{kind=\"{kind}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_emote_bursts_and_moments() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = start(&space, dir.path(), &["--preset", "emote-bursts"]);
    let (raw, moments) = (space.theirs("raw-emote-data"), space.theirs("aggregated-emote-data"));
    let reader = Reader::node(&space, "live-chat", &[&moments, &raw]);
    let generated = node("emote_generator.js", &[&space.servers, &raw, "60"]).output().unwrap();
    let mut expected = totals(&ended_well(&generated));
    assert_eq!(counted(server.address, &expected).await, expected);

    // What comes here goes to their topic, and does not come back from it.
    for _ in 0..130 {
        assert_eq!(react(server.address, "main", &json!({"emote": "🎉"})).await.unwrap().status, 200);
    }
    expected.insert("🎉".into(), 130);
    let ours = |lines: &[Value]| lines.iter().filter(|line| line["emote"] == "🎉").count() == 130;
    let lines = reader.until("our reactions on their topic", &raw, ours).await;
    assert_eq!(counted(server.address, &expected).await, expected);
    assert!(lines.iter().all(|line| line["timestamp"].as_str().unwrap().ends_with('Z')), "{lines:?}");
    let theirs = lines.iter().filter(|line| line["emote"] != "🎉" && line["emote"] != "🏁").count();
    assert_eq!(theirs as u64, expected.values().sum::<u64>() - 130, "nothing bridged is written back");

    // More than half of an interval of 100 were 🎉.
    let is_ours = |lines: &[Value]| lines.iter().any(|line| line["emote"] == "🎉");
    let found = reader.until("a moment", &moments, is_ours).await;
    let moment = found.iter().find(|line| line["emote"] == "🎉").unwrap();
    assert!(moment["count"].as_u64().unwrap() > 50 && moment["timestamp"].is_string(), "{moment}");
    let own = metric(server.address, "bridge_records_total", "own").await;
    assert!(own >= 130, "the bridge has met ours and left them: {own}");
    assert_eq!(server.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn b_the_load_script_and_the_counts_of_both_topics() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (raw, counts) = (space.theirs("emoji"), space.theirs("emoji-counts"));
    let publisher = space.theirs("publisher-emojis");
    let topics = [
        &format!("topics.raw={raw}"),
        &format!("topics.windows={counts}"),
        &format!("projector.windows_also=[\"{publisher}\"]"),
    ];
    // Its edges have ports of their own, which other tests may use.
    let mut args = vec!["--preset", "socket-clusters", "--set", "edges=[]"];
    args.extend(topics.iter().flat_map(|setting| ["--set", setting.as_str()]));
    let server = start(&space, dir.path(), &args);
    let reader = Reader::node(&space, "main-publisher", &[&counts, &publisher]);
    let load = node("emoji_load.js", &[&space.servers, &raw]).output().unwrap();
    ended_well(&load);
    let expected: Totals = [("😀".into(), 300), ("😢".into(), 200)].into();
    assert_eq!(counted(server.address, &expected).await, expected);
    for topic in [&counts, &publisher] {
        let enough = |lines: &[Value]| emoji_counts(lines, "emoji") == expected;
        let lines = reader.until("all counts", topic, enough).await;
        for line in &lines {
            let count = line["count"].as_u64().unwrap();
            assert_eq!(line["shown"].as_u64(), Some(count.div_ceil(100)), "{line}");
            assert!(line["window_start"].as_str().unwrap().ends_with('Z'), "{line}");
        }
    }
    assert_eq!(server.stop().code, Some(0));
}

/// What lines of windows add up to, each window once, without the one that shows that all are closed.
fn emoji_counts(lines: &[Value], field: &str) -> Totals {
    let windows: BTreeMap<_, _> = lines
        .iter()
        .map(|line| {
            let emoji = line[field].as_str().unwrap().to_owned();
            ((line["seq"].as_u64().unwrap(), emoji), line["count"].as_u64().unwrap())
        })
        .collect();
    let mut totals = Totals::new();
    for ((_, emoji), count) in windows {
        *totals.entry(emoji).or_default() += count;
    }
    totals.remove("🏁");
    totals
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_python_producer_and_subscribers_of_clusters() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (raw, windows) = (space.theirs("emoji-topic"), space.theirs("main-pub-topic"));
    let clusters = ["cluster1-emoji-topic", "cluster2-emoji-topic"].map(|name| space.theirs(name));
    let topics = [
        &format!("topics.raw={raw}"),
        &format!("topics.windows={windows}"),
        &format!("relay.topics=[\"{}\", \"{}\"]", clusters[0], clusters[1]),
    ];
    // Its edges have ports of their own, which other tests may use.
    let mut args = vec!["--preset", "concurrent-broadcast", "--set", "edges=[]"];
    args.extend(topics.iter().flat_map(|setting| ["--set", setting.as_str()]));
    let server = start(&space, dir.path(), &args);
    let reader = Reader::python(&space, "subscriber", &[&windows, &clusters[0], &clusters[1]]);
    let produced = python("emoji_producer.py", &[&space.servers, &raw, "6000"]).output().unwrap();
    let expected = totals(&ended_well(&produced));
    assert_eq!(counted(server.address, &expected).await, expected);
    for topic in [&windows, &clusters[0], &clusters[1]] {
        let enough = |lines: &[Value]| emoji_counts(lines, "emoji_type") == expected;
        let lines = reader.until("all counts", topic, enough).await;
        for line in &lines {
            let count = line["count"].as_u64().unwrap();
            assert_eq!(line["shown"].as_u64(), Some(count / 1_000), "{line}");
        }
    }
    assert_eq!(server.stop().code, Some(0));
}

/// Lines of `dead-letter`, by the command that users have for it.
fn dead_letters(space: &Namespace) -> Vec<Value> {
    let output = space.run(&["log", "cat", "--topic", "dead-letter"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What people type into Kafka's own console producer, from the jars that the tests' brokers run on.
fn type_into_console(space: &Namespace, topic: &str, text: &str) -> bool {
    let Some(jars) = readers::kafka_jars() else { return false };
    let mut console = Command::new("java")
        .args(["-cp", &format!("{}/*", jars.display()), "org.apache.kafka.tools.ConsoleProducer"])
        .args(["--bootstrap-server", &space.servers, "--topic", topic])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut console.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(console.wait().unwrap().success());
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn e_records_that_nobody_can_read_are_named() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let raw = space.theirs("emoji_reactions");
    let topic = format!("topics.raw={raw}");
    let server = start(&space, dir.path(), &["--preset", "emoji-api", "--set", &topic]);
    let typed = "{\"emoji_type\": \"nope\"}\nhello\n{\"user_id\": \"u\", \"emoji_type\": \"🔥\", \"timestamp\": \"soon\"}\n\
                 {\"user_id\": \"u\", \"emoji_type\": \"🔥\", \"timestamp\": \"2026-04-06T10:32:11\"}\n";
    if !type_into_console(&space, &raw, typed) {
        println!("skipped: no jars of Kafka's console tools (scripts/kafka.sh fetch)");
        return;
    }
    let expected: Totals = [("🔥".into(), 1)].into();
    assert_eq!(counted(server.address, &expected).await, expected);
    let named =
        async || (metric(server.address, "bridge_records_total", "dead-letter").await == 3).then_some(());
    wait_for("three dead letters", named).await;
    let mut letters = dead_letters(&space);
    letters.sort_by_key(|line| line["reason"].to_string());
    let told: Vec<_> = letters
        .iter()
        .map(|line| (line["topic"] == raw.as_str(), line["reason"].as_str().unwrap(), &line["value"]))
        .collect();
    let begins = [
        "emoji_type: expected an emoji up to",
        "expected a JSON object such as",
        "timestamp: expected a time",
    ];
    assert_eq!(told.len(), 3, "{letters:?}");
    for ((of_topic, reason, value), begin) in told.iter().zip(begins) {
        assert!(*of_topic && reason.starts_with(begin) && value.is_string(), "{letters:?}");
    }
    let answered = react(server.address, "main", &json!({"emote": "👏"})).await.unwrap();
    assert_eq!(answered.status, 200);
    assert_eq!(server.stop().code, Some(0));
}

/// A producer at work.
fn producing(space: &Namespace, topic: &str, emojis: &str, seconds: &str) -> Child {
    let mut producer = python("emoji_producer.py", &[&space.servers, topic, emojis, seconds]);
    producer.stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn e_what_is_written_while_nodes_are_killed_counts_once() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (raw, windows) = (space.theirs("emoji_reactions"), space.theirs("emote-windows"));
    let topic = format!("topics.raw={raw}");
    let args = ["--preset", "emoji-api", "--set", &topic, "--set", "log.durability=os"];
    let mut server = start(&space, dir.path(), &args);
    let reader = Reader::python(&space, "reader", &[&windows]);
    let producer = producing(&space, &raw, "20000", "12");
    for _ in 0..3 {
        let at_work = server.address;
        let bridged = metric(at_work, "bridge_records_total", "bridged").await;
        let more =
            async || (metric(at_work, "bridge_records_total", "bridged").await > bridged + 500).then_some(());
        wait_for("records on their way", more).await;
        server.kill9();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let settings = settings(&space, &args);
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        server = Process::launch(dir.path(), &settings).ready().unwrap();
    }
    let expected = totals(&ended_well(&producer.wait_with_output().unwrap()));
    assert_eq!(counted(server.address, &expected).await, expected);
    let exact = |lines: &[Value]| window_counts(lines) == expected;
    reader.until("each window's counts", &windows, exact).await;
    assert_eq!(dead_letters(&space), [Value::Null; 0]);
    assert_eq!(server.stop().code, Some(0));
}

/// What lines of whole windows add up to, each sequence once.
fn window_counts(lines: &[Value]) -> Totals {
    let windows: BTreeMap<_, _> =
        lines.iter().map(|line| (line["seq"].as_u64().unwrap(), &line["counts"])).collect();
    let mut all = Totals::new();
    for counts in windows.values() {
        for (emote, count) in totals(counts) {
            *all.entry(emote).or_default() += count;
        }
    }
    all.remove("🏁");
    all
}
