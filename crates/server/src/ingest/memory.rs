//! Counting nodes elsewhere that can remember no more ids say so on the topic of pulses; ingest then takes no more of them.

use std::sync::Arc;

use anyhow::Context;
use emostream_log::{Clock, Log, LogError, TopicPartition};
use emostream_moments::MemoryFull;

use crate::{pressure::Pressure, tasks::Tasks};

const READ_BYTES: usize = 256 * 1024;

/// After a read that failed, the next one waits so long.
const REST: std::time::Duration = std::time::Duration::from_secs(1);

/// Follows what counting nodes say from now on. They say it in the topic's first partition.
pub(super) fn follow(
    log: &Arc<dyn Log>,
    topic: &Arc<str>,
    pressure: &Arc<Pressure>,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let partition = TopicPartition::new(topic.clone(), 0);
    let (log, pressure, clock) = (log.clone(), pressure.clone(), clock.clone());
    let mut end = log.follow(&partition).context("the topic of pulses exists")?;
    let (runtime, stop) = (tokio::runtime::Handle::current(), tasks.stop.clone());
    tasks.spawn_essential_thread("ingest memory", move || {
        let following = async {
            let mut at = *end.borrow();
            while end.wait_for(|end| *end > at).await.is_ok() {
                match log.read(&partition, at, READ_BYTES) {
                    Ok(read) => {
                        at = read.next;
                        read.records.iter().for_each(|record| hear(&record.value, &pressure, &*clock));
                    }
                    Err(LogError::Closed) => break,
                    Err(error) => {
                        tracing::warn!(%partition, %error, "how full counting is cannot be read");
                        tokio::time::sleep(REST).await;
                        at = *end.borrow();
                    }
                }
            }
        };
        runtime.block_on(stop.run_until_cancelled(following));
        Ok(())
    })?;
    Ok(())
}

fn hear(value: &[u8], pressure: &Pressure, clock: &dyn Clock) {
    if !MemoryFull::is_one(value) {
        return;
    }
    match MemoryFull::decode(value) {
        Ok(MemoryFull { node, remembered, limit }) => {
            let now_ms = clock.now_ms();
            if !pressure.is_full_elsewhere(now_ms) {
                tracing::warn!(
                    node,
                    remembered,
                    limit,
                    "counting remembers too many ids; those of clients are refused"
                );
            }
            pressure.set_full_elsewhere(now_ms);
        }
        Err(error) => tracing::debug!(%error, "how full counting is cannot be read"),
    }
}
