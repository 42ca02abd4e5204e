//! `emostream log` where the log is on brokers.

use std::{collections::BTreeSet, process::Output};

use serde_json::{Value, json};

use crate::{
    command_line::{code, text},
    harness::{brokers::Namespace, client::Client, new_id, process::Server, windows::final_total},
};

fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(code(output), 0, "{output:?}");
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cat(space: &Namespace, args: &[&str]) -> Vec<Value> {
    lines(&space.run(&[&["log", "cat"], args].concat()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_brokers_is_listed_printed_and_verified() {
    let Some(space) = Namespace::new() else { return };
    let nothing = space.run(&["log", "ls"]);
    assert!(code(&nothing) == 1 && text(&nothing.stderr).contains(&space.name), "{nothing:?}");
    assert!(space.topics().is_empty(), "looking has made topics");

    let dir = tempfile::tempdir().unwrap();
    let settings = space.settings();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let server = Server::start(dir.path(), &settings);
    let mut client = Client::connect(server.address).await.unwrap();
    for _ in 0..20 {
        let reaction = json!({"emote": "🔥", "id": new_id(), "user_id": "ada"});
        assert_eq!(client.react("main", &reaction).await.unwrap().status, 200);
    }
    assert_eq!(final_total(server.address, "main").await["🔥"], 20);
    // Also while the node runs, which goes on with its share.
    assert_eq!(code(&space.run(&["log", "verify"])), 0);
    assert_eq!(server.stop().code, Some(0));

    let listed = space.run(&["log", "ls"]);
    let listed = text(&listed.stdout);
    assert!(listed.lines().any(|line| line.starts_with("epoch ")), "{listed}");
    assert!(listed.contains("windows.window_ms = 2000"), "{listed}");
    let rows: Vec<_> = listed.lines().filter(|line| line.starts_with(&space.name)).collect();
    assert_eq!(rows.len(), 6 + 3 * 4 + 3, "{listed}");
    let written = rows.iter().filter(|row| row.ends_with('Z'));
    assert!(written.count() > 6, "{listed}");

    let raw = cat(&space, &["--topic", "emote-log"]);
    let reactions = raw.iter().filter_map(|record| record["reactions"].as_array()).flatten();
    let ids: BTreeSet<_> =
        reactions.filter(|one| one["emote"] == "🔥").map(|one| one["id"].to_string()).collect();
    assert_eq!(ids.len(), 20);
    let one = raw.iter().filter(|record| record["partition"] == 2).take(2).collect::<Vec<_>>();
    let name = format!("{}emote-log", space.name);
    let some = cat(&space, &["--topic", &name, "--partition", "2", "--limit", "2"]);
    assert_eq!(some.iter().collect::<Vec<_>>(), one);

    assert_eq!(counted(&cat(&space, &[])), 20, "emote-output");
    let steps = cat(&space, &["--topic", "emote-partials"]);
    let partials: Vec<_> =
        steps.iter().filter_map(|step| step["items"].as_array()).flatten().cloned().collect();
    assert_eq!(counted(&partials), 20, "emote-partials");
    let states = cat(&space, &["--topic", "emote-state"]);
    let kinds: BTreeSet<_> = states.iter().map(|state| state["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["clock", "count", "generation", "merge"]));
    let channels = cat(&space, &["--topic", "settings"]);
    assert_eq!((&channels[0]["key"], &channels[0]["channel"]), (&json!("main"), &json!("main")));
    assert!(cat(&space, &["--topic", "dead-letter"]).is_empty());
    let unknown = space.run(&["log", "cat", "--topic", "nonsense"]);
    assert!(code(&unknown) == 1 && text(&unknown.stderr).contains("no such topic"), "{unknown:?}");
    let verified = space.run(&["log", "verify"]);
    assert_eq!(code(&verified), 0, "{verified:?}");
    assert!(text(&verified.stdout).trim_end().ends_with(", 0 damaged"), "{verified:?}");
}

/// Reactions in windows or partials.
fn counted(items: &[Value]) -> u64 {
    items.iter().filter_map(|item| item["counts"]["🔥"].as_u64()).sum()
}

#[test]
fn what_cannot_be_decoded_is_named_with_its_place() {
    use emostream_log::{
        Log, TopicPartition,
        kafka::{KafkaConfig, KafkaLog, KafkaTopic, TopicKind},
    };
    let Some(space) = Namespace::new() else { return };
    assert_eq!(code(&space.run(&["topics", "create"])), 0);
    let topics = vec![
        KafkaTopic::new("emote-state", 1, TopicKind::Compacted).with_message_bytes_max(16 << 20),
        KafkaTopic::new("emote-output", 4, TopicKind::Log { retention_ms: 1 }),
    ];
    let config = KafkaConfig { namespace: space.name.clone(), ..KafkaConfig::new(&space.servers, topics) };
    let (log, _) = KafkaLog::open(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let to = TopicPartition::new("emote-output", 3);
    let appended = runtime.block_on(log.append(&to, vec!["no row".into(), "neither".into()])).unwrap();
    drop(log);
    let verified = space.run(&["log", "verify"]);
    let named = format!("{}emote-output-3 is damaged at offset {}", space.name, appended.first_offset);
    assert_eq!(code(&verified), 1, "{verified:?}");
    assert!(text(&verified.stderr).contains(&named), "{verified:?}");
    assert!(text(&verified.stdout).trim_end().ends_with(", 2 damaged"), "{verified:?}");
    let printed = cat(&space, &["--partition", "3"]);
    assert!(printed.len() == 2 && printed.iter().all(|line| line["error"].is_string()), "{printed:?}");
}
