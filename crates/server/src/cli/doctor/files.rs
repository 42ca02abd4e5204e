//! The embedded log and the spool, as they are on disk.

use emostream_log::{Clock, SystemClock, embedded::Snapshot};
use emostream_protocol::time;

use super::{machine::used, report::Report};
use crate::{
    config::{Config, Role},
    ingest::spool::{self, Waiting},
    node::{embedded_parameters, log_dir},
};

/// A log that is further ahead of this machine's clock makes time go on slower until the clock has caught up.
const AHEAD_MS_MAX: i64 = 1_000;

/// The embedded log: whether it can be read, was made with this configuration, and is not ahead of the clock.
pub(super) fn log(config: &Config, report: &mut Report) {
    const CHECK: &str = "log";
    let dir = log_dir(&config.data_dir);
    if !dir.join("generation").exists() {
        return report.fine(CHECK, "none yet; the first start makes it");
    }
    let log = match Snapshot::open(&dir) {
        Ok(log) => log,
        Err(error) => {
            return report.wrong(CHECK, &error.to_string(), "restore the directory from a backup");
        }
    };
    for damage in log.damage() {
        report.wrong(
            CHECK,
            &damage.to_string(),
            "emostream log verify looks everywhere; restore the file from a backup",
        );
    }
    let stored = &log.generation().parameters;
    for (name, configured) in embedded_parameters(config) {
        if let Some(stored) = stored.get(&name).filter(|stored| **stored != configured) {
            report.wrong(
                CHECK,
                &format!("was made with {name} = {stored}, configured is {configured}"),
                "configure what it was made with, or begin a new log in another --data-dir",
            );
        }
    }
    let mut newest_ms = None;
    let mut records = 0;
    for of in log.partitions() {
        let Ok(bounds) = log.bounds(of) else { continue };
        records += bounds.end - bounds.start;
        if bounds.end > bounds.start
            && let Ok(read) = log.read(of, bounds.end - 1, 1)
        {
            newest_ms = read.records.last().map(|record| record.append_time_ms).max(newest_ms);
        }
    }
    let newest = newest_ms.map_or_else(|| "none".to_owned(), time::format_ms);
    report.fine(CHECK, &format!("{records} records, the newest of {newest}"));
    let ahead_ms = newest_ms.map_or(0, |newest_ms| newest_ms - SystemClock.now_ms());
    if ahead_ms > AHEAD_MS_MAX {
        report.doubt(
            "clock",
            &format!("{ahead_ms} ms behind the newest record of the log"),
            "check the machine's clock (timedatectl); the node's time goes on slower until it has caught up",
        );
    } else {
        report.fine("clock", "not behind the log");
    }
}

/// What waits for Kafka.
pub(super) fn spool(config: &Config, report: &mut Report) {
    const CHECK: &str = "spool";
    let dir = spool::dir(&config.data_dir);
    let is_ingest = config.effective_roles().contains(&Role::Ingest);
    if !dir.join("generation").exists() {
        if is_ingest {
            report.fine(CHECK, "none yet; the first start makes it");
        }
        return;
    }
    let Waiting { records, oldest_ms } = match spool::waiting(&config.data_dir) {
        Ok(waiting) => waiting,
        Err(error) => return report.wrong(CHECK, &error.to_string(), "restore the directory from a backup"),
    };
    let bytes = used(&dir);
    let age_ms = oldest_ms.map_or(0, |oldest_ms| (SystemClock.now_ms() - oldest_ms).max(0));
    let text = format!(
        "{records} records wait for Kafka, the oldest for {} s; {} MiB on disk",
        age_ms / 1_000,
        bytes >> 20
    );
    if !is_ingest && records > 0 {
        report.wrong(
            CHECK,
            &text,
            "run the role ingest here until they are in Kafka: they were acknowledged",
        );
    } else if age_ms.unsigned_abs() > config.spool.max_age_ms {
        report.wrong(
            CHECK,
            &text,
            "new reactions are refused (spool.max_age_ms): bring the brokers back, or start the node",
        );
    } else if bytes > config.spool.max_bytes / 4 * 3 {
        report.doubt(
            CHECK,
            &text,
            "spool.max_bytes is nearly reached, from which on new reactions are refused",
        );
    } else if age_ms > 60_000 {
        report.doubt(CHECK, &text, "bring the brokers back, or start the node: they were acknowledged");
    } else {
        report.fine(CHECK, &text);
    }
}
