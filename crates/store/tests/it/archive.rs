//! The archive: filled again and again without a double, read in pages.

use bytes::Bytes;
use emostream_protocol::{ChannelName, Epoch, Position};
use emostream_store::{
    ArchiveBatch, ArchiveQuery, ArchiveSource, Archived, Order, Store, StoreError, WindowRecord,
};

use crate::{
    channels::named,
    setup::{Place, everywhere},
};

everywhere!(
    windows_come_back_as_they_were,
    repeating_is_harmless_and_the_first_wins,
    positions_are_kept_per_source_and_never_go_back,
    pages_are_in_order_of_time_over_epochs,
    newest_first_is_the_reverse_of_oldest_first,
    a_bad_row_leaves_nothing_of_its_batch,
    what_is_dropped_midway_is_there_wholly_or_not_at_all,
    large_batches_go_in_whole,
);

pub(crate) const WINDOW_MS: i64 = 2_000;

pub(crate) fn epoch(number: u8) -> Epoch {
    Epoch([number; 16])
}

pub(crate) fn source() -> ArchiveSource {
    ArchiveSource { epoch: epoch(1), topic: "emote-output".into(), partition: 0 }
}

/// The window that begins at `number` windows after the Unix epoch.
pub(crate) fn window(channel: &str, epoch_number: u8, number: u32) -> WindowRecord {
    WindowRecord {
        channel: named(channel),
        position: Position { epoch: epoch(epoch_number), seq: u64::from(number + 1) * 512_000 },
        window_start_ms: i64::from(number) * WINDOW_MS,
        row: Bytes::from(format!("{channel} {epoch_number} {number}")),
    }
}

pub(crate) fn windows(range: std::ops::Range<u32>) -> ArchiveBatch {
    ArchiveBatch { windows: range.map(|number| window("main", 1, number)).collect(), moments: Vec::new() }
}

pub(crate) fn all(channel: &ChannelName) -> ArchiveQuery<'_> {
    ArchiveQuery { channel, from_ms: 0, to_ms: i64::MAX, order: Order::Ascending, after: None, limit: 1_000 }
}

/// Every window of a channel, read in pages of `limit`.
async fn everything(store: &Store, channel: &str, limit: u32) -> Vec<WindowRecord> {
    let channel = named(channel);
    every_page(store, ArchiveQuery { limit, ..all(&channel) }).await
}

async fn every_page(store: &Store, mut query: ArchiveQuery<'_>) -> Vec<WindowRecord> {
    let mut found = Vec::new();
    loop {
        let page = store.windows(&query).await.unwrap();
        found.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return found;
        }
    }
}

async fn windows_come_back_as_they_were(place: Place) {
    let store = place.open().await;
    let batch = windows(0..300);
    let added = store.archive(&batch, &source(), 300).await.unwrap();
    assert_eq!(added, Archived { windows: 300, moments: 0 });
    store.close().await;
    let store = place.open().await;
    assert_eq!(everything(&store, "main", 7).await, batch.windows);
    assert_eq!(everything(&store, "main", 300).await, batch.windows);
    assert!(everything(&store, "other", 10).await.is_empty());
    let channel = named("main");
    let some = ArchiveQuery { from_ms: 10 * WINDOW_MS, to_ms: 20 * WINDOW_MS, ..all(&channel) };
    assert_eq!(store.windows(&some).await.unwrap().items, batch.windows[10..20]);
    let first = store.windows(&ArchiveQuery { limit: 4, ..some.clone() }).await.unwrap();
    let rest = store.windows(&ArchiveQuery { after: first.next, ..some.clone() }).await.unwrap();
    assert_eq!(rest.items, batch.windows[14..20]);
    let later = ArchiveQuery { after: first.next, from_ms: 16 * WINDOW_MS, ..some };
    assert_eq!(
        store.windows(&later).await.unwrap().items,
        batch.windows[16..20],
        "a cursor from before the range"
    );
}

async fn newest_first_is_the_reverse_of_oldest_first(place: Place) {
    let store = place.open().await;
    let mut batch = windows(0..40);
    // A second run whose windows begin when those of the first do.
    batch.windows.extend((20..60).map(|number| window("main", 2, number)));
    store.archive(&batch, &source(), 80).await.unwrap();
    let channel = named("main");
    for limit in [1, 7, 1_000] {
        for (from, to) in [(0, 1_000), (10, 30), (25, 26), (59, 60), (30, 30)] {
            let ascending =
                ArchiveQuery { from_ms: from * WINDOW_MS, to_ms: to * WINDOW_MS, limit, ..all(&channel) };
            let descending = ArchiveQuery { order: Order::Descending, ..ascending.clone() };
            let mut expected = every_page(&store, ascending).await;
            expected.reverse();
            assert_eq!(every_page(&store, descending).await, expected, "{from} to {to}, {limit} a page");
        }
    }
    // A place behind the range does not widen it.
    let newest = ArchiveQuery { order: Order::Descending, limit: 1, ..all(&channel) };
    let first = store.windows(&newest).await.unwrap();
    assert_eq!(first.items, [window("main", 2, 59)]);
    let earlier = ArchiveQuery { to_ms: 10 * WINDOW_MS, after: first.next, ..newest };
    assert_eq!(store.windows(&earlier).await.unwrap().items, [window("main", 1, 9)]);
}

