//! Random lives of a node: killed, stopped, restarted, with a raw log that fails now and then.

use std::{sync::Arc, time::Duration};

use emostream_log::{Committed, Log, TopicPartition, memory::MemoryLog};
use tokio::task::yield_now;

use super::{Dice, Fate, GROUP, Mood, Process, Rig, TOPIC, all, generation};
use crate::intake::Receipt;

/// Seeds of a short run; `EMOSTREAM_SEEDS` asks for more.
const SEEDS: u64 = 60;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("EMOSTREAM_SEED_FIRST").unwrap_or(0);
    first..first + number("EMOSTREAM_SEEDS").unwrap_or(SEEDS)
}

/// Notes which receipts have been answered with yes.
fn collect(process: &Process, waiting: &mut Vec<(Receipt, usize, usize)>) {
    waiting.retain_mut(|(receipt, first, many)| match futures_util::FutureExt::now_or_never(receipt) {
        None => true,
        Some(answer) => {
            if answer.is_ok() {
                process.sent.lock().unwrap()[*first..*first + *many].fill(Fate::Acknowledged);
            }
            false
        }
    });
}

/// A life of random length, with random faults of the raw log.
async fn life(process: Process, rig: &Rig, dice: &mut Dice) {
    let mut waiting = Vec::new();
    for _ in 0..dice.below(60) {
        match dice.below(10) {
            0 => rig.remote.set_mood(Mood::Down),
            1 => rig.remote.set_mood(Mood::Well),
            2 | 3 => rig.remote.set_mood(Mood::Unsteady),
            _ => {
                let many = 1 + dice.below(6) as usize;
                if let Ok((receipt, first)) = process.send(many) {
                    waiting.push((receipt, first, many));
                }
            }
        }
        for _ in 0..dice.below(30) {
            yield_now().await;
        }
        if dice.one_in(6) {
            tokio::time::sleep(Duration::from_millis(dice.below(4))).await;
        }
        collect(&process, &mut waiting);
    }
    if dice.one_in(3) {
        rig.remote.set_mood(if dice.one_in(2) { Mood::Well } else { Mood::Unsteady });
        process.ingest.stop().await;
        collect(&process, &mut waiting);
        assert!(waiting.is_empty(), "a graceful stop answers everybody");
        assert_eq!(process.waiting(), 0, "the spool is drained before the stop ends");
        assert!(process.send(1).is_err());
        process.tasks.ended().await;
    }
    assert!(!process.tasks.has_failed());
}

/// The spool as after a loss of power with `log.durability = "os"`, or out of a backup: shorter, but only by what Kafka
/// has taken.
fn shortened(rig: &Rig, partitions: u32, dice: &mut Dice) -> Arc<MemoryLog> {
    let disk = MemoryLog::new(generation(), &[(TOPIC, partitions)], rig.clock.clone());
    let membership = disk.join(GROUP, TOPIC, "forwarder").unwrap();
    let generation = membership.assignments().borrow().generation;
    for number in 0..partitions {
        let partition = TopicPartition::new(TOPIC, number);
        let records = all(&*rig.disk, &partition);
        let committed = rig.committed(number);
        let cut = dice.below(3).min(committed);
        let first_lost =
            if committed == records.len() as u64 { committed - cut } else { records.len() as u64 };
        for record in &records[..first_lost as usize] {
            let append = disk.append(&partition, vec![record.value.clone()]);
            futures_util::FutureExt::now_or_never(append).unwrap().unwrap();
        }
        let stored = if dice.one_in(2) { committed } else { committed.min(first_lost) };
        let position = Committed { offset: stored, metadata: bytes::Bytes::new() };
        membership.commit(generation, &partition, position).unwrap();
    }
    drop(membership);
    Arc::new(disk)
}

#[test]
fn every_acknowledged_reaction_counts_once_whatever_fails() {
    let (mut acknowledged, mut repeated) = (0, 0);
    for seed in seeds() {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let partitions = 1 + dice.below(3) as u32;
        let mut rig = Rig::new(seed, partitions);
        rig.limits.gather = Duration::from_millis(dice.below(3));
        for _ in 0..1 + dice.below(6) {
            rig.process(async |process| life(process, &rig, &mut dice).await);
            if dice.one_in(4) {
                rig.disk = shortened(&rig, partitions, &mut dice);
                rig.clock.advance(1_000);
            }
        }
        rig.remote.set_mood(Mood::Well);
        rig.remote.settle_ghosts();
        rig.process(async |process| process.ingest.stop().await);
        rig.check();
        acknowledged += rig.sent.lock().unwrap().iter().filter(|fate| **fate == Fate::Acknowledged).count();
        let spooled = |number| all(&*rig.disk, &TopicPartition::new(TOPIC, number)).len();
        let forwarded: usize = rig.raw().map(|partition| all(&*rig.remote.inner, &partition).len()).sum();
        repeated += forwarded.saturating_sub((0..partitions).map(spooled).sum());
    }
    println!("{acknowledged} reactions acknowledged, {repeated} records were in the raw log more than once");
    assert!(acknowledged > 500 && repeated > 50, "the cases must show something");
}
