//! Records, rows and snapshots that cannot be read, or are gone, cost neither a crash nor a window.

use bytes::Bytes;
use emostream_log::{Log, TopicPartition};
use emostream_protocol::record::encode_tick;

use super::{Rig, Running, wait_for};
use crate::aggregate::{
    output::Writer,
    restore::restore,
    snapshot::{Files, Snapshot},
};

/// Three windows of 5, 6 and 7 reactions, and a snapshot after each of them.
async fn count_three_windows(rig: &Rig) -> Running {
    let running = rig.start();
    let windows = [5, 6, 7];
    for closed in 1..=3 {
        running.append(0, running.batch(windows[closed - 1])).await.unwrap();
        running.clock.advance(3_000);
        running.append(0, encode_tick()).await.unwrap();
        wait_for("a window", || running.windows().len() == closed).await;
        let before = running.components.metrics.snapshots_written.get();
        running.clock.advance(11_000);
        let written = || running.components.metrics.snapshots_written.get() > before;
        wait_for("a snapshot", written).await;
    }
    assert_eq!(running.windows().into_values().collect::<Vec<_>>(), [5, 6, 7]);
    running
}

fn stored(rig: &Rig) -> (Files, Snapshot, Snapshot) {
    let files = Files::new(&rig.snapshots()).unwrap();
    let loaded = files.load();
    (files, loaded.newest.unwrap(), loaded.previous.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_output_has_lost_are_written_again() {
    let rig = Rig::new(1, None);
    let before = count_three_windows(&rig).await;
    let windows = before.windows();
    before.stop().await;
    for entry in std::fs::read_dir(rig.dir.path().join("log/rows-0")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let running = rig.start();
    wait_for("the windows", || running.windows() == windows).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_ahead_of_the_output_gives_way_to_the_one_before() {
    let rig = Rig::new(1, None);
    count_three_windows(&rig).await.stop().await;
    let (files, newest, previous) = stored(&rig);
    files.store(&previous, true).unwrap();
    files.store(&Snapshot { output_end: newest.output_end + 1, ..newest }, true).unwrap();
    let running = rig.open();
    let restored = restore(&running.components).unwrap();
    assert!(!restored.stored.newest_is_good);
    assert_eq!(restored.stored.current, Some(previous.partitions));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_cannot_be_read_gives_way_and_never_replaces_a_good_one() {
    let rig = Rig::new(1, None);
    count_three_windows(&rig).await.stop().await;
    let (files, newest, previous) = stored(&rig);
    let unreadable = Snapshot { state: vec![1, 2, 3], ..newest };
    files.store(&previous, true).unwrap();
    files.store(&unreadable, true).unwrap();
    let running = rig.start();
    running.append(0, running.batch(8)).await.unwrap();
    running.stop().await;
    let (files, newest, kept) = stored(&rig);
    assert_eq!(kept, previous);
    assert_ne!(newest, unreadable);
    // Neither can be read: everything is counted again.
    files.store(&unreadable, true).unwrap();
    files.store(&unreadable, true).unwrap();
    let running = rig.start();
    running.counted().await;
    running.clock.advance(11_000);
    running.append(0, encode_tick()).await.unwrap();
    let windows = || running.windows().into_values().eq([5, 6, 7, 8]);
    wait_for("all windows, none of them twice", windows).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_set_aside_and_counting_goes_on() {
    let rig = Rig::new(1, None);
    let running = rig.start();
    let whole = running.batch(9);
    running.append(0, whole.slice(..whole.len() - 5)).await.unwrap();
    running.append(0, Bytes::from_static(&[1, 3, 255, 255])).await.unwrap();
    running.append(0, running.batch(1)).await.unwrap();
    running.clock.advance(11_000);
    running.append(0, encode_tick()).await.unwrap();
    let windows = || running.windows().into_values().eq([9]);
    wait_for("eight reactions before the damage and one after", windows).await;
    let lines: Vec<serde_json::Value> = running
        .records("dead", 0)
        .iter()
        .map(|record| serde_json::from_slice(&record.value).unwrap())
        .collect();
    let offsets: Vec<_> = lines.iter().map(|line| line["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets.len(), 2, "{lines:?}");
    assert_eq!((&lines[0]["topic"], &lines[0]["partition"]), (&"raw".into(), &0.into()));
    assert!(lines.iter().all(|line| line["reason"].is_string() && line["time"].is_string()));
    assert_eq!(running.components.metrics.records_set_aside.get(), 2);
    running.stop().await;

    let running = rig.start();
    running.append(0, running.batch(2)).await.unwrap();
    wait_for("the batch", || running.components.metrics.records_counted.get() > 0).await;
    running.clock.advance(3_000);
    running.append(0, encode_tick()).await.unwrap();
    wait_for("its window", || running.windows().into_values().eq([9, 2])).await;
    assert_eq!(running.records("dead", 0).len(), 2, "told once");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_newer_release_ends_counting() {
    for newer in [[2, 2], [1, 77]] {
        let rig = Rig::new(1, None);
        let running = rig.start();
        running.append(0, Bytes::copy_from_slice(&newer)).await.unwrap();
        let failure = running.tasks.failed().await;
        assert!(failure.contains("newer release"), "{failure}");
        running.log.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_is_behind_until_it_has_read_what_was_in_the_log() {
    let rig = Rig::new(1, None);
    let running = rig.open();
    running.append(0, running.batch(3)).await.unwrap();
    running.append(0, Bytes::from_static(&[2, 2])).await.unwrap();
    running.stop().await;
    // It cannot get past the record of a newer release.
    let running = rig.start();
    running.tasks.failed().await;
    assert!(running.components.pressure.is_counting_behind());
    running.log.close().unwrap();

    let rig = Rig::new(1, None);
    let running = rig.open();
    running.append(0, running.batch(3)).await.unwrap();
    running.stop().await;
    let running = rig.start();
    wait_for("counting", || !running.components.pressure.is_counting_behind()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_than_the_log_lets_wait_are_written_in_shares() {
    let rig = Rig::new(1, None);
    let running = rig.open();
    let writer = Writer::new(&running.components, tokio::runtime::Handle::current()).unwrap();
    let rows: Vec<_> = (0..12u8).map(|at| Bytes::from(vec![at; 1 << 20])).collect();
    let expected = rows.clone();
    tokio::task::spawn_blocking(move || writer.append_rows(&rows).unwrap()).await.unwrap();
    let written: Vec<_> = running.records("rows", 0).into_iter().map(|record| record.value).collect();
    assert!(written == expected);
    assert_eq!(running.log_end(), 12);
    running.stop().await;
}

impl Running {
    fn log_end(&self) -> u64 {
        self.log.bounds(&TopicPartition::new("rows", 0)).unwrap().end
    }
}
