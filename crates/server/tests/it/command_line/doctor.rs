//! `emostream doctor`: what it finds in good installations, and in those with one thing wrong.

use std::{fs, net::TcpListener, path::Path};

use serde_json::Value;

use crate::{
    command_line::{code, text},
    harness::process::{Server, run},
};

/// Exit code, and what was found.
fn found(args: &[&str]) -> (i32, Vec<Value>) {
    let output = run(&[&["doctor", "--json"], args].concat());
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    (code(&output), lines.collect())
}

fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("nothing about {check}: {findings:?}"))
}

/// The one thing that is wrong, and that there is advice about it.
fn wrong(findings: &[Value]) -> (&str, &str) {
    let wrong: Vec<_> = findings.iter().filter(|finding| finding["state"] == "wrong").collect();
    assert_eq!(wrong.len(), 1, "{findings:?}");
    assert!(wrong[0]["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{findings:?}");
    (wrong[0]["check"].as_str().unwrap(), wrong[0]["text"].as_str().unwrap())
}

fn at(data: &Path) -> [&str; 4] {
    ["--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_wrong_before_while_and_after_a_node_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (code, findings) = found(&at(&data));
    assert_eq!(code, 0, "{findings:?}");
    assert!(!data.exists(), "looking has made something");
    let server = Server::start(&data, &[]);
    let (address, pid) = (server.address.to_string(), server.process.pid());
    let (code, findings) = found(&["--data-dir", data.to_str().unwrap(), "--listen", &address]);
    assert_eq!(code, 0, "{findings:?}");
    assert!(of(&findings, "lock")["text"].as_str().unwrap().contains(&format!("pid {pid}")), "{findings:?}");
    let port = of(&findings, &format!("address {address}"));
    assert!(port["text"].as_str().unwrap().contains("node of Emostream"), "{findings:?}");
    assert_eq!(server.stop().code, Some(0));
    let (code, findings) = found(&at(&data));
    assert_eq!(
        (code, of(&findings, "lock")["text"].as_str()),
        (0, Some("no node runs on it")),
        "{findings:?}"
    );
    let words = run(&[&["doctor"], &at(&data)[..]].concat());
    let lines = text(&words.stdout).lines().filter(|line| !line.starts_with("    "));
    assert!(lines.clone().all(|line| line.starts_with("✓ ") || line.starts_with("! ")), "{words:?}");
    assert_eq!(lines.count(), findings.len());
}

#[test]
fn what_is_wrong_is_named_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(Server::start(&data, &[]));
    let (code, findings) = found(&[&at(&data)[..], &["--set", "log.partitions=0"]].concat());
    assert!(code == 1 && wrong(&findings).1.contains("log.partitions"), "{findings:?}");

    let (code, findings) = found(&[&at(&data)[..], &["--set", "windows.window_ms=5000"]].concat());
    assert_eq!((code, wrong(&findings).0), (1, "log"), "{findings:?}");

    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let (code, findings) = found(&[&at(&file.join("data"))[..], &["--roles", "edge"]].concat());
    assert_eq!((code, wrong(&findings).0), (1, "data directory"), "{findings:?}");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let (code, findings) = found(&["--data-dir", data.to_str().unwrap(), "--listen", &taken]);
    assert_eq!((code, wrong(&findings).0), (1, format!("address {taken}").as_str()), "{findings:?}");

    let store = dir.path().join("store.db");
    fs::write(&store, "this is no database, and longer than the head of one is. ".repeat(4)).unwrap();
    let url = format!("store.url=sqlite://{}", store.display());
    let (code, findings) = found(&[&at(&data)[..], &["--set", &url]].concat());
    assert_eq!((code, wrong(&findings).0), (1, "store"), "{findings:?}");
}

#[test]
fn a_node_without_control_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let key = "internal.key=0123456789abcdef0123456789abcdef";
    let server = Server::start(&dir.path().join("control"), &["--set", key]);
    let url = format!("control.url=http://{}", server.address);
    let data = dir.path().join("edge");
    for (key, state) in [(key, "fine"), ("internal.key=another-key-another-key-another-key", "doubt")] {
        let edge = ["--roles", "edge", "--set", &url, "--set", key];
        let (code, findings) = found(&[&at(&data)[..], &edge].concat());
        assert_eq!((code, of(&findings, "control")["state"].as_str()), (0, Some(state)), "{findings:?}");
    }
}

#[cfg(feature = "kafka")]
mod fleet {
    use super::{Server, at, found, of, wrong};
    use crate::{command_line::code, harness::brokers::Namespace};

    #[test]
    fn brokers_topics_groups_and_permissions_are_looked_at() {
        let Some(space) = Namespace::new() else { return };
        let dir = tempfile::tempdir().unwrap();
        let settings = space.settings();
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let place = at(dir.path());
        let doctor = |more: &[&str]| found(&[&place[..], &settings, more].concat());
        let (code, findings) = doctor(&[]);
        assert_eq!(code, 0, "{findings:?}");
        let log = format!("topic {}emote-log", space.name);
        assert_eq!(of(&findings, &log)["text"], "missing");
        assert!(space.topics().is_empty(), "looking has made topics");

        let server = Server::start(dir.path(), &settings);
        let (code, findings) = doctor(&[]);
        assert_eq!(code, 0, "{findings:?}");
        for check in ["brokers", "permissions", "clock"] {
            assert_eq!(of(&findings, check)["state"], "fine", "{findings:?}");
        }
        let group = of(&findings, &format!("group {}emostream-count", space.name));
        assert!(group["text"].as_str().unwrap().starts_with("1 members"), "{group}");
        let spool = of(&findings, "spool")["text"].as_str().unwrap();
        assert!(spool.starts_with("0 records wait"), "{spool}");
        assert_eq!(server.stop().code, Some(0));

        let (code, findings) = doctor(&["--set", "log.partitions=9"]);
        assert_eq!((code, wrong(&findings)), (1, (log.as_str(), "has 6 partitions, configured are 9")));
    }

    #[test]
    fn brokers_that_do_not_answer_are_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = ["--set", "log.kind=kafka", "--set", "kafka.bootstrap_servers=127.0.0.1:1"];
        let soon = ["--set", "kafka.start_timeout_ms=1000"];
        let (exit, findings) = found(&[&at(dir.path())[..], &nowhere, &soon].concat());
        assert_eq!((exit, wrong(&findings).0), (1, "brokers"), "{findings:?}");
        assert!(wrong(&findings).1.contains("127.0.0.1:1"), "{findings:?}");
        // The same is what serve says, and does not serve.
        let serve =
            crate::harness::process::run(&[&["serve"], &at(dir.path())[..], &nowhere, &soon].concat());
        assert_eq!(code(&serve), 1, "{serve:?}");
    }
}
