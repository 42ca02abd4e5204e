//! `emostream topics create`: what it makes, what it says of what is there, and when it deletes.

use std::time::{Duration, Instant};

use crate::{
    command_line::{code, text},
    harness::{
        PATIENCE,
        brokers::Namespace,
        process::{Server, run},
    },
};

/// The words that each line begins with, and the topic that it is about, without the namespace.
fn told(space: &Namespace, args: &[&str]) -> (i32, Vec<(String, String)>, String) {
    let output = space.run(&[&["topics", "create"], args].concat());
    let said = text(&output.stdout).to_owned();
    let line = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        let name = rest.trim_start().strip_prefix(&space.name)?;
        Some((word.to_owned(), name.split(':').next()?.to_owned()))
    };
    (code(&output), said.lines().filter_map(line).collect(), said + text(&output.stderr))
}

/// Ours, and then those of other programs.
const ALL: [&str; 10] = [
    "emote-log",
    "emote-partials",
    "emote-output",
    "emote-state",
    "emote-pulses",
    "settings",
    "dead-letter",
    "raw-emote-data",
    "emote-windows",
    "aggregated-emote-data",
];

#[test]
fn topics_are_made_once_and_fine_from_then_on() {
    let Some(space) = Namespace::new() else { return };
    for word in ["made", "fine"] {
        let (code, lines, said) = told(&space, &[]);
        let expected: Vec<_> = ALL.iter().map(|name| (word.to_owned(), (*name).to_owned())).collect();
        assert_eq!((code, &lines), (0, &expected), "{said}");
    }
    let mut there = ALL.map(|name| format!("{}{name}", space.name));
    there.sort();
    assert_eq!(space.topics(), there);
}

#[test]
fn a_topic_that_differs_is_told_with_what_to_do() {
    let Some(space) = Namespace::new() else { return };
    assert_eq!(told(&space, &[]).0, 0);
    let (code, lines, said) = told(&space, &["--set", "log.partitions=7"]);
    assert_eq!((code, lines[0].0.as_str(), lines[0].1.as_str()), (1, "differs", "emote-log"), "{said}");
    assert!(said.contains("has 6 partitions, configured are 7") && said.contains("log.partitions"), "{said}");
    assert!(lines[1..].iter().all(|(word, _)| word == "fine"), "the others are told as well: {said}");
}

#[test]
fn topics_are_replaced_when_nobody_works_on_them_and_somebody_agrees() {
    let Some(space) = Namespace::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = space.settings();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    assert_eq!(told(&space, &[]).0, 0);
    let server = Server::start(dir.path(), &settings);
    until(&space, "a node is in a group", |members| members > 0);
    let (code, _, said) = told(&space, &["--replace", "--yes"]);
    assert!(code == 1 && said.contains("stop all nodes"), "{said}");
    assert_eq!(server.stop().code, Some(0));
    until(&space, "brokers have forgotten the node", |members| members == 0);
    let before = ends(&space);
    assert!(before.iter().any(|end| *end > 0), "the node has written something: {before:?}");

    let (code, _, said) = told(&space, &["--replace"]);
    assert!(code == 1 && said.contains("--yes"), "nobody sits there to agree: {said}");
    assert_eq!(ends(&space), before);

    let (code, lines, said) = told(&space, &["--replace", "--yes"]);
    let of = |word: &str| lines.iter().filter(|line| line.0 == word).count();
    assert_eq!((code, of("deleted"), of("made")), (0, ALL.len(), ALL.len()), "{said}");
    assert!(ends(&space).iter().all(|end| *end == 0));
}

/// Waits until so many are in the groups of a namespace.
fn until(space: &Namespace, what: &str, holds: impl Fn(usize) -> bool) {
    let (began, admin) = (Instant::now(), space.admin());
    let members = || -> usize {
        let groups = admin.groups_with_members("emostream-").unwrap();
        groups.iter().map(|group| group.members.len()).sum()
    };
    while !holds(members()) {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ends of all partitions, as `log ls` lists them.
fn ends(space: &Namespace) -> Vec<u64> {
    let listed = space.run(&["log", "ls"]);
    let rows = text(&listed.stdout).lines().filter(|line| line.starts_with(&space.name));
    rows.map(|row| row.split_whitespace().nth(3).unwrap().parse().unwrap()).collect()
}

#[test]
fn a_fleet_must_be_configured_and_reached() {
    let output = run(&["topics", "create"]);
    assert_eq!(code(&output), 2, "{output:?}");
    assert!(text(&output.stderr).contains("log.kind"), "{output:?}");
    let unreachable =
        ["--set", "kafka.bootstrap_servers=127.0.0.1:1", "--set", "kafka.start_timeout_ms=1000"];
    let output = run(&[&["topics", "create", "--set", "log.kind=kafka"], &unreachable[..]].concat());
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(text(&output.stderr).contains("127.0.0.1:1"), "{output:?}");
    let output = run(&["topics", "create", "--yes"]);
    assert_eq!(code(&output), 2, "nothing is agreed to: {output:?}");
}
