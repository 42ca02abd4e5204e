//! What viewers see, over WebSocket and server-sent events: every frame, resuming, limits.

mod events;
mod frames;
mod resume;

use serde_json::{Value, json};

use crate::{
    harness::{
        client::{Seen, Viewer, react},
        process::Server,
    },
    http::start,
};

/// Sends enough of an emote for a moment, and waits for it.
async fn make_moment(server: &Server, viewer: &mut Viewer) -> Value {
    let burst = json!(vec![json!({"emote": "🔥"}); 5]);
    assert_eq!(react(server.address, "main", &burst).await.unwrap().status, 200);
    viewer.next_of("moment").await
}

fn seq(frame: &Value) -> u64 {
    frame["seq"].as_u64().unwrap_or_else(|| panic!("no seq in {frame}"))
}

/// Where a viewer is after a frame, as a query.
fn position(frame: &Value) -> String {
    format!("?epoch={}&since={}", frame["epoch"].as_str().unwrap(), seq(frame))
}

/// The frames up to the first of a type.
async fn until(viewer: &mut Viewer, kind: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        match viewer.next().await {
            Seen::Frame(frame) => {
                let last = frame["type"] == kind;
                frames.push(frame);
                if last {
                    return frames;
                }
            }
            end => panic!("no {kind} before {end:?}"),
        }
    }
}
