//! Settings: versions without gaps, expected versions, history, and the outbox of what is not in the log.

use emostream_store::{NewSettings, Store, StoreError};

use crate::{
    channels::{add, named},
    setup::{NOW, Place, everywhere},
};

everywhere!(
    versions_ascend_and_expectations_hold,
    history_is_newest_first,
    the_outbox_is_in_order_until_marked,
    of_changes_at_once_none_is_lost,
    of_authors_who_saw_the_same_version_one_wins,
);

async fn put(store: &Store, expected: Option<u64>, document: &str) -> Result<u64, StoreError> {
    let new = NewSettings { document, by: "ana" };
    store.put_settings(&named("main"), expected, &new, NOW + 1).await
}

async fn versions_ascend_and_expectations_hold(place: Place) {
    let store = place.open().await;
    assert_eq!(put(&store, None, "{}").await, Err(StoreError::NotFound { what: "channel" }));
    add(&store, "main").await;
    assert_eq!(put(&store, Some(1), r#"{"a":1}"#).await, Ok(2));
    assert_eq!(put(&store, Some(1), r#"{"a":2}"#).await, Err(StoreError::VersionConflict { current: 2 }));
    assert_eq!(put(&store, Some(3), r#"{"a":2}"#).await, Err(StoreError::VersionConflict { current: 2 }));
    assert_eq!(put(&store, None, r#"{"a":"ä"}"#).await, Ok(3));
    let settings = store.settings(&named("main")).await.unwrap();
    assert_eq!((settings.version, settings.document.as_str()), (3, r#"{"a":"ä"}"#));
    assert_eq!((settings.changed_by.as_str(), settings.changed_us), ("ana", NOW + 1));
    let by = "x".repeat(129);
    let refused =
        store.put_settings(&named("main"), None, &NewSettings { document: "{}", by: &by }, NOW).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "by", .. })), "{refused:?}");
}

async fn history_is_newest_first(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    add(&store, "other").await;
    for version in 2..=5 {
        assert_eq!(put(&store, None, &format!("[{version}]")).await, Ok(version));
    }
    let first = store.settings_history(&named("main"), None, 3).await.unwrap();
    let second = store.settings_history(&named("main"), first.next, 3).await.unwrap();
    let all = first.items.iter().chain(&second.items);
    let documents: Vec<_> = all.map(|version| (version.version, version.document.as_str())).collect();
    assert_eq!(documents, [(5, "[5]"), (4, "[4]"), (3, "[3]"), (2, "[2]"), (1, "{}")]);
    assert_eq!(second.next, None);
    assert!(store.settings_history(&named("none"), None, 3).await.unwrap().items.is_empty());
    let refused = store.settings_history(&named("main"), None, 101).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "limit", .. })), "{refused:?}");
}

async fn waiting(store: &Store, limit: u32) -> Vec<(String, u64)> {
    let waiting = store.unpublished_settings(limit).await.unwrap();
    waiting.iter().map(|version| (version.channel.to_string(), version.version)).collect()
}

async fn the_outbox_is_in_order_until_marked(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    add(&store, "alt").await;
    put(&store, None, "[2]").await.unwrap();
    let all = [("alt".to_owned(), 1), ("main".to_owned(), 1), ("main".to_owned(), 2)];
    assert_eq!(waiting(&store, 10).await, all);
    assert_eq!(waiting(&store, 2).await, all[..2]);
    store.mark_published(&named("main"), 1).await.unwrap();
    store.mark_published(&named("main"), 1).await.unwrap();
    store.mark_published(&named("alt"), 1).await.unwrap();
    store.close().await;
    let store = place.open().await;
    assert_eq!(waiting(&store, 10).await, all[2..]);
    store.mark_published(&named("main"), 2).await.unwrap();
    assert!(waiting(&store, 10).await.is_empty());
    assert!(store.settings(&named("main")).await.unwrap().published);
    let missing = store.mark_published(&named("main"), 3).await;
    assert_eq!(missing, Err(StoreError::NotFound { what: "settings version" }));
}

async fn of_changes_at_once_none_is_lost(place: Place) {
    // Two stores, as two processes have them.
    let stores = [place.open().await, place.open().await];
    let store = &stores[0];
    add(store, "main").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = stores[number % 2].clone();
        tasks.spawn(async move { put(&store, None, &format!("[{number}]")).await.unwrap() });
    }
    let mut versions = tasks.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=33).collect::<Vec<u64>>());
    let history = store.settings_history(&named("main"), None, 32).await.unwrap();
    let mut documents: Vec<_> = history.items.into_iter().map(|version| version.document).collect();
    documents.sort_unstable();
    documents.dedup();
    assert_eq!(documents.len(), 32);
}

async fn of_authors_who_saw_the_same_version_one_wins(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        tasks.spawn(async move { put(&store, Some(1), &format!("[{number}]")).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(2)).count(), 1);
    let beaten = Err(StoreError::VersionConflict { current: 2 });
    assert_eq!(answers.iter().filter(|answer| **answer == beaten).count(), 31);
}
