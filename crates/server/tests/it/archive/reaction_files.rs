//! `emostream export reactions`: the same reactions in every form, each once, adding up to what was counted.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::harness::{
    client::Client,
    new_id,
    process::{Server, run},
    windows::{all_items, final_total},
};

fn export(data: &Path, args: &[&str]) -> Output {
    let place = ["export", "reactions", "--data-dir", data.to_str().unwrap()];
    run(&[&place[..], args].concat())
}

/// The JSON lines of an export to standard output.
fn lines(data: &Path, args: &[&str]) -> Vec<Value> {
    let output = export(data, &[&["--format", "json"], args].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sends 30 reactions to `main`, ten of them twice, and three to another channel.
async fn send(client: &mut Client) {
    for number in 0..30 {
        let reaction = json!({
            "emote": if number % 3 == 0 { "👏" } else { "🔥" },
            "id": new_id(),
            "user_id": format!("=user,\"{number}\""),
            "media_time_ms": number * 1_000,
        });
        for _ in 0..if number < 10 { 2 } else { 1 } {
            assert_eq!(client.react("main", &reaction).await.unwrap().status, 200);
        }
    }
    let without_ids = json!(vec![json!({"emote": "🔥"}); 3]);
    assert_eq!(client.react("other", &without_ids).await.unwrap().status, 200);
}

fn start(data: &Path) -> Server {
    // The second attempt shall reach the log: nothing is recognised in front of it.
    let args = ["log.durability=os", "log.partitions=3", "windows.window_ms=200"];
    let channels = "channels=[{name=\"main\"},{name=\"other\"}]";
    let args: Vec<&str> = args.into_iter().chain([channels]).flat_map(|pair| ["--set", pair]).collect();
    Server::start(data, &args)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_holds_what_was_counted_also_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = start(&data);
    let mut client = Client::connect(server.address).await.unwrap();
    send(&mut client).await;
    let counted = final_total(server.address, "main").await;

    let exported = lines(&data, &["--channel", "main"]);
    let of = |emote: &str| exported.iter().filter(|line| line["emote"] == emote).count() as u64;
    assert_eq!((of("👏"), of("🔥")), (counted["👏"], counted["🔥"]));
    assert_eq!((of("👏"), of("🔥"), exported.len()), (10, 20, 31));
    assert_eq!(lines(&data, &["--channel", "other"]).len(), 3);
    assert!(lines(&data, &["--channel", "nobody"]).is_empty());
    let appended: Vec<_> = exported.iter().map(|line| line["appended_at"].as_str().unwrap()).collect();
    assert!(appended.is_sorted(), "{appended:?}");

    // What a window counts is what is exported of its span.
    for window in all_items(server.address, "main", "windows").await {
        let start_ms = emostream_protocol::time::parse_ms(window["window_start"].as_str().unwrap()).unwrap();
        let end = emostream_protocol::time::format_ms(start_ms + 200);
        let span = ["--channel", "main", "--from", window["window_start"].as_str().unwrap(), "--to", &end];
        assert_eq!(json!(lines(&data, &span).len()), window["total"], "{window}");
    }
    assert_table_agrees(&data, &exported);
    let file = dir.path().join("reactions.db");
    let written =
        export(&data, &["--channel", "main", "--format", "sqlite", "--output", file.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    assert_database_agrees(&file, &exported).await;
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(lines(&data, &["--channel", "main"]), exported);
}

fn assert_table_agrees(data: &Path, exported: &[Value]) {
    let output = export(data, &["--channel", "main", "--format", "csv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows = text.split_terminator("\r\n");
    let columns: Vec<&str> = rows.next().unwrap().split(',').collect();
    assert_eq!(columns[..5], ["event_time", "emote", "id", "id_from_client", "user_id"]);
    let mut number = 0;
    for (row, line) in rows.zip(exported) {
        number += 1;
        assert!(row.starts_with(&format!(
            "{},{},",
            line["event_time"].as_str().unwrap(),
            line["emote"].as_str().unwrap()
        )));
        assert!(row.contains(line["id"].as_str().unwrap()), "{row}");
        if let Some(user) = line["user_id"].as_str().filter(|user| user.starts_with('=')) {
            // A spreadsheet must not calculate it.
            assert!(row.contains(&format!(",\"'{}\",", user.replace('"', "\"\""))), "{row}");
        }
    }
    assert_eq!(number, exported.len());
}

async fn assert_database_agrees(file: &Path, exported: &[Value]) {
    let mut database = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    let query = "SELECT event_time, emote, id, user_id, media_time_ms FROM reactions \
        ORDER BY appended_at, log_partition, log_offset, place";
    let rows = sqlx::query(query).fetch_all(&mut database).await.unwrap();
    let mut stored: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "event_time": row.get::<String, _>(0),
                "emote": row.get::<String, _>(1),
                "id": row.get::<String, _>(2),
                "user_id": row.get::<Option<String>, _>(3),
                "media_time_ms": row.get::<Option<i64>, _>(4),
            })
        })
        .collect();
    let names = ["event_time", "emote", "id", "user_id", "media_time_ms"];
    let mut expected: Vec<Value> = exported
        .iter()
        .map(|line| names.iter().map(|name| ((*name).to_owned(), line[name].clone())).collect())
        .collect();
    stored.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(stored, expected);
    let explained = sqlx::query("EXPLAIN QUERY PLAN SELECT 1 FROM reactions WHERE event_time > 'a'");
    let plan: String = explained.fetch_one(&mut database).await.unwrap().get("detail");
    assert!(plan.contains("reactions_by_time"), "{plan}");
    let channel = sqlx::query("SELECT value FROM export WHERE name = 'channel'");
    assert_eq!(channel.fetch_one(&mut database).await.unwrap().get::<String, _>(0), "main");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_holds_repeats_and_marks_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    // A restart between the two: the repeat reaches the log, and counting must know it.
    let server = start(data);
    let reaction = json!({"emote": "🔥", "id": new_id(), "user_id": "u"});
    Client::connect(server.address).await.unwrap().react("main", &reaction).await.unwrap();
    server.kill9();
    let server = start(data);
    Client::connect(server.address).await.unwrap().react("main", &reaction).await.unwrap();
    let counted = final_total(server.address, "main").await;
    let own = |line: &&Value| line["id"] == reaction["id"];
    let once = lines(data, &["--channel", "main"]);
    assert_eq!((once.iter().filter(own).count() as u64, counted["🔥"]), (1, 1));
    assert!(once[0].get("duplicate").is_none());
    let raw = lines(data, &["--channel", "main", "--raw"]);
    let marks: Vec<_> = raw.iter().filter(own).map(|line| line["duplicate"].clone()).collect();
    assert_eq!(marks, [json!(false), json!(true)]);
    // A span that begins after the first still knows it.
    let from = raw.iter().filter(own).nth(1).unwrap()["event_time"].as_str().unwrap();
    assert_eq!(lines(data, &["--channel", "main", "--from", from]).iter().filter(own).count(), 0);
}

#[test]
fn what_cannot_be_is_said_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (args, named, code) in [
        (&["--channel", "main", "--format", "sqlite"][..], "--output", 2),
        (&["--channel", "a b", "--format", "csv"], "--channel", 2),
        (&["--channel", "main", "--format", "xml"], "--format", 2),
        (&["--channel", "main", "--format", "csv", "--from", "yesterday"], "--from", 2),
        (&["--channel", "main", "--format", "csv", "--to", "2026-13-01"], "--to", 2),
        (&["--format", "csv"], "--channel", 2),
        (&["--channel", "main", "--format", "csv"], "there is no log in", 1),
    ] {
        let output = export(&data, args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains(named)), (Some(code), true), "{args:?}: {said}");
    }
    drop(start(&data).stop());
    // A folder that is not there; and a file that stays what it was when the export fails.
    let nowhere = dir.path().join("nowhere/file.csv");
    let args = ["--channel", "main", "--format", "csv", "--output", nowhere.to_str().unwrap()];
    assert_eq!(export(&data, &args).status.code(), Some(1));
    let kept = dir.path().join("kept.csv");
    fs::write(&kept, "before").unwrap();
    let args = ["--channel", "main", "--format", "csv", "--output", kept.to_str().unwrap()];
    fs::rename(data.join("log"), data.join("moved")).unwrap();
    assert_eq!(export(&data, &args).status.code(), Some(1));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "before");
    fs::rename(data.join("moved"), data.join("log")).unwrap();
    assert_eq!(export(&data, &args).status.code(), Some(0));
    assert!(fs::read_to_string(&kept).unwrap().starts_with("event_time,"));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("partial")), "{names:?}");
}
