//! What the test server says of the past: windows that add up to what was taken, the moments of a test, and events.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::json;

use crate::server::Kept;

/// Two windows, the second on a page of its own.
pub(crate) fn answer(kept: &Kept, path: &str) -> Option<Response<Full<Bytes>>> {
    let text = match path.strip_prefix("/v1/channels/main/")? {
        "windows" => {
            let messages = kept.messages.lock().unwrap().len() + kept.taken.lock().unwrap().len();
            let total = messages as i64 + kept.miscounted.load(Ordering::Relaxed);
            json!({"items": [{"total": total - 1}, {"total": 1}], "next_cursor": null}).to_string()
        }
        "moments" => json!({"items": *kept.moments.lock().unwrap(), "next_cursor": null}).to_string(),
        "events" => {
            "event: hello\ndata: {\"type\":\"hello\"}\n\nevent: window\nid: e.1\ndata: {\"type\":\"window\",\
                     \"counts\":{\"🔥\":1200,\"👏\":3},\"shown\":{\"🔥\":11,\"👏\":2}}\n\n"
                .to_owned()
        }
        _ => return None,
    };
    Some(Response::new(Full::from(text)))
}
