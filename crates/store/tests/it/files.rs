//! What is SQLite's alone: files and their rights, addresses, and readers beside a writer.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use emostream_store::{Store, StoreError, StoreOptions};
use sqlx::Connection;

use crate::{
    channels::{add, named},
    setup::Place,
};

#[tokio::test]
async fn only_the_owner_reads_the_files() {
    let place = Place::sqlite();
    let store = place.open().await;
    add(&store, "main").await;
    let folder = place.folder().join("in");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 2, "the database and its write-ahead log: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn memory_is_shared_by_clones_and_by_nobody_else() {
    let options = StoreOptions::default();
    let one = Store::open("sqlite::memory:", &options).await.unwrap();
    let other = Store::open("sqlite::memory:", &options).await.unwrap();
    add(&one, "main").await;
    assert!(one.clone().channel(&named("main")).await.unwrap().is_some());
    assert!(other.channel(&named("main")).await.unwrap().is_none());
    one.ping().await.unwrap();
    one.close().await;
    assert!(matches!(one.ping().await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn readers_read_while_a_writer_is_busy_and_writers_say_so() {
    let place = Place::sqlite();
    let options = StoreOptions { busy_timeout: Duration::from_millis(50), ..StoreOptions::default() };
    let store = Store::open(&place.url, &options).await.unwrap();
    add(&store, "main").await;
    let mut other = sqlx::SqliteConnection::connect(&place.url).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(store.channel(&named("main")).await.unwrap().is_some());
    let change = emostream_store::ChannelChange::default();
    let busy = store.update_channel(&named("main"), &change).await;
    assert!(matches!(busy, Err(StoreError::Unavailable(_))), "{busy:?}");
    held.rollback().await.unwrap();
    store.update_channel(&named("main"), &change).await.unwrap();
}

#[tokio::test]
async fn what_is_no_address_is_refused_without_its_password() {
    let options = StoreOptions { acquire_timeout: Duration::from_millis(200), ..StoreOptions::default() };
    for url in [
        "",
        "sqlite:",
        "sqlite://",
        "sqlite://a?mode=ro",
        "mysql://u:secret@h/d",
        "postgres://u:secret@h:port/d",
        "postgres://u:secret@127.0.0.1:1/d",
        "postgres://u:secret@127.0.0.1/d?sslmode=secret",
    ] {
        let Err(error) = Store::open(url, &options).await else { panic!("opened {url}") };
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        if !url.contains(":1/") {
            assert!(matches!(error, StoreError::Invalid { field: "store.url", .. }), "{url}: {error:?}");
        }
    }
    let no_readers = Store::open("sqlite::memory:", &StoreOptions { readers: 0, ..options }).await;
    assert!(matches!(no_readers.map(drop), Err(StoreError::Invalid { field: "readers", .. })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged_and_left_alone() {
    let place = Place::sqlite();
    let file = place.folder().join("notes");
    std::fs::write(&file, "x".repeat(5_000)).unwrap();
    let options = StoreOptions { acquire_timeout: Duration::from_secs(1), ..StoreOptions::default() };
    let opened = Store::open(&format!("sqlite://{}", file.display()), &options).await;
    assert!(matches!(opened.map(drop), Err(StoreError::Damaged(_))));
    assert_eq!(std::fs::read(&file).unwrap(), vec![b'x'; 5_000]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let place = Place::sqlite();
    std::fs::write(place.folder().join("in"), "a file").unwrap();
    let Err(StoreError::Unavailable(words)) = place.try_open().await else { panic!("opened") };
    assert!(words.contains("in/store.db"), "{words}");
}
