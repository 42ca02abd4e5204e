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
    /// What people can register for.
    #[schema(inline)]
    registration: Registration,
}

/// What people can register for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registration {
    /// Whether people may make accounts themselves.
    open: bool,
    /// Whether they choose their tier.
    choose_tier: bool,
    /// The tier of who was given none.
    default_tier: u8,
    /// All tiers.
    #[schema(inline)]
    tiers: Vec<Tier>,
}

/// A tier.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tier {
    /// Its number, from 1 on.
    tier: u8,
    /// Devices that an account of it may connect at once.
    devices: u32,
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
    let accounts = &app.config.accounts;
    let registration = Registration {
        open: accounts.registration,
        choose_tier: accounts.choose_tier,
        default_tier: accounts.default_tier,
        tiers: accounts.tiers().map(|(tier, devices)| Tier { tier, devices }).collect(),
    };
    Json(Site { name: site.name, about: site.about, contact, registration })
}
