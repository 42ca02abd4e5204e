//! What the pages "about" and "contact" say, from the configuration.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;

/// Answer of `GET /v1/site`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Site {
    /// Name of the service or event series.
    name: String,
    /// Plain text with empty lines between paragraphs; empty: nothing was configured.
    about: String,
    /// Who can be asked.
    #[schema(inline)]
    contact: Contact,
}

/// Who can be asked; what was not configured is absent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contact {
    /// An e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// A page, `https://…` or `http://…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// `GET /v1/site`.
pub async fn site(State(app): State<Arc<App>>) -> Json<Site> {
    let site = app.config.site.clone();
    let contact = Contact { email: site.contact.email, url: site.contact.url, text: site.contact.text };
    Json(Site { name: site.name, about: site.about, contact })
}
