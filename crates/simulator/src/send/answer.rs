//! What an HTTP answer means for the reactions of its request.

use std::time::Duration;

use emostream_protocol::{input::RejectionKind, time};
use hyper::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::retry::retry_after;

/// The outcome of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The log has the reactions, save the rejected ones.
    Taken { accepted: u64, duplicates: u64, rejected: Vec<Rejected>, server_time_ms: Option<i64> },
    /// Try again with the same ids.
    Later(Option<Duration>),
    /// The whole request was refused for good.
    Refused { class: String, detail: String, server_time_ms: Option<i64> },
}

/// A reaction of a batch that was refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Rejected {
    pub(crate) index: usize,
    pub(crate) class: String,
    pub(crate) detail: String,
}

#[derive(Deserialize)]
struct TakenJson {
    accepted: u64,
    duplicates: u64,
    #[serde(default)]
    rejected: Vec<RejectedJson>,
    #[serde(default)]
    server_time: Option<String>,
}

#[derive(Deserialize)]
struct RejectedJson {
    index: usize,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    server_time: Option<String>,
}

/// What the source systems' endpoints answer.
#[derive(Deserialize)]
struct MessageJson {
    #[serde(rename = "message_id")]
    _message_id: String,
}

/// A native problem, or the `error` of a source system's endpoint.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemJson {
    r#type: String,
    title: String,
    detail: String,
    error: String,
    server_time: Option<String>,
}

impl Answer {
    /// Reads an answer.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        if status.is_success() {
            return match serde_json::from_slice::<TakenJson>(body) {
                Ok(taken) => Self::taken(taken),
                Err(error) => Self::Refused {
                    class: "answer-unreadable".to_owned(),
                    detail: format!("expected an answer with accepted, duplicates and rejected: {error}"),
                    server_time_ms: None,
                },
            };
        }
        Self::read_failure(status, headers, body)
    }

    /// Reads the answer of a source system's endpoint to one reaction.
    pub(crate) fn read_message(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        if !status.is_success() {
            return Self::read_failure(status, headers, body);
        }
        match serde_json::from_slice::<MessageJson>(body) {
            Ok(_) => Self::Taken { accepted: 1, duplicates: 0, rejected: Vec::new(), server_time_ms: None },
            Err(error) => Self::Refused {
                class: "answer-unreadable".to_owned(),
                detail: format!("expected an answer with status and message_id: {error}"),
                server_time_ms: None,
            },
        }
    }

    fn read_failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        if status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT
            || status.is_server_error()
        {
            let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Self::Later(asked.and_then(retry_after));
        }
        let problem: ProblemJson = serde_json::from_slice(body).unwrap_or_default();
        let class = class_of(&problem.r#type);
        Self::Refused {
            class: if class.is_empty() { format!("status-{}", status.as_u16()) } else { class },
            detail: [problem.detail, problem.title, problem.error]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
            server_time_ms: problem.server_time.as_deref().and_then(|text| time::parse_ms(text).ok()),
        }
    }

    fn taken(taken: TakenJson) -> Self {
        let said = taken.server_time.or_else(|| taken.rejected.iter().find_map(|r| r.server_time.clone()));
        Self::Taken {
            accepted: taken.accepted,
            duplicates: taken.duplicates,
            server_time_ms: said.and_then(|text| time::parse_ms(&text).ok()),
            rejected: taken
                .rejected
                .into_iter()
                .map(|r| Rejected { index: r.index, class: class_of(&r.r#type), detail: r.detail })
                .collect(),
        }
    }
}

/// Whether a refusal says that the time in the id was wrong: then nothing is in the log, and another id is safe.
pub(crate) fn is_wrong_time(class: &str) -> bool {
    class == RejectionKind::IdOutOfRange.name()
}

/// The last part of a problem's type.
fn class_of(kind: &str) -> String {
    kind.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The server's time by its `Date` header, which has whole seconds.
pub(crate) fn date_ms(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    // "Sun, 06 Nov 1994 08:49:37 GMT", the only form that servers send.
    let mut parts = text.split_ascii_whitespace().skip(1);
    let (day, month, year, clock) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    time::parse_ms(&format!("{year}-{month:02}-{day}T{clock}Z")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::{HeaderMap, StatusCode, header};

    use super::{Answer, date_ms, is_wrong_time};

    fn read(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "3".parse().unwrap());
        Answer::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn answers_are_taken_later_or_refused() {
        let body = r#"{"accepted":1,"duplicates":2,"rejected":[{"index":3,"type":"https://a/errors/id-out-of-range","detail":"d","server_time":"1970-01-01T00:00:01Z"}]}"#;
        let Answer::Taken { accepted: 1, duplicates: 2, rejected, server_time_ms: Some(1_000) } =
            read(200, body)
        else {
            panic!("{:?}", read(200, body))
        };
        assert!(rejected[0].index == 3 && is_wrong_time(&rejected[0].class));
        for status in [429, 503, 500, 408] {
            assert_eq!(read(status, ""), Answer::Later(Some(Duration::from_secs(3))), "{status}");
        }
        let Answer::Refused { class, detail, .. } =
            read(422, r#"{"type":"/errors/emote-unknown","detail":"x"}"#)
        else {
            panic!("expected a refusal")
        };
        assert_eq!((class.as_str(), detail.as_str()), ("emote-unknown", "x"));
        assert!(matches!(read(404, "nothing"), Answer::Refused { class, .. } if class == "status-404"));
        assert!(
            matches!(read(200, "nothing"), Answer::Refused { class, .. } if class == "answer-unreadable")
        );
    }

    #[test]
    fn the_date_header_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(date_ms(&headers), Some(784_111_777_000));
    }
}
