//! How a stop ends, and what a start finds.

use std::{path::Path, sync::Arc, time::Duration};

use emostream_log::{ManualClock, TopicPartition};

use super::{Mood, Rig, START_MS, TOPIC, limits::on_disk, until};

#[test]
fn a_stop_gives_up_after_a_while_and_the_next_start_goes_on() {
    let mut rig = Rig::new(1, 2);
    rig.limits.drain_timeout = Duration::from_millis(30);
    rig.remote.set_mood(Mood::Down);
    rig.process(async |process| {
        for _ in 0..5 {
            process.send_durably(7).await.unwrap();
        }
        process.ingest.stop().await;
        assert_eq!(process.waiting(), 35);
        process.tasks.ended().await;
    });
    assert_eq!(rig.counts().iter().sum::<u64>(), 0);
    rig.process(async |process| {
        // Known before Kafka has taken anything.
        until(|| process.waiting() == 35).await;
        assert!(process.metrics.spool_bytes.get() > 0);
        rig.remote.set_mood(Mood::Well);
        process.drained().await;
    });
    rig.check();
}

#[test]
fn a_stop_does_not_wait_for_what_will_not_come() {
    let rig = Rig::new(1, 1);
    rig.remote.set_mood(Mood::Broken);
    rig.process(async |process| {
        process.send_durably(3).await.unwrap();
        let failure = process.tasks.failed().await;
        assert!(failure.contains("spool forward") && failure.contains("producer is fenced"), "{failure}");
        let before = std::time::Instant::now();
        process.ingest.stop().await;
        assert!(before.elapsed() < rig.limits.drain_timeout);
    });
    rig.remote.set_mood(Mood::Well);
    rig.process(async |process| process.ingest.stop().await);
    rig.check();
}

#[test]
fn progress_is_durable_so_that_a_start_repeats_little() {
    let rig = Rig::new(1, 1);
    rig.process(async |process| {
        process.send_durably(10).await.unwrap();
        process.drained().await;
        until(|| rig.committed(0) == 1).await;
        process.send_durably(10).await.unwrap();
        process.ingest.stop().await;
    });
    assert_eq!(rig.committed(0), 2);
    rig.process(async |process| process.ingest.stop().await);
    let raw = rig.raw().next().unwrap();
    assert_eq!(super::all(&*rig.remote.inner, &raw).len(), 2);
    rig.check();
}

#[test]
fn what_lies_before_damage_is_forwarded_and_the_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let rig = Rig::on(on_disk(dir.path(), &clock), 1, 1, clock.clone());
    rig.remote.set_mood(Mood::Down);
    rig.process(async |process| {
        for _ in 0..9 {
            process.send_durably(3).await.unwrap();
        }
    });
    let Rig { remote, emotes, sent, disk, .. } = rig;
    let partition = TopicPartition::new(TOPIC, 0);
    let fifth = disk.read(&partition, 5, 1).unwrap().records.remove(0).value;
    drop(disk);
    damage(&dir.path().join("spool-0"), &fifth);
    let rig = Rig { remote, emotes, sent, ..Rig::on(on_disk(dir.path(), &clock), 1, 1, clock) };
    rig.remote.set_mood(Mood::Well);
    rig.process(async |process| {
        let failure = process.tasks.failed().await;
        assert!(failure.contains("spool forward") && failure.contains("damaged at offset 5"), "{failure}");
        process.ingest.stop().await;
    });
    assert_eq!(rig.counts(), [vec![1; 15], vec![0; 12]].concat());
    assert_eq!(rig.committed(0), 5);
}

/// Changes a byte of a record where it is stored.
fn damage(folder: &Path, record: &[u8]) {
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(record.len()).position(|part| part == record) {
            bytes[at + record.len() / 2] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("the record is in no file");
}
