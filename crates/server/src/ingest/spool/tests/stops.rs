//! How a stop ends, and what a start finds.

use std::time::Duration;

use super::{Mood, Rig, until};

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
