//! The slow path: reads a body again to say which field was wrong and what was expected.

use serde_json::Value;

use super::{Rejection, RejectionKind};

/// Names what is wrong with a body that is no valid reaction.
pub(super) fn reaction(body: &[u8], error: &serde_json::Error) -> Rejection {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return not_json(error) };
    let Value::Object(fields) = value else {
        return Rejection::new(RejectionKind::FieldInvalid, None, "expected a JSON object for each reaction");
    };
    if !fields.contains_key("emote") {
        let detail = "expected a string with an emoji, an alias or a custom emote";
        return Rejection::new(RejectionKind::FieldMissing, Some("emote"), detail);
    }
    let nullable = |name: &str| name != "emote";
    for name in ["emote", "id", "user_id", "tapped_at"] {
        match fields.get(name) {
            None | Some(Value::String(_)) => {}
            Some(Value::Null) if nullable(name) => {}
            Some(_) => return Rejection::new(RejectionKind::FieldInvalid, Some(name), "expected a string"),
        }
    }
    match fields.get("media_time_ms") {
        None | Some(Value::Null) => {}
        Some(value) if value.is_u64() => {}
        Some(_) => {
            let detail = "expected a whole number of milliseconds, 0 or more";
            return Rejection::new(RejectionKind::FieldInvalid, Some("media_time_ms"), detail);
        }
    }
    // Every field is well typed: what remains is a field that occurs twice.
    Rejection::new(RejectionKind::FieldInvalid, None, format!("expected each field once: {error}"))
}

/// Says where JSON is malformed.
pub(super) fn not_json(error: &serde_json::Error) -> Rejection {
    Rejection::new(RejectionKind::BodyInvalid, None, format!("expected JSON: {error}"))
}
