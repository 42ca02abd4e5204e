//! Images of custom emotes: replaced, listed, counted within the change.

use emostream_store::{EmoteInfo, NewEmote, Store, StoreError};

use crate::{
    channels::{add, named},
    setup::{NOW, Place, everywhere},
};

everywhere!(images_are_kept_and_replaced, bad_images_are_refused, the_limit_holds_for_puts_at_once);

async fn put(store: &Store, name: &str, image: &[u8], limit: u32) -> Result<bool, StoreError> {
    let emote = NewEmote { name, media_type: "image/png", image };
    store.put_emote(&named("main"), &emote, limit, NOW).await
}

async fn images_are_kept_and_replaced(place: Place) {
    let store = place.open().await;
    assert_eq!(put(&store, "goal", &[0, 1], 2).await, Err(StoreError::NotFound { what: "channel" }));
    add(&store, "main").await;
    assert_eq!(put(&store, "goal", &[0, 1, 255], 2).await, Ok(true));
    assert_eq!(put(&store, "Boo", &[2], 2).await, Ok(true));
    assert_eq!(
        put(&store, "third", &[3], 2).await,
        Err(StoreError::LimitReached { what: "custom emotes", limit: 2 })
    );
    assert_eq!(put(&store, "goal", &[7; 300], 2).await, Ok(false), "replacing needs no room");
    let goal = store.get_emote(&named("main"), "goal").await.unwrap().unwrap();
    assert_eq!(goal.image, vec![7; 300]);
    let info = |name: &str, bytes| EmoteInfo {
        name: name.into(),
        media_type: "image/png".into(),
        bytes,
        changed_us: NOW,
    };
    assert_eq!(goal.info, info("goal", 300));
    assert_eq!(store.list_emotes(&named("main")).await.unwrap(), [info("Boo", 1), info("goal", 300)]);
    assert!(store.list_emotes(&named("other")).await.unwrap().is_empty());
    store.delete_emote(&named("main"), "goal").await.unwrap();
    assert_eq!(store.get_emote(&named("main"), "goal").await.unwrap(), None);
    for name in ["goal", "", "a\0"] {
        let missing = store.delete_emote(&named("main"), name).await;
        assert_eq!(missing, Err(StoreError::NotFound { what: "emote" }), "{name:?}");
        assert_eq!(store.get_emote(&named("main"), name).await.unwrap(), None, "{name:?}");
    }
    assert_eq!(put(&store, "third", &[3], 2).await, Ok(true));
}

async fn bad_images_are_refused(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    let long = vec![0; 1024 * 1024 + 1];
    for (name, image, field) in [
        ("", &[1][..], "emote"),
        (&"x".repeat(41), &[1], "emote"),
        ("a", &[], "image"),
        ("a", &long, "image"),
    ] {
        let refused = put(&store, name, image, 5).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { field: f, .. }) if *f == field), "{refused:?}");
    }
    assert!(matches!(put(&store, "a", &[1], 1_001).await, Err(StoreError::Invalid { field: "limit", .. })));
    assert_eq!(put(&store, "a", &long[1..], 5).await, Ok(true));
}

async fn the_limit_holds_for_puts_at_once(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        tasks.spawn(async move { put(&store, &format!("e{number}"), &[number], 10).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|put| *put).count(), 10);
    assert_eq!(store.list_emotes(&named("main")).await.unwrap().len(), 10);
}
