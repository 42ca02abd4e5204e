//! Drives a log at random through appends, faults and crashes, and holds it against the truth.

use std::sync::Arc;

use bytes::Bytes;
use emostream_log::{
    Committed, Log, LogError, ManualClock, Offset,
    embedded::{Durability, EmbeddedConfig, EmbeddedLog, Stepper},
};

use super::{
    GROUP, PARTITIONS, Seen,
    truth::{Attempts, Truth, ensure},
};
use crate::{
    dice::Dice,
    model_disk::{Faults, ModelDisk},
    setup::{at, ready},
};

pub(super) struct Driver {
    pub(super) dice: Dice,
    pub(super) disk: ModelDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) config: EmbeddedConfig,
    pub(super) truths: Vec<Truth>,
    pub(super) attempts: Attempts,
    pub(super) appends: u64,
    pub(super) seen: Seen,
    /// After a power loss without synced appends.
    pub(super) may_shrink: bool,
    pub(super) equal_sizes: bool,
}

impl Driver {
    /// From an open to a crash.
    pub(super) fn life(&mut self) -> Result<(), String> {
        let Some((log, mut stepper)) = self.open()? else { return Ok(()) };
        self.set_some_faults();
        let doom = self.dice.happens(700).then(|| 1 + self.dice.below(120));
        self.disk.die_after(doom);
        let mut failed = false;
        for _ in 0..5 + self.dice.below(40) {
            match self.dice.below(12) {
                0 => self.set_some_faults(),
                1 => self.heal(&log, &mut stepper, failed)?,
                2 => self.commit(&log)?,
                3 => self.move_restore_point(&log)?,
                4 => self.read_somewhere(&log)?,
                _ => failed |= self.append(&log, &mut stepper)?,
            }
            if self.disk.is_dead() {
                break;
            }
        }
        if !self.disk.is_dead() && self.dice.happens(300) {
            self.disk.set_faults(Faults::default());
            let finished = stepper.finish();
            ensure!(finished.is_ok() || self.disk.is_dead(), "did not finish: {finished:?}");
        }
        self.crash();
        drop(log);
        Ok(())
    }

    fn crash(&mut self) {
        if self.dice.happens(600) {
            self.seen.power_losses += 1;
            self.disk.lose_power();
            // The unsynced end may go; what is left must still be a beginning of what was.
            self.may_shrink |= self.config.durability == Durability::Os;
        } else {
            self.seen.kills += 1;
            self.disk.kill();
        }
    }

    fn set_some_faults(&mut self) {
        let mut rate = |limit| if self.dice.happens(300) { self.dice.below(limit) } else { 0 };
        let mut faults = Faults {
            short_write: rate(500),
            write_eio: rate(100),
            write_full: rate(300),
            sync_eio: rate(100),
            sync_full: rate(100),
            entry_eio: rate(50),
            entry_full: rate(300),
        };
        if self.config.durability == Durability::Os {
            // Without a sync per append, a failed one costs acknowledged records: not what is tested here.
            (faults.sync_eio, faults.sync_full) = (0, 0);
        }
        self.disk.set_faults(faults);
    }

    /// Opens, perhaps dying on the way, and holds what is there against the truth.
    pub(super) fn open(&mut self) -> Result<Option<(EmbeddedLog, Stepper)>, String> {
        for attempt in 0..4 {
            let faulty = attempt < 2 && self.dice.happens(300);
            self.disk.set_faults(Faults::default());
            if faulty {
                self.set_some_faults();
            }
            let doom = (attempt < 3 && self.dice.happens(200)).then(|| 1 + self.dice.below(30));
            self.disk.die_after(doom);
            match EmbeddedLog::open_stepped(&self.config) {
                Ok((log, stepper, report)) => {
                    self.disk.die_after(None);
                    self.disk.set_faults(Faults::default());
                    let mut damage = report.partitions.iter().flat_map(|partition| &partition.damage);
                    ensure!(damage.next().is_none(), "damage where there is none: {report:?}");
                    self.seen.torn_bytes += report.partitions.iter().map(|p| p.torn_bytes).sum::<u64>();
                    if self.disk.is_dead() {
                        drop((log, stepper));
                        self.crash();
                        continue;
                    }
                    self.compare(&log)?;
                    return Ok(Some((log, stepper)));
                }
                Err(error) => {
                    ensure!(faulty || self.disk.is_dead(), "cannot open: {error}");
                    self.crash();
                }
            }
        }
        Ok(None)
    }

    /// Reads everything: what was acknowledged or read before must be there, and nothing that nobody appended.
    fn compare(&mut self, log: &EmbeddedLog) -> Result<(), String> {
        for number in 0..PARTITIONS {
            let name = at(number);
            let bounds = log.bounds(&name).map_err(|error| error.to_string())?;
            let truth = &mut self.truths[number as usize];
            if self.may_shrink {
                truth.records.truncate(bounds.end as usize);
            }
            let known = truth.records.len() as Offset;
            ensure!(bounds.end >= known, "{name} ends at {} and had {known}", bounds.end);
            ensure!(bounds.start <= truth.restore_point, "{name} begins at {}", bounds.start);
            self.seen.deleted = self.seen.deleted.max(bounds.start);
            let mut next = bounds.start;
            while next < bounds.end {
                let size = self.dice.below(3000) as usize;
                let read = log.read(&name, next, size).map_err(|error| error.to_string())?;
                ensure!(!read.records.is_empty(), "{name} gives nothing at {next}");
                ensure!(read.next == next + read.records.len() as Offset, "{name} goes on at {}", read.next);
                for record in read.records {
                    ensure!(record.offset == next, "{name} gives {} for {next}", record.offset);
                    self.seen.survivors += truth.take(record, &self.attempts)?;
                    next += 1;
                }
            }
            let last = truth.records.last().and_then(|last| self.attempts.get(&last.value));
            ensure!(last.is_none_or(|(_, place, of)| place + 1 == *of), "{name} ends within an append");
            let committed = log.committed(GROUP, &name).map_err(|error| error.to_string())?;
            let one_of_them = committed == truth.committed || truth.committing.contains(&committed);
            ensure!(one_of_them, "{name}: committed {committed:?}, not {:?}", truth.committed);
            truth.committed = committed;
            truth.committing.clear();
        }
        self.may_shrink = false;
        Ok(())
    }

