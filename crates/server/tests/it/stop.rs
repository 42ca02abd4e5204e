//! A stop under load: refuses early, answers what it took, says goodbye to viewers, and loses nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{
    client::{Client, Seen, Viewer, get, react},
    new_id,
    process::Server,
    records::{assert_rows_agree, assert_verified, cat},
    wait_for,
    windows::final_total,
};

const SENDERS: usize = 64;

/// How far the test is, for all clients.
#[derive(Default)]
struct Course {
    answered: AtomicUsize,
    stopping: AtomicBool,
}

/// What one client saw until its connection ended.
#[derive(Debug, Default)]
struct Sent {
    acknowledged: u64,
    refused: usize,
    /// The connection ended while a request was under way.
    unanswered: Option<Value>,
}

/// Sends until refused or cut off. Before the stop neither may happen.
async fn send(address: SocketAddr, course: Arc<Course>) -> Sent {
    let mut sent = Sent::default();
    let mut client = Client::connect(address).await.unwrap();
    loop {
        let reaction = json!({"emote": "🔥", "id": new_id()});
        let answer = client.react("main", &reaction).await;
        let stopping = course.stopping.load(Ordering::SeqCst);
        match answer {
            Ok(answer) if answer.status == 200 => {
                sent.acknowledged += 1;
                course.answered.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => {
                assert!(stopping, "{answer:?}");
                assert_eq!(
                    (answer.status, answer.problem().as_deref()),
                    (503, Some("stopping")),
                    "{answer:?}"
                );
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                sent.refused += 1;
                return sent;
            }
            Err(error) => {
                assert!(stopping, "{error:#}");
                sent.unanswered = Some(reaction);
                return sent;
            }
        }
    }
}

/// What a viewer saw until its connection ended.
struct Watched {
    sent: Sent,
    last: Value,
    end: Seen,
}

/// Reacts as a viewer, one tap after the other, and reads to the end.
async fn watch(address: SocketAddr) -> Watched {
    let mut viewer = Viewer::join(address, "main", "").await.unwrap();
    let mut sent = Sent::default();
    let mut last = Value::Null;
    loop {
        match viewer.next().await {
            Seen::Frame(frame) => {
                sent.acknowledged += u64::from(frame["type"] == "ack");
                if frame["type"] == "error" {
                    assert_eq!(frame["code"], "stopping", "{frame}");
                    sent.refused += 1;
                    sent.unanswered = None;
                }
                if ["hello", "ack"].iter().any(|kind| frame["type"] == *kind) {
                    let reaction = json!({"type": "react", "emote": "👏", "id": new_id()});
                    // The answer to what is sent into a stop may be the goodbye.
                    drop(viewer.send(&reaction).await);
                    sent.unanswered = Some(reaction);
                }
                last = frame;
            }
            end => return Watched { sent, last, end },
        }
    }
}

/// Watches readiness from before the stop on one connection; whether it was seen to drop before the connection ended.
async fn see_readiness_drop(address: SocketAddr) -> bool {
    let mut client = Client::connect(address).await.unwrap();
    while let Ok(answer) = client.get("/readyz").await {
        if answer.status == 503 {
            let json = answer.json();
            assert_eq!(json["ready"], false, "{json}");
            assert!(json["waiting_for"].to_string().contains("stopping"), "{json}");
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_answers_says_goodbye_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["ingest.viewer_reactions_per_s=100000", "ingest.viewer_burst=100000"];
    let args = args.map(|setting| ["--set", setting]).concat();
    let server = Server::start(dir.path(), &args);
    let ready = async || (get(server.address, "/readyz").await.unwrap().status == 200).then_some(());
    wait_for("the node to be ready", ready).await;
    let course = Arc::new(Course::default());
    let (mut senders, mut viewers, mut readiness) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    for _ in 0..SENDERS {
        senders.spawn(send(server.address, course.clone()));
    }
    for _ in 0..8 {
        viewers.spawn(watch(server.address));
    }
    for _ in 0..4 {
        readiness.spawn(see_readiness_drop(server.address));
    }
    let loaded = async || (course.answered.load(Ordering::SeqCst) > 20 * SENDERS).then_some(());
    wait_for("load", loaded).await;
    course.stopping.store(true, Ordering::SeqCst);
    server.process.terminate();

    let sent = senders.join_all().await;
    let watched = viewers.join_all().await;
    let dropped = readiness.join_all().await;
    let ended = server.process.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(dropped.contains(&true), "nobody saw readiness drop");
    for Watched { last: bye, end, .. } in &watched {
        assert_eq!((&bye["type"], &bye["reason"]), (&json!("bye"), &json!("shutting-down")), "{bye}");
        assert!(bye["reconnect_in_ms"].is_u64(), "{bye}");
        assert_eq!(*end, Seen::Closed(4000, "shutting-down".into()));
    }
    let sent: Vec<_> = sent.into_iter().chain(watched.into_iter().map(|one| one.sent)).collect();
    let acknowledged: u64 = sent.iter().map(|one| one.acknowledged).sum();
    let refused: usize = sent.iter().map(|one| one.refused).sum();
    let unanswered: Vec<_> = sent.into_iter().filter_map(|one| one.unanswered).collect();
    println!("{acknowledged} acknowledged, {refused} refused, {} cut off", unanswered.len());
    // What was cut off had not been begun: what a stopping node takes, it answers.
    let raw =
        cat(&["--topic", "emote-log"], dir.path()).into_iter().map(|record| record["reactions"].to_string());
    let raw: String = raw.collect();
    let taken: Vec<_> = unanswered.iter().filter(|one| raw.contains(one["id"].as_str().unwrap())).collect();
    assert!(taken.is_empty(), "in the log, but without answer: {taken:?}");

    let server = Server::start(dir.path(), &args);
    let answer = react(server.address, "main", &json!(unanswered)).await.unwrap();
    assert_eq!((answer.status, &answer.json()["rejected"]), (200, &json!([])), "{answer:?}");
    let expected = acknowledged + unanswered.len() as u64;
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted.values().sum::<u64>(), expected);
    assert_eq!(server.stop().code, Some(0));
    assert_verified(dir.path());
    assert_eq!(assert_rows_agree(dir.path()), 0, "rows were written again after a clean stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    // A request whose body never ends holds the graceful stop up.
    let mut slow = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/channels/main/reactions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    tokio::io::AsyncWriteExt::write_all(&mut slow, head.as_bytes()).await.unwrap();
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    server.process.terminate();
    viewer.next_of("bye").await;
    server.process.terminate();
    let ended = server.process.wait();
    assert!(ended.stderr.contains("stopped at once"), "{ended:?}");
}
