//! Viewers that never read, a thousand of them, while reactions flow: the process hardly grows, the others see everything.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_protocol::Emotes;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{
    metric,
    raw::{Raw, upgrade},
    start, still_serves,
};
use crate::harness::{
    client::{Client, Seen, Viewer},
    process::Server,
    wait_for,
    windows::all_items,
};

/// Viewers that read, and see everything.
const WELL_BEHAVED: usize = 5;
const EMOJI: usize = 24;
const EVENTS: &str = "GET /v1/channels/main/events HTTP/1.1\r\nhost: x\r\n\r\n";
const GROWTH_KIB_MAX: u64 = 16 * 1024;

/// Resident memory of the server, KiB.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// So many different emoji that the kernel's buffers fill within seconds.
fn crowd() -> Value {
    let emotes = Emotes::new();
    let emoji = ('\u{1f300}'..='\u{1faff}').map(String::from).filter(|text| emotes.resolve(text).is_ok());
    let emoji: Vec<_> = emoji.take(EMOJI).collect();
    let reactions = (0..1_000).map(|at| json!({"emote": emoji[at % EMOJI], "user_id": format!("user-{at}")}));
    reactions.collect()
}

async fn react_until(address: SocketAddr, done: Arc<AtomicBool>) {
    let (mut client, body) = (Client::connect(address).await.unwrap(), crowd());
    while !done.load(Ordering::Relaxed) {
        let answer = client.react("main", &body).await.unwrap();
        assert_eq!(answer.json()["accepted"], 1_000, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads until the sequence `last`; the windows and moments seen.
async fn watch(mut viewer: Viewer, mut last: tokio::sync::watch::Receiver<u64>) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    loop {
        let Seen::Frame(frame) = viewer.next().await else { panic!("a viewer that reads was closed") };
        let seq = frame["seq"].as_u64().unwrap();
        if frame["type"] != "pulse" {
            seen.push((frame["type"].as_str().unwrap().to_owned(), seq));
        }
        if *last.borrow_and_update() <= seq {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_never_read_cost_next_to_nothing() {
    harm_nobody(Kind::WebSocket, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_that_are_never_read_cost_next_to_nothing() {
    harm_nobody(Kind::Events, 200).await;
}

async fn harm_nobody(kind: Kind, number: usize) {
    let dir = tempfile::tempdir().unwrap();
    let rule = "channels=[{name=\"main\",threshold=10.0}]";
    let server = start(dir.path(), &["edge.send_timeout_ms=1000", "windows.window_ms=500", rule]);
    let address = server.address;
    let done = Arc::new(AtomicBool::new(false));
    let mut background = JoinSet::new();
    background.spawn(react_until(address, done.clone()));

    let (end, last) = tokio::sync::watch::channel(u64::MAX);
    let mut watching = JoinSet::new();
    for _ in 0..WELL_BEHAVED {
        let viewer = Viewer::join(address, "main", "").await.unwrap();
        watching.spawn(watch(viewer, last.clone()));
    }
    // Warm: the well-behaved are served, snapshots were written, every buffer has its size.
    let mut warm = Vec::new();
    wait_for("a while of normal work", async || {
        warm.push(resident_kib(&server));
        (metric(&server, "emostream_windows_closed_total").await >= 20).then_some(())
    })
    .await;
    silence(&server, kind, number, median(warm)).await;
    let too_slow = metric(&server, "emostream_viewers_closed_total{kind=\"too-slow\"}").await;
    assert_eq!(too_slow, if kind == Kind::WebSocket { number as u64 } else { 0 });

    done.store(true, Ordering::Relaxed);
    while let Some(ended) = background.join_next().await {
        ended.unwrap();
    }
    everybody_saw_everything(&server, watching, &end).await;
    still_serves(&server).await;
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    WebSocket,
    Events,
}

/// Connects viewers that never read, and waits until the server has closed them all. Of what it held meanwhile the
/// middle counts, and the peak twice as much: a thousand handshakes at once leave buffers that are free again soon.
async fn silence(server: &Server, kind: Kind, number: usize, before: u64) {
    let (request, gauge, others) = match kind {
        Kind::WebSocket => (upgrade("", ""), "emostream_viewers{kind=\"websocket\"}", WELL_BEHAVED),
        Kind::Events => (EVENTS.to_owned(), "emostream_viewers{kind=\"events\"}", 0),
    };
    let mut silent = Vec::with_capacity(number);
    for _ in 0..number {
        let mut raw = Raw::connect_narrow(server.address).await;
        raw.send(request.as_bytes()).await;
        raw.head().await;
        silent.push(raw);
    }
    let (mut held, began) = (Vec::new(), Instant::now());
    wait_for("every viewer that never reads is closed", async || {
        held.push(resident_kib(server));
        (metric(server, gauge).await == others as u64).then_some(())
    })
    .await;
    let seconds = began.elapsed().as_secs_f64();
    let peak = held.iter().max().unwrap().saturating_sub(before);
    let growth = median(held).saturating_sub(before);
    println!(
        "soak: {number} viewers by {kind:?} that never read were closed within {seconds:.1} s; \
         for them {before} KiB grew by {growth} KiB, {peak} KiB at the peak"
    );
    assert!(
        growth <= GROWTH_KIB_MAX && peak <= 2 * GROWTH_KIB_MAX,
        "grew by {growth} KiB, at the peak {peak} KiB"
    );
    for raw in &mut silent {
        raw.ended().await;
    }
}

fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// What the well-behaved saw is what the archive has, from their first window on.
async fn everybody_saw_everything(
    server: &Server,
    mut watching: JoinSet<Vec<(String, u64)>>,
    end: &tokio::sync::watch::Sender<u64>,
) {
    let rows = async |kind: &'static str, name: &'static str| {
        let items = all_items(server.address, "main", kind).await;
        items
            .into_iter()
            .map(move |item| (item["seq"].as_u64().unwrap(), name.to_owned()))
            .collect::<Vec<_>>()
    };
    let newest = rows("windows", "window").await.last().unwrap().0;
    end.send_replace(newest);
    // The next frame wakes those who are past it already.
    Client::connect(server.address).await.unwrap().react("main", &json!({"emote": "🔥"})).await.unwrap();
    let archive: Vec<_> =
        rows("windows", "window").await.into_iter().chain(rows("moments", "moment").await).collect();
    assert!(archive.iter().filter(|(_, kind)| kind == "moment").count() > 100, "moments were found");
    while let Some(seen) = watching.join_next().await {
        let mut seen: Vec<_> = seen.unwrap().into_iter().map(|(kind, seq)| (seq, kind)).collect();
        seen.retain(|(seq, kind)| kind != "hello" && kind != "settings" && *seq <= newest);
        let first = seen.iter().map(|(seq, _)| *seq).min().unwrap();
        let mut expected = archive.clone();
        expected.retain(|(seq, _)| (first..=newest).contains(seq));
        expected.sort_unstable();
        let windows = |rows: &[(u64, String)]| rows.iter().filter(|(_, kind)| kind == "window").count();
        println!("a well-behaved viewer saw {} rows, {} of them windows", seen.len(), windows(&seen));
        assert_eq!(seen, expected);
    }
}
