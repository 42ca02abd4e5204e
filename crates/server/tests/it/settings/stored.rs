//! Settings between the store and the log: in order, and readable by whoever counts.

use emostream_protocol::ChannelName;
use emostream_store::{NewSettings, Store, StoreOptions};
use serde_json::{Value, json};

use super::{SETTINGS, put, start};
use crate::harness::{
    client::{get, react},
    records::cat,
    signed::Signed,
    wait_for,
    windows::all_items,
};

/// Versions of `main`'s settings as they stand in the log.
fn logged(data: &std::path::Path) -> Vec<u64> {
    let records = cat(&["--topic", "emote-log"], data);
    let of_settings = records.iter().filter(|record| record["type"] == "settings");
    of_settings.filter_map(|record| record["settings"]["version"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_no_older_version_follows_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(start(dir.path()).stop().code, Some(0));
    // Two changes were stored, and the node died before the log had them.
    let url = format!("sqlite://{}", dir.path().join("emostream.db").display());
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    let main = ChannelName::new("main").unwrap();
    let old = store.settings(&main).await.unwrap();
    for threshold in [3.0, 4.0] {
        let mut document: Value = serde_json::from_str(&old.document).unwrap();
        document["rule"] = json!({"kind": "plain", "threshold": threshold, "interval": 100});
        document["plain"] = json!({"threshold": threshold, "interval": 100});
        let document = document.to_string();
        let new = NewSettings { document: &document, by: "admin" };
        store.put_settings(&main, None, &new, old.changed_us + 1).await.unwrap();
    }
    let newest = old.version + 2;
    let server = start(dir.path());
    let unpublished = async || store.unpublished_settings(10).await.unwrap().is_empty().then_some(());
    wait_for("nothing to be left to publish", unpublished).await;
    server.kill9();
    let versions = logged(dir.path());
    assert!(versions.is_sorted() && versions.last() == Some(&newest), "{versions:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_are_saved_fit_into_the_log_and_hold() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let names = |set: usize| -> Vec<String> {
        (0..256).map(|number| format!(":set-{set}-{number:03}-of-a-rather-long-name:")).collect()
    };
    for set in 0..8 {
        let palette = json!({"palette": {"custom_emotes": names(set)}});
        assert_eq!(put(&mut admin, "*", &palette).await.status, 200);
    }
    let rule = json!({"kind": "plain", "threshold": 3});
    let allowed = |sets: usize| {
        let mut all: Vec<_> = (0..sets).flat_map(names).collect();
        all.push("🔥".into());
        json!({"rule": rule, "allowed_emotes": all})
    };
    let too_many = put(&mut admin, "*", &allowed(8)).await;
    assert_eq!((too_many.status, &too_many.json()["field"]), (400, &json!("allowed_emotes")), "{too_many:?}");
    let most = put(&mut admin, "*", &allowed(6)).await;
    assert_eq!(most.status, 200, "{most:?}");
    let version = most.json()["version"].clone();
    // What was answered to be saved is what moments are found by.
    let crowd = Value::from_iter((0..5).map(|at| json!({"emote": "🔥", "user_id": at.to_string()})));
    let moment = wait_for("a moment by the new rule", async || {
        react(server.address, "main", &crowd).await.unwrap();
        all_items(server.address, "main", "moments").await.into_iter().next()
    });
    assert_eq!(moment.await["rule_version"], version);
    assert_eq!(get(server.address, "/readyz").await.unwrap().status, 200);
    assert_eq!(admin.get(SETTINGS).await.json()["version"], version);
    server.stop();
}
