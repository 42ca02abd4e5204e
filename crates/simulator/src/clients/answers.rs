//! One call and its answer as JSON, and how long to wait before the next.

use std::time::Duration;

use anyhow::Result;
use hyper::{Method, StatusCode, header};
use serde_json::Value;

use crate::{send::HttpConnection, target::Target};

/// After a call that nobody answered.
const NOBODY: Duration = Duration::from_secs(1);

/// A server that asks for more is not waited for so long.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// Null where it was no JSON.
    pub(super) body: Value,
}

impl Answer {
    /// What the server says of an error.
    pub(super) fn error(&self) -> String {
        self.text("error").map_or_else(|| self.status.to_string(), str::to_owned)
    }

    /// A field that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }

    /// How long to wait before asking again: as told, and a little by chance, so that many do not ask together.
    pub(super) fn pause(&self) -> Duration {
        self.retry_after.unwrap_or(NOBODY).min(RETRY_MAX).mul_f64(rand::random_range(1.0..1.25))
    }
}

/// A pause after a connection that ended, by chance.
pub(super) fn pause() -> Duration {
    NOBODY.mul_f64(rand::random_range(0.25..1.0))
}

/// POST of JSON over a connection of its own.
pub(super) async fn post(target: &Target, path: &str, body: &Value) -> Result<Answer> {
    let mut connection = HttpConnection::open(target).await?;
    let body = body.to_string().into();
    let path = target.path(path);
    let (status, headers, body) = connection.request(Method::POST, &path, "application/json", body).await?;
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer {
        status,
        retry_after: seconds.map(Duration::from_secs),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// A line of a window for people: emote, exact count, shown count.
pub(super) fn line(json: &[u8], emote: &str) -> Option<String> {
    let line: Value = serde_json::from_slice(json).ok()?;
    Some(format!("{} {} {}", line[emote].as_str()?, line["count"].as_u64()?, line["shown"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_has_both_counts() {
        let json = r#"{"emoji_type": "🔥", "count": 2500, "shown": 2, "window_start": "…"}"#;
        assert_eq!(line(json.as_bytes(), "emoji_type").as_deref(), Some("🔥 2500 2"));
        assert_eq!(line(json.as_bytes(), "emoji"), None);
        assert_eq!(line(b"{", "emoji"), None);
    }
}
