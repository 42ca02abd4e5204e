//! A process that is killed while it archives: rows and position agree, and the next process goes on from there.

use std::process::{Command, Stdio};

use emostream_store::{ArchiveQuery, Store, StoreOptions};

use crate::{
    archive::{all, source, windows},
    channels::named,
    setup::{Place, everywhere},
};

everywhere!(a_killed_archiver_leaves_whole_batches);

/// Tells the child which database to fill.
const CHILD: &str = "EMOSTREAM_TEST_ARCHIVER";

const BATCH: u32 = 500;

/// Not a test of its own: what the killed process does.
#[tokio::test]
async fn child_archives_until_it_is_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    for batch in position(&store).await / BATCH.. {
        let next = (batch + 1) * BATCH;
        store.archive(&windows(batch * BATCH..next), &source(), next.into()).await.unwrap();
    }
}

async fn position(store: &Store) -> u32 {
    store.archive_position(&source()).await.unwrap().unwrap_or(0).try_into().unwrap()
}

async fn a_killed_archiver_leaves_whole_batches(place: Place) {
    let store = place.open().await;
    for _ in 0..3 {
        let before = position(&store).await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child_archives_until_it_is_killed"])
            .env(CHILD, &place.url)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while position(&store).await < before + 3 * BATCH {
            assert!(child.try_wait().unwrap().is_none(), "the child stopped by itself");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    store.close().await;
    let store = place.open().await;
    // On PostgreSQL the last commit of a killed client may still be on its way: a change of our own comes after it.
    store.archive(&windows(0..0), &source(), 0).await.unwrap();
    let position = position(&store).await;
    assert_eq!(position % BATCH, 0);
    assert_eq!(count(&store).await, position);
}

/// How many windows there are; they are the first ones, without a gap.
async fn count(store: &Store) -> u32 {
    let channel = named("main");
    let mut query = ArchiveQuery { limit: 1_000, ..all(&channel) };
    let mut count = 0;
    loop {
        let page = store.windows(&query).await.unwrap();
        let found = u32::try_from(page.items.len()).unwrap();
        assert_eq!(page.items, windows(count..count + found).windows);
        count += found;
        query.after = page.next;
        if query.after.is_none() {
            return count;
        }
    }
}
