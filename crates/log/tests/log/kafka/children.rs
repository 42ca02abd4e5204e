//! Processes of their own that a test may freeze and kill: members of a group, and writers.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use emostream_log::{Committed, Log, LogError, kafka::KafkaConfig};
use rustix::process::{Pid, Signal, kill_process};

use super::setup::{Space, read_all, row, until, until_visible};
use crate::setup::{at, values, wait};

const ROLE: &str = "EMOSTREAM_TEST_CHILD";

/// A running process of this test program that plays a part, and what it has said.
pub(crate) struct Actor {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Actor {
    /// Starts a process as a node with a name.
    pub(crate) fn start(role: &str, space: &Space, node: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kafka::children::play", "--nocapture"])
            .env(ROLE, role)
            .env("EMOSTREAM_TEST_NODE", node)
            .env("EMOSTREAM_TEST_NAMESPACE", &space.config.namespace)
            .env("EMOSTREAM_TEST_KAFKA", &space.config.bootstrap_servers)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = Arc::clone(&said);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| listening.lock().unwrap().push(line));
        });
        Self { child, said }
    }

    /// Waits until it has said something after `heard` lines; how many lines it has said by then.
    pub(crate) fn hear(&self, what: &str, heard: usize) -> usize {
        until(&format!("{what:?} from a process"), || {
            let said = self.said.lock().unwrap();
            said.iter().skip(heard).position(|line| line.contains(what)).map(|at| heard + at + 1)
        })
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The part that a process plays; nothing at all when it was not started to play one.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let mut space = Space::on(&variable("EMOSTREAM_TEST_KAFKA"));
    space.config.namespace = variable("EMOSTREAM_TEST_NAMESPACE");
    let config = KafkaConfig { node: variable("EMOSTREAM_TEST_NODE"), ..space.config.clone() };
    // Its topics belong to the process that started it.
    std::mem::forget(space);
    let (log, _) = emostream_log::kafka::KafkaLog::open(&config).unwrap();
    match role.as_str() {
        "member" => member(&log),
        "writer" => writer(&log),
        other => panic!("no such part: {other}"),
    }
}

/// Commits offset 1 for whatever it owns, again and again, and says what it owns and what became of it.
fn member(log: &dyn Log) -> ! {
    let member = log.join("count", "taps", "m").unwrap();
    let assignments = member.assignments();
    let mut last = String::new();
    loop {
        let assignment = assignments.borrow().clone();
        let position = Committed { offset: 1, metadata: Bytes::from_static(b"child") };
        let commits =
            assignment.partitions.iter().map(|of| member.commit(assignment.generation, of, position.clone()));
        let is_refused = commits.fold(false, |refused, commit| refused | commit.is_err());
        let partitions: Vec<_> = assignment.partitions.iter().map(|of| of.partition).collect();
        let line = format!("owns {partitions:?}{}", if is_refused { " refused" } else { "" });
        if line != last {
            say(&line);
            last = line;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Appends numbers as a fenced writer, and says what became of each.
fn writer(log: &dyn Log) {
    let writer = log.fenced_writer("merge-0").unwrap();
    for number in 0.. {
        match wait(writer.append(&row(0), values(&[&format!("child {number}")]))) {
            Ok(_) => say(&format!("wrote {number}")),
            Err(LogError::Fenced(_)) => return say("fenced"),
            Err(error) => say(&format!("{error}")),
        }
    }
}

#[expect(clippy::print_stdout, reason = "how a process speaks to the one that started it")]
fn say(line: &str) {
    println!("{line}");
}

/// Of what a killed member owned nothing is lost to the group, and a member that comes back in time gets its own again.
#[test]
fn a_killed_member_is_replaced_and_a_restarted_one_gets_its_own_back() {
    let Some(space) = Space::new() else { return };
    let log = space.open_as("parent");
    let mut child = Actor::start("member", &space, "child");
    child.hear("owns [0, 1, 2]", 0);
    let member = log.join("count", "taps", "m").unwrap();
    let owned = || member.assignments().borrow().partitions.len();
    until("a share of the partitions", || (owned() == 1).then_some(()));
    let before = member.assignments().borrow().clone();
    // What it says comes a moment later.
    let theirs = until("what is left to the other", || {
        let last = child.said().pop().unwrap_or_default().replace(" refused", "");
        (last.matches(", ").count() == 1).then_some(last)
    });
    child.kill();
    let mut child = Actor::start("member", &space, "child");
    child.hear(&theirs, 0);
    assert_eq!(*member.assignments().borrow(), before, "the others were not disturbed");
    child.kill();
    until("all partitions", || (owned() == 3).then_some(()));
}

/// A frozen member's partitions go to others; what it commits after waking up counts for nothing, and it joins anew.
#[test]
fn a_frozen_member_cannot_commit_what_others_own_and_joins_anew() {
    let Some(space) = Space::new() else { return };
    let log = space.open_as("parent");
    let child = Actor::start("member", &space, "child");
    child.hear("owns [0, 1, 2]", 0);
    child.freeze();
    let member = log.join("count", "taps", "m").unwrap();
    let assignment = until("all partitions", || {
        let assignment = member.assignments().borrow().clone();
        (assignment.partitions.len() == 3).then_some(assignment)
    });
    let ours = Committed { offset: 100, metadata: Bytes::from_static(b"parent") };
    for partition in 0..3 {
        member.commit(assignment.generation, &at(partition), ours.clone()).unwrap();
    }
    let heard = child.said().len();
    child.thaw();
    // It tries to commit at once; then it learns that it was given up, and gets a share again.
    let back = until("a share for the one that came back", || {
        let kept = member.assignments().borrow().partitions.clone();
        (kept.len() < 3).then_some(kept)
    });
    until("the one that came back knows its share", || {
        let said = child.said().split_off(heard);
        said.last()
            .is_some_and(|line| line.starts_with("owns [") && !line.starts_with("owns []"))
            .then_some(())
    });
    for kept in back {
        assert_eq!(log.committed("count", &kept).unwrap(), Some(ours.clone()), "{kept}");
    }
}

/// A writer that froze in the middle of its work and wakes up after another took its identity writes nothing more.
#[test]
fn a_frozen_writer_is_fenced() {
    let Some(space) = Space::new() else { return };
    let log = space.open_as("parent");
    let child = Actor::start("writer", &space, "child");
    child.hear("wrote 20", 0);
    child.freeze();
    let writer = log.fenced_writer("merge-0").unwrap();
    let own = wait(writer.append(&row(0), values(&["parent"]))).unwrap();
    child.thaw();
    child.hear("fenced", 0);
    let wrote = child.said().iter().filter(|line| line.starts_with("wrote")).count();
    until_visible(&log.log, &row(0), own.first_offset);
    let read = read_all(&log.log, &row(0), 0);
    let (theirs, ours): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|(_, value)| value.starts_with("child"));
    assert!(
        theirs.iter().all(|(offset, _)| *offset < own.first_offset),
        "nothing behind the one that fenced it"
    );
    // What it was about to say when it froze may have been settled by the takeover.
    assert!((wrote..=wrote + 1).contains(&theirs.len()), "{wrote} of {}", theirs.len());
    assert_eq!(ours, [(own.first_offset, "parent".to_owned())]);
}
