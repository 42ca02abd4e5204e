//! Disks that are full, and disks that fail: refusals instead of promises, readers unharmed, exact counts afterwards.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{
    client::{Client, Seen, Viewer, get, react},
    new_id,
    process::{Process, Server},
    records::{assert_rows_agree, assert_verified},
    wait_for,
    windows::final_total,
};

/// Reactions in one request: about 50 KiB on the disk.
const BATCH: usize = 500;

/// Requests that a disk of a few MiB cannot take.
const BATCHES_MAX: usize = 500;

/// A file system of its own, in memory, of a few MiB.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` for a user who may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can mount a small disk to fill");
            return None;
        }
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(dir.path());
        let output = mount.output().unwrap();
        assert!(output.status.success(), "a small disk cannot be mounted, although this is root: {output:?}");
        Some(Self { dir })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Something else that takes room.
    fn ballast(&self) -> PathBuf {
        self.dir.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that is being killed may hold it for a moment longer.
        drop(Command::new("umount").arg("--lazy").arg(self.dir.path()).status());
    }
}

fn batch(number: usize) -> Value {
    let user = |at: usize| format!("{at}-{}", "x".repeat(50));
    (0..number).map(|at| json!({"emote": "🔥", "id": new_id(), "user_id": user(at)})).collect()
}

/// Sends until the disk is full. Returns how many reactions were acknowledged, and what was refused.
async fn fill(address: SocketAddr) -> (u64, Value) {
    let mut client = Client::connect(address).await.unwrap();
    for sent in 0..BATCHES_MAX {
        let reactions = batch(BATCH);
        let answer = client.react("main", &reactions).await.unwrap();
        if answer.status == 200 {
            assert_eq!(answer.json()["accepted"], BATCH, "{answer:?}");
            continue;
        }
        assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("log-full")), "{answer:?}");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{answer:?}");
        return ((sent * BATCH) as u64, reactions);
    }
    panic!("the disk did not become full");
}

/// Everything but taking reactions goes on. Returns how many reactions were acknowledged all the same.
async fn assert_serves_readers(address: SocketAddr) -> u64 {
    for path in ["/livez", "/metrics", "/v1/channels/main/windows", "/v1/channels/main/moments"] {
        assert_eq!(get(address, path).await.unwrap().status, 200, "{path}");
    }
    let mut viewer = Viewer::join(address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    // Single taps are so small that some may find the last free bytes; then one is refused by name.
    for acknowledged in 0..10_000 {
        viewer.send(&json!({"type": "react", "emote": "🔥", "id": new_id()})).await.unwrap();
        let answer = loop {
            match viewer.next().await {
                Seen::Frame(frame) if ["ack", "error"].iter().any(|kind| frame["type"] == *kind) => {
                    break frame;
                }
                Seen::Frame(_) => {}
                end => panic!("{end:?}"),
            }
        };
        if answer["type"] == "error" {
            assert_eq!(answer["code"], "log-full", "{answer}");
            return acknowledged;
        }
    }
    panic!("the disk is not full");
}

/// Sends again what was refused, until there is an answer that says yes.
async fn send_until_taken(address: SocketAddr, reactions: &Value) {
    let taken = async || {
        let answer = react(address, "main", reactions).await.unwrap();
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 200).then_some(())
    };
    wait_for("the log to take reactions again", taken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_reactions_serves_readers_and_heals() {
    let Some(disk) = SmallDisk::mount() else { return };
    std::fs::write(disk.ballast(), vec![0; 3 << 20]).unwrap();
    let data = disk.data();
    let args =
        ["log.segment_bytes=1048576", "ingest.viewer_reactions_per_s=100000", "ingest.viewer_burst=100000"];
    let args = args.map(|setting| ["--set", setting]).concat();
    let server = Server::start(&data, &args);
    let (mut acknowledged, refused) = fill(server.address).await;
    // The last bytes that were free.
    drop(std::fs::write(data.join("more"), vec![0; 1 << 20]));
    acknowledged += assert_serves_readers(server.address).await;
    // What was refused may be in a part of the log that was not cut back yet: a crash must not count it.
    server.kill9();
    std::fs::remove_file(data.join("more")).unwrap();
    std::fs::remove_file(disk.ballast()).unwrap();
    let server = Server::start(&data, &args);
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted.values().sum::<u64>(), acknowledged, "after the crash");

    std::fs::write(disk.ballast(), vec![0; 2 << 20]).unwrap();
    let (mut more, refused_again) = fill(server.address).await;
    more += assert_serves_readers(server.address).await;
    std::fs::remove_file(disk.ballast()).unwrap();
    for reactions in [&refused, &refused_again] {
        send_until_taken(server.address, reactions).await;
    }
    let expected = acknowledged + more + 2 * BATCH as u64;
    let counted = final_total(server.address, "main").await;
    assert_eq!((counted["🔥"], counted.len()), (expected, 1));
    assert_eq!(server.stop().code, Some(0));
    assert_verified(&data);
    assert_rows_agree(&data);
    println!("soak: full disk: {expected} acknowledged reactions counted, healed twice, once after kill -9");
}

/// A server whose system calls fail as `inject` says (see strace), if strace can be used here.
fn start_failing(inject: &str, data: &Path) -> Server {
    let trace = data.parent().unwrap().join("trace");
    let call = inject.split(':').next().unwrap();
    // Daemonised, the tracer is no parent: the process is ours to signal and to wait for.
    let (trace, only, inject) =
        (trace.to_str().unwrap(), format!("trace={call}"), format!("inject={inject}"));
    let wrapper = ["strace", "-D", "-f", "-qq", "-o", trace, "-e", &only, "-e", &inject];
    // The store would take its share of the failures, and a start without it is none.
    let process = Process::launch_under(&wrapper, data, &["--set", "store.url=sqlite::memory:"]);
    process.ready().unwrap_or_else(|ended| panic!("did not start: {ended:?}"))
}

fn can_trace() -> bool {
    let can = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let can = can.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: strace is not installed, or may not trace");
    }
    can
}

