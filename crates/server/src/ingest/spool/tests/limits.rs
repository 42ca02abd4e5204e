//! What the spool holds is bounded: in age, on disk, and in memory.

use std::{path::Path, sync::Arc};

use emostream_log::{
    Log, ManualClock,
    embedded::{EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};

use super::{Mood, Process, Refusal, Rig, START_MS, SpoolLimits, TOPIC, until};
use crate::{
    config::{Config, Layers, load},
    ingest::spool::{self, SpoolError},
    intake::Intake,
};

#[test]
fn new_reactions_are_refused_while_the_oldest_waits_too_long() {
    let rig = Rig::new(1, 2);
    rig.remote.set_mood(Mood::Down);
    rig.process(async |process| {
        process.send_durably(20).await.unwrap();
        until(|| process.metrics.spool_forward_failures.get() > 0).await;
        rig.clock.advance(rig.limits.max_age_ms as i64);
        process.send_durably(20).await.unwrap();
        rig.clock.advance(1);
        let refused = process.send(1).map(|_| ()).unwrap_err();
        assert!(matches!(refused, Refusal::SpoolBehind(age) if age.as_millis() == 600_001), "{refused}");
        assert_eq!((refused.name(), refused.retry_after().as_secs()), ("spool-behind", 5));
        until(|| process.metrics.spool_age_seconds.get() == 600).await;
    });
    // A start knows it at once, before it has looked further.
    rig.process(async |process| {
        assert!(matches!(process.send(1), Err(Refusal::SpoolBehind(_))));
        rig.remote.set_mood(Mood::Well);
        process.drained().await;
        process.send_durably(1).await.unwrap();
        process.drained().await;
        until(|| process.metrics.spool_age_seconds.get() == 0).await;
    });
    rig.check();
}

/// A spool on a real disk, of 512 KiB.
pub(super) fn on_disk(dir: &Path, clock: &Arc<ManualClock>) -> Arc<dyn Log> {
    let retention = Retention { age_ms: Some(0), bytes: Some(512 << 10) };
    let topics = vec![TopicConfig { name: TOPIC.into(), partitions: 1, retention }];
    let config = EmbeddedConfig { clock: clock.clone(), ..EmbeddedConfig::new(dir, topics) };
    Arc::new(EmbeddedLog::open(&config).unwrap().0)
}

fn bytes_in(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join(format!("{TOPIC}-0"))).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Sends batches until one is refused.
async fn fill(process: &Process) -> Refusal {
    loop {
        // Few reactions with long names of users would do as well: what counts is bytes.
        match process.send_again(1_000).await {
            Ok(()) => {}
            Err(refusal) => return refusal,
        }
    }
}

impl Process {
    /// Sends reactions that no test counts.
    async fn send_again(&self, many: usize) -> Result<(), Refusal> {
        let reaction = super::NewReaction {
            emote: super::EmoteId::standard(0).unwrap(),
            id: super::ReactionId::from_parts(START_MS, [7; 10]),
            id_from_client: false,
            user: "somebody-with-a-name-of-some-length",
            received_ms: START_MS,
            tapped_ms: None,
            media_time_ms: None,
        };
        let receipt = self.ingest.submit(&self.channel, &vec![reaction; many])?;
        receipt.await.map(drop)
    }
}

#[test]
fn a_full_spool_refuses_until_kafka_has_taken_some() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let mut rig = Rig::on(on_disk(dir.path(), &clock), 1, 1, clock.clone());
    rig.remote.set_mood(Mood::Down);
    let sent = rig.process(async |process| {
        process.send_durably(1).await.unwrap();
        let refused = fill(&process).await;
        assert!(matches!(&refused, Refusal::LogFull(detail) if detail.contains("524288") || detail.contains(TOPIC)), "{refused}");
        let waits = process.waiting();
        assert!(process.metrics.spool_bytes.get() <= 512 << 10);
        assert!(fill(&process).await.name() == "log-full", "it stays full");
        rig.remote.set_mood(Mood::Well);
        process.drained().await;
        // Room is made by the next append, or within a second: whoever retries gets through.
        let mut again = 0;
        while let Err(refusal) = process.send_durably(1).await {
            assert_eq!(refusal.name(), "log-full");
            again += 1;
            assert!(again < 10_000);
            clock.advance(1_000);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        process.ingest.stop().await;
        waits
    });
    assert!(sent > 1_000);
    assert!(bytes_in(dir.path()) <= 512 << 10);
    // Another process, on the files of this one.
    let sent_before = rig.sent.clone();
    let (remote, emotes) = (rig.remote.clone(), rig.emotes.clone());
    drop(rig);
    rig = Rig { remote, emotes, sent: sent_before, ..Rig::on(on_disk(dir.path(), &clock), 1, 1, clock) };
    rig.process(async |process| {
        process.send_durably(1).await.unwrap();
        process.ingest.stop().await;
    });
    // Reaction 0 shares its emote with those that filled the disk.
    assert_eq!(rig.counts()[1..], vec![1; rig.sent.lock().unwrap().len() - 1]);
    assert_eq!(rig.counts()[0] as i64, sent);
}

#[test]
fn little_is_under_way_while_kafka_says_nothing() {
    let rig = Rig::new(1, 1);
    rig.remote.set_mood(Mood::Silent);
    rig.process(async |process| {
        for _ in 0..40 {
            process.send_again(1_000).await.unwrap();
        }
        until(|| rig.remote.unanswered() == 8).await;
        assert_eq!(process.waiting(), 40_000);
    });
    assert_eq!(rig.remote.unanswered(), 0);
}

#[test]
fn a_spool_of_another_fleet_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let set = vec![("data_dir".to_owned(), dir.path().display().to_string())];
    let config: Config = load(&Layers { set, ..Layers::default() }).unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    drop(spool::open(&config, 6, clock.clone(), Arc::default()).unwrap());
    let error = spool::open(&config, 8, clock, Arc::default()).err().unwrap();
    assert!(matches!(&error, SpoolError::Partitions { raw: 8, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("has 6 partitions and the raw topic has 8"), "{text}");
    assert!(text.contains(&spool::dir(dir.path()).display().to_string()), "{text}");
}

#[test]
fn gathering_never_makes_reactions_late() {
    let of = |set: &[(&str, &str)]| {
        let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        SpoolLimits::of(&load(&Layers { set, ..Layers::default() }).unwrap())
    };
    let gather_ms = |set: &[(&str, &str)]| of(set).gather.as_millis();
    assert_eq!(gather_ms(&[("kafka.flush_ms", "100")]), 100);
    assert_eq!(gather_ms(&[("kafka.flush_ms", "500"), ("windows.allowed_lateness_ms", "600")]), 300);
    assert_eq!(gather_ms(&[("kafka.flush_ms", "500"), ("windows.allowed_lateness_ms", "0")]), 0);
}
