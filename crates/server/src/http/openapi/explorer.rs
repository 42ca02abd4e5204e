//! `/docs`: Swagger UI on the OpenAPI document, from files inside the binary.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use utoipa_swagger_ui::Config;

use crate::http::problem::{ErrorType, Problem};

/// Swagger UI draws with inline styles and pictures in `data:` URLs; its scripts come from here alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// `GET /docs`.
pub async fn start() -> Redirect {
    // Its files are found relative to the folder.
    Redirect::permanent("/docs/index.html")
}

/// `GET /docs/{file}`.
pub async fn file(Path(file): Path<String>) -> Result<Response, Problem> {
    let found = utoipa_swagger_ui::serve(&file, CONFIG.clone()).map_err(|error| {
        tracing::error!(%error, file, "page of the documentation cannot be made");
        Problem::new(ErrorType::Internal, "the page cannot be made")
    })?;
    let found = found.ok_or_else(|| Problem::new(ErrorType::NotFound, "expected /docs/index.html"))?;
    let kind = HeaderValue::try_from(found.content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = found.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if found.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
