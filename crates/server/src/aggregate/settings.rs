//! Puts the configured settings into the stream where others are known, and tries again until they are there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use emostream_log::{LogError, TopicPartition};
use emostream_moments::Aggregate;
use emostream_protocol::{id::home_partition, record::SettingsChange};

use super::Components;
use crate::tasks::Tasks;

/// A change that the log refused is tried again so often.
const RETRY: Duration = Duration::from_secs(1);

/// What is left to be written of the configuration.
#[derive(Debug, Default)]
pub(super) struct ConfiguredSettings {
    /// By channel: whether its change is on the way, or in the log already.
    written: Vec<Arc<AtomicBool>>,
    reported: Arc<AtomicBool>,
    due: Option<Instant>,
    done: bool,
}

impl ConfiguredSettings {
    /// Writes what is missing. To be called when everything in the log was read: what the log holds already, in force
    /// or waiting for its window, is not written again, so that no version of settings is there twice.
    pub(super) fn apply(
        &mut self,
        components: &Components,
        aggregate: &Aggregate,
        partitions: u32,
        tasks: &Tasks,
    ) {
        if self.done || self.due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        self.due = Some(Instant::now() + RETRY);
        self.done = true;
        for channel in components.channels.iter() {
            let newest = aggregate.newest_settings_of(&channel.name);
            let same = newest.is_some_and(|settings| {
                settings.rule == channel.configured.rule
                    && settings.allowed_emotes == channel.configured.allowed_emotes
            });
            if same {
                continue;
            }
            self.done = false;
            let written = self.written_flag(channel.index as usize);
            if written.swap(true, Ordering::AcqRel) {
                continue;
            }
            let mut settings = channel.configured.clone();
            settings.version = newest.map_or(0, |settings| settings.version) + 1;
            let change = SettingsChange { channel: channel.name.clone(), settings };
            let home = home_partition(&channel.name, partitions);
            let target = TopicPartition::new(components.raw_topic.clone(), home);
            let append = components.log.append_reserved(&target, vec![change.encode()]);
            let reported = self.reported.clone();
            tasks.spawn(async move {
                // After a success the flag stays: the record is read a moment later.
                let Err(error) = append.await else { return };
                if !matches!(error, LogError::Closed) && !reported.swap(true, Ordering::AcqRel) {
                    tracing::warn!(channel = %change.channel, %error, "configured settings wait for the log");
                }
                written.store(false, Ordering::Release);
            });
        }
    }

    fn written_flag(&mut self, index: usize) -> Arc<AtomicBool> {
        if index >= self.written.len() {
            self.written.resize_with(index + 1, Arc::default);
        }
        self.written[index].clone()
    }
}
