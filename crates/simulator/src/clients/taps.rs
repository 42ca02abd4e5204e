//! A watching client that sends as well, an emoji again and again.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::answers::post;
use crate::{console, target::Target};

/// Sends until it is dropped. What is refused is said once.
pub(super) async fn send(target: &Target, path: &str, pause: Duration, tap: impl Fn() -> Value) {
    let mut beat = interval(pause);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        beat.tick().await;
        let refused = match post(target, path, &tap()).await {
            Ok(answer) if answer.status.is_success() => None,
            Ok(answer) => Some(answer.error()),
            Err(error) => Some(format!("{error:#}")),
        };
        match refused {
            None => told = false,
            Some(why) if !told => {
                told = true;
                console::print(&format!("not sent: {why}"));
            }
            Some(_) => {}
        }
    }
}