    /// A few appends in one round. Says whether the log has failed for good.
    fn append(&mut self, log: &EmbeddedLog, stepper: &mut Stepper) -> Result<bool, String> {
        self.clock.advance(self.dice.below(400) as i64 - 100);
        let mut under_way = Vec::new();
        for _ in 0..1 + self.dice.below(4) {
            let number = self.dice.below(u64::from(PARTITIONS)) as u32;
            let values = self.values();
            under_way.push((number, values.clone(), log.append(&at(number), values)));
        }
        stepper.step();
        let mut failed = false;
        for (number, values, answer) in under_way {
            let truth = &mut self.truths[number as usize];
            match ready(answer).ok_or("an append was not answered")? {
                Ok(appended) => {
                    self.seen.acknowledged += values.len() as u64;
                    truth.acknowledge(appended, values)?;
                }
                Err(error) => {
                    self.seen.refused += 1;
                    let expected =
                        matches!(error, LogError::Full(_) | LogError::Io { .. } | LogError::Failed(_));
                    ensure!(expected, "refused with {error}");
                    failed |= matches!(error, LogError::Failed(_));
                }
            }
            let end = log.bounds(&at(number)).map_err(|error| error.to_string())?.end;
            ensure!(end >= truth.records.len() as Offset, "the end {end} is behind what was answered");
        }
        self.seen.failed += u64::from(failed);
        Ok(failed)
    }

    fn values(&mut self) -> Vec<Bytes> {
        self.appends += 1;
        let count = 1 + self.dice.below(5) as u32;
        let value = |place| {
            let size = match self.dice.below(20) {
                // Frames of one size lie where others lay before a crash: remains must not pass for records.
                _ if self.equal_sizes => 40,
                0 => 3000,
                _ => self.dice.below(200) as usize,
            };
            let value = Bytes::from(format!("{:.<size$}", format!("{}.{place}", self.appends)));
            self.attempts.insert(value.clone(), (self.appends, place, count));
            value
        };
        (0..count).map(value).collect()
    }

    /// With the faults gone, appends work again by themselves, unless the log said that it has failed for good.
    fn heal(&mut self, log: &EmbeddedLog, stepper: &mut Stepper, failed: bool) -> Result<(), String> {
        self.disk.set_faults(Faults::default());
        let refused = self.seen.refused;
        self.append(log, stepper)?;
        let healed = self.seen.refused == refused || failed || self.disk.is_dead();
        ensure!(healed, "appends are refused on a healthy disk");
        Ok(())
    }

    fn commit(&mut self, log: &EmbeddedLog) -> Result<(), String> {
        let number = self.dice.below(u64::from(PARTITIONS)) as u32;
        let truth = &mut self.truths[number as usize];
        let Ok(member) = log.join(GROUP, "taps", "driver") else { return Ok(()) };
        let generation = member.assignments().borrow().generation;
        let position = Committed { offset: self.dice.below(1000), metadata: Bytes::from_static(b"m") };
        truth.committing.push(Some(position.clone()));
        if member.commit(generation, &at(number), position.clone()).is_ok() {
            truth.committed = Some(position);
            truth.committing.clear();
        }
        let now = log.committed(GROUP, &at(number)).map_err(|error| error.to_string())?;
        ensure!(now == truth.committed, "committed {now:?}, not {:?}", truth.committed);
        Ok(())
    }

    fn move_restore_point(&mut self, log: &EmbeddedLog) -> Result<(), String> {
        let number = self.dice.below(u64::from(PARTITIONS)) as u32;
        let truth = &mut self.truths[number as usize];
        let offset = self.dice.below(truth.records.len() as u64 + 1);
        truth.restore_point = truth.restore_point.max(offset);
        self.clock.advance(self.dice.below(4000) as i64);
        log.set_restore_point(&at(number), offset).map_err(|error| error.to_string())
    }

    fn read_somewhere(&mut self, log: &EmbeddedLog) -> Result<(), String> {
        let number = self.dice.below(u64::from(PARTITIONS)) as u32;
        let bounds = log.bounds(&at(number)).map_err(|error| error.to_string())?;
        let truth = &self.truths[number as usize];
        ensure!(bounds.end == truth.records.len() as Offset, "readers see what was not answered");
        let offset = bounds.start + self.dice.below(bounds.end - bounds.start + 1);
        let records = log.read(&at(number), offset, self.dice.below(5000) as usize);
        if self.disk.is_dead() {
            return Ok(());
        }
        let records = records.map_err(|error| error.to_string())?.records;
        let expected = truth.records.get(offset as usize..).unwrap_or_default();
        ensure!(
            records.is_empty() == expected.is_empty() && expected.starts_with(&records),
            "read something else"
        );
        Ok(())
    }
}
