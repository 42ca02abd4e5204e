//! Follows partitions of the log from their end on, each on a thread of its own: what is shown live and never again.

use std::{sync::Arc, time::Duration};

use emostream_log::{Log, LogError, Record, TopicPartition};
use tokio::runtime::Handle;

use crate::tasks::Tasks;

const READ_BYTES: usize = 1 << 20;

/// After a read that failed, the next one waits so long.
const REST: Duration = Duration::from_secs(1);

/// Calls `show` with every record that is appended from now on, until the node stops or `show` says that it is enough.
/// What is only shown must not stop the node: records that cannot be read are passed over.
pub(super) fn start(
    name: &'static str,
    log: Arc<dyn Log>,
    partition: TopicPartition,
    tasks: &Tasks,
    mut show: impl FnMut(&Record) -> bool + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let stop = tasks.stop.clone();
    let mut end = log.follow(&partition)?;
    let mut at = log.bounds(&partition)?.end;
    tasks.spawn_essential_thread(name, move || {
        let following = async move {
            loop {
                if at >= *end.borrow_and_update() && end.wait_for(|end| *end > at).await.is_err() {
                    return;
                }
                let read = match log.read(&partition, at, READ_BYTES) {
                    Ok(read) => read,
                    Err(LogError::OutOfRange { start, .. }) if start > at => {
                        tracing::warn!(%partition, from = at, to = start, "{name} was slower than retention");
                        at = start;
                        continue;
                    }
                    Err(LogError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%partition, %error, "{name} cannot read");
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                };
                at = read.next;
                if !read.records.iter().all(&mut show) {
                    return;
                }
            }
        };
        runtime.block_on(stop.run_until_cancelled(following)).unwrap_or(());
        Ok(())
    })?;
    Ok(())
}