async fn repeating_is_harmless_and_the_first_wins(place: Place) {
    let store = place.open().await;
    store.archive(&windows(0..100), &source(), 100).await.unwrap();
    let again = store.archive(&windows(0..100), &source(), 100).await.unwrap();
    assert_eq!(again, Archived::default());
    let mut overlapping = windows(50..200);
    overlapping.windows[0].row = Bytes::from_static(b"something else");
    overlapping.windows[0].window_start_ms += 1;
    overlapping.windows.push(window("main", 1, 60));
    let added = store.archive(&overlapping, &source(), 200).await.unwrap();
    assert_eq!(added.windows, 100);
    assert_eq!(everything(&store, "main", 1_000).await, windows(0..200).windows);
}

async fn positions_are_kept_per_source_and_never_go_back(place: Place) {
    let store = place.open().await;
    let none = ArchiveBatch::default();
    assert_eq!(store.archive_position(&source()).await, Ok(None));
    store.archive(&none, &source(), 7).await.unwrap();
    store.archive(&none, &source(), 5).await.unwrap();
    let others = [
        ArchiveSource { partition: 1, ..source() },
        ArchiveSource { epoch: epoch(2), ..source() },
        ArchiveSource { topic: "other".into(), ..source() },
    ];
    for other in &others {
        assert_eq!(store.archive_position(other).await, Ok(None));
        store.archive(&none, other, 1).await.unwrap();
    }
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.archive_position(&source()).await, Ok(Some(7)));
    for other in &others {
        assert_eq!(store.archive_position(other).await, Ok(Some(1)));
    }
}

async fn pages_are_in_order_of_time_over_epochs(place: Place) {
    let store = place.open().await;
    let rows = [(9, 0), (9, 1), (1, 1), (1, 2), (3, 2), (1, 5)];
    let mut batch = ArchiveBatch::default();
    batch.windows.extend(rows.map(|(epoch, number)| window("main", epoch, number)));
    batch.windows.push(window("other", 1, 1));
    store.archive(&batch, &source(), 1).await.unwrap();
    let order: Vec<_> = everything(&store, "main", 1)
        .await
        .iter()
        .map(|row| (row.window_start_ms / WINDOW_MS, row.position.epoch.0[0]))
        .collect();
    assert_eq!(order, [(0, 9), (1, 1), (1, 9), (2, 1), (2, 3), (5, 1)]);
}

async fn a_bad_row_leaves_nothing_of_its_batch(place: Place) {
    let store = place.open().await;
    let mut batch = windows(0..10);
    batch.windows[9].position.seq = u64::MAX;
    let refused = store.archive(&batch, &source(), 10).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "seq", .. })), "{refused:?}");
    let refused = store.archive(&windows(0..10_001), &source(), 10).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "batch", .. })), "{refused:?}");
    assert_eq!(store.archive_position(&source()).await, Ok(None));
    assert!(everything(&store, "main", 10).await.is_empty());
}

/// Callers go away at every point of an archiving call: what they leave agrees, and the next call finishes the work.
async fn what_is_dropped_midway_is_there_wholly_or_not_at_all(place: Place) {
    let store = place.open().await;
    let mut done = 0;
    for polls in 0..60 {
        let batch = windows(done * 200..(done + 1) * 200);
        let next = u64::from(done + 1) * 200;
        let source = source();
        let mut call = Box::pin(store.archive(&batch, &source, next));
        for _ in 0..polls {
            let finished = std::future::poll_fn(|context| {
                std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
            });
            if finished.await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_micros(300)).await;
        }
        drop(call);
        // A commit may still be on its way: a change of our own comes after it.
        store.archive(&ArchiveBatch::default(), &source, 0).await.unwrap();
        let position = store.archive_position(&source).await.unwrap().unwrap_or(0);
        let rows = everything(&store, "main", 1_000).await.len();
        assert_eq!(u64::try_from(rows).unwrap(), position, "after {polls} polls");
        assert!(position == next || position == next - 200);
        done = u32::try_from(position / 200).unwrap();
    }
    store.archive(&windows(done * 200..(done + 1) * 200), &source(), 1).await.unwrap();
    assert_eq!(everything(&store, "main", 1_000).await, windows(0..(done + 1) * 200).windows);
}

async fn large_batches_go_in_whole(place: Place) {
    let store = place.open().await;
    let added = store.archive(&windows(0..10_000), &source(), 10_000).await.unwrap();
    assert_eq!(added.windows, 10_000);
    assert_eq!(everything(&store, "main", 1_000).await, windows(0..10_000).windows);
}
