//! JSON bodies of the control plane: limited in size and time, and every error names its field.

use std::{sync::Arc, time::Duration};

use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{
    app::App,
    problem::{ErrorType, Problem},
};

/// A body of JSON with at most `BYTES` bytes, as an argument of a handler. The type decides which fields there are; it
/// should refuse unknown ones (`deny_unknown_fields`).
#[derive(Debug)]
pub struct JsonBody<T, const BYTES: usize>(pub T);

impl<T: DeserializeOwned, const BYTES: usize> FromRequest<Arc<App>> for JsonBody<T, BYTES> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let timeout = Duration::from_millis(app.config.http.body_timeout_ms);
        let bytes = read(request, BYTES, timeout).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads a whole body of at most `bytes_max` bytes.
pub async fn read(request: Request, bytes_max: usize, timeout: Duration) -> Result<bytes::Bytes, Problem> {
    let collecting = Limited::new(request.into_body(), bytes_max).collect();
    match tokio::time::timeout(timeout, collecting).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::new(ErrorType::BodyTooLarge, format!("expected at most {bytes_max} bytes")))
        }
        Ok(Err(error)) => {
            Err(Problem::new(ErrorType::BodyInvalid, format!("the body could not be read: {error}")))
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {} ms", timeout.as_millis());
            Err(Problem::new(ErrorType::BodyTimeout, detail))
        }
    }
}

/// Reads JSON; a problem names the field as a path such as `rule.threshold`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(if path == "." { "" } else { &path }, error.inner())
    })?;
    reader.end().map_err(|error| explain("", &error))?;
    Ok(value)
}

fn explain(path: &str, error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    if error.classify() != Category::Data {
        return Problem::new(ErrorType::BodyInvalid, format!("expected JSON: {said}"));
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = said.strip_suffix(&place).unwrap_or(&said);
    let quoted = |prefix: &str| said.strip_prefix(prefix)?.strip_prefix('`')?.split_once('`');
    let (kind, field, said) = if let Some((name, _)) = quoted("missing field ") {
        (ErrorType::FieldMissing, join(path, name), "is missing".to_owned())
    } else if let Some((name, rest)) = quoted("unknown field ") {
        (ErrorType::FieldInvalid, join(path, name), format!("is unknown{rest}"))
    } else if let Some((name, _)) = quoted("duplicate field ") {
        (ErrorType::FieldInvalid, join(path, name), "is there twice".to_owned())
    } else {
        (ErrorType::FieldInvalid, path.to_owned(), said.to_owned())
    };
    if field.is_empty() {
        return Problem::new(kind, said);
    }
    Problem { field: Some(field.clone().into()), ..Problem::new(kind, format!("{field}: {said}")) }
}

/// The path of a field in what is at `path`, which may be the field's own already.
fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read only")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
        list: Option<Vec<u8>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read only")]
    struct Inner {
        threshold: f64,
    }

    #[test]
    fn a_problem_names_the_field_and_what_was_expected() {
        for (body, kind, field, says) in [
            (r#"{}"#, "field-missing", Some("name"), "is missing"),
            (r#"{"name":1}"#, "field-invalid", Some("name"), "expected a string"),
            (r#"{"name":"a","extra":1}"#, "field-invalid", Some("extra"), "is unknown, expected one of"),
            (r#"{"name":"a","inner":{}}"#, "field-missing", Some("inner.threshold"), "is missing"),
            (r#"{"name":"a","inner":{"threshold":"x"}}"#, "field-invalid", Some("inner.threshold"), "f64"),
            (r#"{"name":"a","inner":{"treshold":1}}"#, "field-invalid", Some("inner.treshold"), "is unknown"),
            (r#"{"name":"a","list":[1,300]}"#, "field-invalid", Some("list[1]"), "expected u8"),
            (r#"{"name":"a","name":"b"}"#, "field-invalid", Some("name"), "is there twice"),
            (r#"[]"#, "field-invalid", None, "expected struct"),
            (r#"{"name":"a"} x"#, "body-invalid", None, "trailing characters"),
            ("", "body-invalid", None, "expected JSON"),
            ("{\"name\":\"\u{1}\"}", "body-invalid", None, "control character"),
        ] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            let found = (problem.kind.name(), problem.field.as_deref());
            assert_eq!(found, (kind, field), "{body}: {}", problem.detail);
            assert!(problem.detail.contains(says), "{body}: {}", problem.detail);
            assert!(field.is_none_or(|field| problem.detail.contains(field)), "{body}: {}", problem.detail);
        }
        assert!(parse::<Outer>(br#"{"name":"a"}"#).is_ok());
    }
}
