//! Pulses of a fleet: what counting nodes forward through the short-lived topic, from now on, into this node's pulse path.

use anyhow::Context;
use emostream_log::{LogError, TopicPartition};
use emostream_moments::{MemoryFull, PulseBatch};
use tokio::runtime::Handle;

use super::Components;
use crate::tasks::Tasks;

const READ_BYTES: usize = 256 * 1024;

/// After a read that failed, the next one waits so long.
const REST: std::time::Duration = std::time::Duration::from_secs(1);

/// Starts a follower for each partition of the topic.
pub(super) fn start(components: &Components, topic: &str, tasks: &Tasks) -> anyhow::Result<()> {
    let partitions = components.log.partitions(topic).context("the topic of pulses exists")?;
    for number in 0..partitions {
        let (components, partition) = (components.clone(), TopicPartition::new(topic, number));
        let (runtime, stop) = (Handle::current(), tasks.stop.clone());
        tasks.spawn_essential_thread("edge pulses", move || {
            runtime.block_on(stop.run_until_cancelled(follow(&components, &partition))).unwrap_or(Ok(()))
        })?;
    }
    Ok(())
}

/// Pulses show the present: what cannot be read now is not looked for later.
async fn follow(components: &Components, partition: &TopicPartition) -> anyhow::Result<()> {
    let mut end = components.log.follow(partition)?;
    let mut at = *end.borrow();
    loop {
        if end.wait_for(|end| *end > at).await.is_err() {
            return Ok(());
        }
        match components.log.read(partition, at, READ_BYTES) {
            Ok(read) => {
                at = read.next;
                read.records.iter().for_each(|record| add(components, &record.value));
            }
            Err(LogError::Closed) => return Ok(()),
            Err(error) => {
                tracing::warn!(%partition, %error, "pulses cannot be read");
                tokio::time::sleep(REST).await;
                at = *end.borrow();
            }
        }
    }
}

fn add(components: &Components, value: &[u8]) {
    if MemoryFull::is_one(value) {
        return;
    }
    let batch = match PulseBatch::decode(value, &components.emotes) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::debug!(%error, "pulses cannot be read");
            return;
        }
    };
    for pulse in batch.counts {
        if let Some(channel) = components.channels.get(&pulse.channel) {
            components.pulses.add(&channel, pulse.emote, pulse.count.into());
        }
    }
}
