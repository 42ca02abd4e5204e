//! Channels: made together with their settings, listed, changed.

use emostream_protocol::ChannelName;
use emostream_store::{ChannelChange, ChannelRecord, NewChannel, NewSettings, Store, StoreError};

use crate::setup::{NOW, Place, everywhere};

everywhere!(
    a_channel_is_made_with_its_settings,
    nothing_of_a_refused_channel_stays,
    there_are_never_more_than_the_limit,
    pages_follow_creation,
    only_what_is_given_changes,
    channels_made_at_once_are_all_there,
);

pub(crate) fn named(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn new(name: &str) -> NewChannel {
    NewChannel { name: named(name), title: format!("The {name}"), seed_hash: None }
}

pub(crate) const FIRST: NewSettings<'_> = NewSettings { document: "{}", by: "seed" };

const LIMIT: u32 = 1_000;

pub(crate) async fn add(store: &Store, name: &str) -> ChannelRecord {
    store.create_channel(&new(name), &FIRST, LIMIT, NOW).await.unwrap()
}

async fn a_channel_is_made_with_its_settings(place: Place) {
    let store = place.open().await;
    let channel = NewChannel { seed_hash: Some("ab12".into()), ..new("main") };
    let made = store.create_channel(&channel, &FIRST, LIMIT, NOW).await.unwrap();
    let expected = ChannelRecord {
        id: 1,
        name: named("main"),
        title: "The main".into(),
        created_us: NOW,
        closed: false,
        recording_started_us: None,
        seed_hash: Some("ab12".into()),
    };
    assert_eq!(made, expected);
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.channel(&named("main")).await.unwrap(), Some(expected));
    let settings = store.settings(&named("main")).await.unwrap();
    assert_eq!((settings.version, settings.document.as_str(), settings.published), (1, "{}", false));
    assert_eq!(store.channel(&named("Main")).await.unwrap(), None, "names of channels tell cases apart");
    let again = store.create_channel(&channel, &FIRST, LIMIT, NOW).await;
    assert_eq!(again, Err(StoreError::Conflict { what: "channel" }));
}

async fn nothing_of_a_refused_channel_stays(place: Place) {
    let store = place.open().await;
    let long = NewChannel { title: "x".repeat(201), ..new("main") };
    let refused = store.create_channel(&long, &FIRST, LIMIT, NOW).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "title", .. })), "{refused:?}");
    for document in [String::new(), "x".repeat(256 * 1024 + 1), "\0".into()] {
        let settings = NewSettings { document: &document, by: "seed" };
        let refused = store.create_channel(&new("main"), &settings, LIMIT, NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "document", .. })), "{refused:?}");
    }
    assert_eq!(store.channel(&named("main")).await.unwrap(), None);
    assert_eq!(store.settings(&named("main")).await, Err(StoreError::NotFound { what: "channel" }));
    assert_eq!(add(&store, "main").await.id, 1);
}

async fn there_are_never_more_than_the_limit(place: Place) {
    let store = place.open().await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..12 {
        let store = store.clone();
        crowd.spawn(async move { store.create_channel(&new(&format!("c{number}")), &FIRST, 5, NOW).await });
    }
    let made = crowd.join_all().await.into_iter().filter(|made| match made {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(*error, StoreError::LimitReached { what: "channels", limit: 5 });
            false
        }
    });
    assert_eq!(made.count(), 5);
    assert_eq!(store.channels(None, 100).await.unwrap().items.len(), 5);
    assert_eq!(store.unpublished_settings(100).await.unwrap().len(), 5, "nothing stays of those refused");
}

async fn pages_follow_creation(place: Place) {
    let store = place.open().await;
    for name in ["c", "a", "B", "d"] {
        add(&store, name).await;
    }
    let first = store.channels(None, 3).await.unwrap();
    let second = store.channels(first.next, 3).await.unwrap();
    let names: Vec<_> =
        first.items.iter().chain(&second.items).map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "B", "d"]);
    assert_eq!((first.next, second.next), (Some(3), None));
}

async fn only_what_is_given_changes(place: Place) {
    let store = place.open().await;
    let made = add(&store, "main").await;
    let change = ChannelChange {
        title: Some("Final".into()),
        recording_started_us: Some(Some(NOW + 1)),
        ..ChannelChange::default()
    };
    let changed = store.update_channel(&made.name, &change).await.unwrap();
    let expected = ChannelRecord { title: "Final".into(), recording_started_us: Some(NOW + 1), ..made };
    assert_eq!(changed, expected);
    let change = ChannelChange {
        closed: Some(true),
        recording_started_us: Some(None),
        seed_hash: Some(Some("ff".into())),
        ..ChannelChange::default()
    };
    store.update_channel(&expected.name, &change).await.unwrap();
    let expected =
        ChannelRecord { closed: true, recording_started_us: None, seed_hash: Some("ff".into()), ..expected };
    assert_eq!(store.channel(&expected.name).await.unwrap(), Some(expected));
    let missing = store.update_channel(&named("other"), &change).await;
    assert_eq!(missing, Err(StoreError::NotFound { what: "channel" }));
    let bad = ChannelChange { title: Some("a\nb".into()), ..ChannelChange::default() };
    let refused = store.update_channel(&named("main"), &bad).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "title", .. })), "{refused:?}");
}

async fn channels_made_at_once_are_all_there(place: Place) {
    let store = place.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        tasks.spawn(async move { add(&store, &format!("channel-{number}")).await.id });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    assert_eq!(ids, (1..=32).collect::<Vec<i64>>());
    assert_eq!(store.channels(None, 100).await.unwrap().items.len(), 32);
}
