//! The beat: every pulse, what was counted since the last one becomes one frame a channel. Only the edge keeps time.

use std::{sync::Arc, time::Duration};

use emostream_moments::ScaleDown;
use emostream_protocol::{Epoch, frame::Pulse};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Components, hub::Hub, view::Frame};

pub(super) async fn run(
    components: Components,
    hub: Arc<Hub>,
    epoch: Epoch,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut beat = interval(Duration::from_millis(components.pulse_ms.into()));
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let pulse_ms = i64::from(components.pulse_ms);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        let start_ms = components.clock.now_ms() - pulse_ms;
        for channel in components.channels.all() {
            let counts = components.pulses.take(&channel);
            if counts.is_empty() {
                continue;
            }
            hub.update(&channel, |view| {
                let pulse = Pulse { channel: &channel.name, epoch, seq: view.seq, start_ms, counts: &counts };
                let json = pulse.encode(&components.emotes, |count| ScaleDown::Logarithmic.shown(count));
                view.with_pulse(Frame::new("pulse", view.position(epoch), &json))
            });
        }
    }
    Ok(())
}
