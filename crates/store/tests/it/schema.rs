//! Schemas: older ones are brought up to date with all they hold, newer ones are refused.

use emostream_store::StoreError;
use sqlx::Connection;

use crate::{
    channels::{add, named},
    setup::{Place, everywhere},
};

everywhere!(a_newer_schema_is_refused_and_left_alone, opening_at_once_makes_one_schema);

async fn set_version(url: &str, version: &'static str) {
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        sqlx::raw_sql(version).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(version).execute(&mut connection).await.unwrap();
    }
}

async fn a_newer_schema_is_refused_and_left_alone(place: Place) {
    let store = place.open().await;
    add(&store, "main").await;
    store.close().await;
    set_version(&place.url, "UPDATE emostream_schema SET version = version + 7").await;
    let Err(StoreError::SchemaTooNew { found, known }) = place.try_open().await.map(drop) else {
        panic!("opened a schema of the future")
    };
    assert_eq!(found, known + 7);
    set_version(&place.url, "UPDATE emostream_schema SET version = version - 7").await;
    assert!(place.open().await.channel(&named("main")).await.unwrap().is_some());
}

async fn opening_at_once_makes_one_schema(place: Place) {
    let mut tasks = tokio::task::JoinSet::new();
    let place = std::sync::Arc::new(place);
    for number in 0..4 {
        let place = std::sync::Arc::clone(&place);
        tasks.spawn(async move { add(&place.open().await, &format!("channel-{number}")).await });
    }
    assert_eq!(tasks.join_all().await.len(), 4);
    assert_eq!(place.open().await.channels(None, 10).await.unwrap().items.len(), 4);
}
