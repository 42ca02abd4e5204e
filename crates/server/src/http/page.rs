//! The app for browsers, embedded in the binary with its pre-compressed forms, and service information for programs.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    app::App,
    problem::{ErrorType, Problem},
};

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Dist;

/// Everything comes from here; sockets may go anywhere the page was served from.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The document of all pages but the first; it draws the one that its address names.
const APP: &str = "app.html";

/// Marks a refusal that is a page already: it is not restated as JSON.
#[derive(Debug, Clone, Copy)]
pub struct ForPeople;

/// A file in all of its encodings.
#[derive(Debug, Clone)]
struct Asset {
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
    kind: HeaderValue,
    etag: HeaderValue,
    immutable: bool,
}

/// The files of the page, by path.
#[derive(Debug, Default)]
pub struct Page {
    assets: HashMap<String, Asset>,
}

/// Answer of `GET /` to programs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceInformation {
    /// Name of the service.
    service: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Roles that run here.
    roles: Vec<&'static str>,
    /// Channels that exist.
    channels: Vec<String>,
    /// Where to go from here.
    links: HashMap<&'static str, &'static str>,
}

impl Page {
    /// The page that was built into the binary.
    pub fn embedded() -> Self {
        let bytes = |file: EmbeddedFile| Bytes::from(file.data.into_owned());
        let mut assets = HashMap::new();
        for path in Dist::iter().filter(|path| !path.ends_with(".gz") && !path.ends_with(".br")) {
            let Some(file) = Dist::get(&path) else { continue };
            let hash: String =
                file.metadata.sha256_hash().iter().take(8).map(|b| format!("{b:02x}")).collect();
            let Ok(etag) = HeaderValue::from_str(&format!("\"{hash}\"")) else { continue };
            let asset = Asset {
                gzip: Dist::get(&format!("{path}.gz")).map(bytes),
                brotli: Dist::get(&format!("{path}.br")).map(bytes),
                kind: HeaderValue::from_static(content_type(&path)),
                etag,
                // Names under assets/ carry a hash of their content.
                immutable: path.starts_with("assets/"),
                plain: bytes(file),
            };
            assets.insert(path.into_owned(), asset);
        }
        Self { assets }
    }

    fn respond(&self, path: &str, request: &HeaderMap) -> Option<Response> {
        let asset = self.assets.get(path)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, asset.etag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, accept"));
        let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        if is_known(request, &asset.etag) {
            return Some((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        headers.insert(header::CONTENT_TYPE, asset.kind.clone());
        headers.insert("content-security-policy", HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        let (body, coding) = match asset {
            Asset { brotli: Some(body), .. } if accepts(request, "br") => (body, Some("br")),
            Asset { gzip: Some(body), .. } if accepts(request, "gzip") => (body, Some("gzip")),
            Asset { plain, .. } => (plain, None),
        };
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Some((headers, body.clone()).into_response())
    }
}

/// The parts of a header that is a list.
fn listed(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a client has this form already. Proxies that compress make a tag weak.
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    listed(request, header::IF_NONE_MATCH)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

/// Whether a client takes a coding: named, and not with a weight of 0.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    listed(request, header::ACCEPT_ENCODING).any(|offered| {
        let (name, weight) = offered.split_once(';').unwrap_or((offered, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim() == coding && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether a request prefers HTML: a browser that navigates. Programs that accept anything get JSON.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.split(',').any(|kind| kind.trim().starts_with("text/html"))
}

/// `GET /`: the page for browsers, service information for programs.
pub async fn root(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if wants_html(&headers)
        && let Some(page) = app.page.respond("index.html", &headers)
    {
        return page;
    }
    let links = [
        ("health", "/health"),
        ("openapi", "/openapi.json"),
        ("metrics", "/metrics"),
        ("reactions", "/v1/channels/{channel}/reactions"),
        ("stream", "/v1/channels/{channel}/stream"),
        ("emoji", "/emoji"),
    ];
    let information = ServiceInformation {
        service: "emostream",
        version: env!("CARGO_PKG_VERSION"),
        roles: app.config.effective_roles().into_iter().map(crate::config::Role::name).collect(),
        channels: app.channels.all().iter().map(|channel| channel.name.to_string()).collect(),
        links: links.into(),
    };
    ([(header::VARY, "accept")], Json(information)).into_response()
}

/// `GET /login`, `/register`, `/account`, `/settings`, `/moments`, `/about`: pages that the app shows, for browsers alone.
pub async fn app_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    app.page
        .respond(APP, &headers)
        .filter(|_| wants_html(&headers))
        .unwrap_or_else(|| ([(header::VARY, "accept")], nothing_here()).into_response())
}

/// `GET /{file}` and `GET /assets/{file}`: files of the page. A browser that goes where nothing is gets the app, which says so.
pub async fn file(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = app.page.respond(path, &headers) {
        return file;
    }
    let reads = method == Method::GET || method == Method::HEAD;
    let is_page = !path.starts_with("v1/") && !path.starts_with("assets/");
    if reads && is_page && wants_html(&headers) {
        let unconditional = headers.iter().filter(|(name, _)| *name != header::IF_NONE_MATCH);
        let unconditional = unconditional.map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(mut page) = app.page.respond(APP, &unconditional) {
            *page.status_mut() = StatusCode::NOT_FOUND;
            page.extensions_mut().insert(ForPeople);
            return page;
        }
    }
    nothing_here().into_response()
}

fn nothing_here() -> Problem {
    Problem::new(ErrorType::NotFound, "expected a path of this server; see /openapi.json")
}

/// `GET /errors/{name}`: what an error type means.
pub async fn error_type(Path(name): Path<String>) -> Response {
    match ErrorType::ALL.iter().find(|kind| kind.name() == name) {
        Some(kind) => {
            let (status, name, title) = kind.facts();
            format!("{name}: {title} (status {})\n", status.as_u16()).into_response()
        }
        None => Problem::new(ErrorType::NotFound, "expected the name of an error type").into_response(),
    }
}
