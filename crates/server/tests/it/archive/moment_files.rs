//! `emostream export moments`: what is found, in every format.

use std::{path::Path, process::Output};

use serde_json::{Value, json};

use crate::{
    harness::{
        client::Client,
        process::run,
        wait_for,
        windows::{all_items, closed_windows_total},
    },
    http::start,
};

fn export(data: &Path, args: &[&str]) -> Output {
    let place = ["export", "moments", "--channel", "main", "--data-dir", data.to_str().unwrap()];
    run(&[&place[..], args].concat())
}

fn text(data: &Path, args: &[&str]) -> String {
    let output = export(data, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_live_and_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let mut sent = 0;
    let moments = async || {
        let burst = json!(vec![json!({"emote": "🔥", "user_id": "u"}); 5]);
        Client::connect(address).await.unwrap().react("main", &burst).await.unwrap();
        sent += 5;
        (all_items(address, "main", "moments").await.len() > 2).then_some(())
    };
    wait_for("three moments", moments).await;
    closed_windows_total(address, "main", sent).await;
    let moments = all_items(address, "main", "moments").await;
    let start = moments[0]["window_start"].as_str().unwrap();
    let begun = ["--recording-started-at", start];
    let formats = ["youtube", "vtt", "edl", "csv", "json", "ffmetadata"];
    let live: Vec<String> =
        formats.map(|format| text(dir.path(), &[&["--format", format], &begun[..]].concat())).into();
    assert!(live[0].starts_with("00:00 🔥 × "), "{}", live[0]);
    assert_eq!(live[1].matches(" --> ").count(), moments.len());
    assert_eq!(live[2].matches("* LOC: ").count(), moments.len());
    assert_eq!(live[3].lines().count(), moments.len() + 1);
    let document: Value = serde_json::from_str(&live[4]).unwrap();
    let ids =
        |items: &Value| items.as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&document["moments"]), ids(&json!(moments)));
    assert_eq!(document["moments"][0]["position_ms"], 0);
    assert!(live[5].starts_with(";FFMETADATA1\n") && live[5].contains("[CHAPTER]"));

    // A part, moved: what is before the recording then is left out.
    let from = moments[1]["window_start"].as_str().unwrap();
    let part = text(dir.path(), &[&["--format", "json", "--from", from], &begun[..]].concat());
    let part: Value = serde_json::from_str(&part).unwrap();
    assert_eq!(ids(&part["moments"]), ids(&json!(moments[1..])));
    let moved = text(dir.path(), &[&["--format", "json", "--offset", "-1"], &begun[..]].concat());
    let moved: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!((ids(&moved["moments"]), &moved["left_out"]), (ids(&json!(moments[1..])), &json!(1)));

    assert_eq!(server.stop().code, Some(0));
    for (format, live) in formats.iter().zip(live) {
        let file = dir.path().join(format);
        let args = ["--format", format, "--output", file.to_str().unwrap()];
        assert!(export(dir.path(), &[&args[..], &begun].concat()).status.success());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), live);
    }
    // Nothing says where these moments are on a recording.
    let output = export(dir.path(), &["--format", "edl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--recording-started-at"), "{output:?}");
    for (args, named) in [
        (["--format", "edl", "--fps", "12"], "--fps"),
        (["--format", "edl", "--offset", "1.5"], "--offset"),
        (["--format", "edl", "--recording-started-at", "now"], "--recording-started-at"),
        (["--format", "avi", "--fps", "25"], "--format"),
    ] {
        let output = export(dir.path(), &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(named), "{args:?}: {output:?}");
    }
}