/// How a client fared.
#[derive(Default)]
struct Fared {
    acknowledged: Vec<String>,
    refused: usize,
    /// Reactions without an answer when the server went away.
    pending: Option<(String, Value)>,
}

/// Sends reactions one by one, each until it is taken.
async fn send_one_by_one(address: SocketAddr, number: usize) -> Fared {
    let mut fared = Fared::default();
    let mut client = Client::connect(address).await.unwrap();
    while fared.acknowledged.len() < number {
        let id = new_id();
        let reaction = json!({"emote": "🔥", "id": id});
        loop {
            let Ok(answer) = client.react("main", &reaction).await else {
                fared.pending = Some((id, reaction));
                return fared;
            };
            if answer.status == 200 {
                break;
            }
            assert_eq!(answer.status, 503, "{answer:?}");
            fared.refused += 1;
        }
        fared.acknowledged.push(id);
    }
    fared
}

/// Lets system calls fail under a small crowd; returns how many requests were refused.
async fn count_exactly_although(inject: &str) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = start_failing(inject, &data);
    let mut crowd = JoinSet::new();
    for _ in 0..8 {
        crowd.spawn(send_one_by_one(server.address, 25));
    }
    let fared = crowd.join_all().await;
    let refused = fared.iter().map(|one| one.refused).sum();
    let mut expected: u64 = fared.iter().map(|one| one.acknowledged.len() as u64).sum();
    let ended = server.process.has_ended() || fared.iter().any(|one| one.pending.is_some());
    if ended {
        let end = server.process.wait();
        assert_eq!(end.code, Some(1), "{end:?}");
    } else {
        // It may end by itself any moment, of a snapshot that cannot be written, say.
        server.kill9();
    }
    let server = Server::start(&data, &[]);
    for (_, reaction) in fared.into_iter().filter_map(|one| one.pending) {
        send_until_taken(server.address, &reaction).await;
        expected += 1;
    }
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted.values().sum::<u64>(), expected, "{inject}");
    server.kill9();
    let server = Server::start(&data, &[]);
    assert_eq!(final_total(server.address, "main").await, counted, "{inject}, after a crash");
    server.stop();
    assert_verified(&data);
    assert_rows_agree(&data);
    println!("{inject}: {expected} acknowledged, {refused} refused, the node ended by itself: {ended}");
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_or_a_write_that_fails_is_never_acknowledged() {
    if !can_trace() {
        return;
    }
    let mut refused_in_all = 0;
    for inject in [
        "fdatasync:error=EIO:when=4",
        "fdatasync:error=EIO:when=9..11",
        "fdatasync:error=EIO:when=20+3",
        "pwrite64:error=EIO:when=7",
        "pwrite64:error=ENOSPC:when=5+4",
    ] {
        refused_in_all += count_exactly_although(inject).await;
    }
    println!("soak: failing disk: {refused_in_all} requests refused, counts exact");
    assert!(refused_in_all > 0, "no failure met a reaction");
}
