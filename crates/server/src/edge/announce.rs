//! Tells viewers of published settings at once: before the row that says from which window on moments are judged by them.

use std::sync::Arc;

use emostream_protocol::{Epoch, frame};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tokio_util::sync::CancellationToken;

use super::{Components, hub::Hub, view::Frame};

pub(super) async fn run(
    components: Components,
    hub: Arc<Hub>,
    epoch: Epoch,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut changes = components.channels.follow();
    let mut announced: HashMap<u32, u64, RandomState> = HashMap::default();
    // A frame repeats the newest sequence, which is known only then.
    if stop.run_until_cancelled(hub.caught_up()).await.is_none() {
        return Ok(());
    }
    loop {
        changes.mark_unchanged();
        for channel in components.channels.all() {
            let published = channel.published().clone();
            if announced.insert(channel.index, published.version) == Some(published.version) {
                continue;
            }
            hub.update(&channel, |view| {
                let position = view.position(epoch);
                let json =
                    frame::encode_settings(&channel.name, position, published.version, &published.settings);
                view.with_settings(Frame::new("settings", position, &json))
            });
        }
        match stop.run_until_cancelled(changes.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return Ok(()),
        }
    }
}
