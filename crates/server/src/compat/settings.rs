//! System A's settings: threshold, interval and allowed emotes, each on a path of its own, over the channel's one
//! document of settings. A change names no version: it changes its field and loses nothing that others change meanwhile.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use emostream_protocol::{
    ChannelName, Emotes,
    limits::REQUEST_BODY_BYTES_MAX,
    settings::{MomentRule, PlainRule, SettingsDocument},
};

use super::documents::{Allowed, AllowedChange, Interval, Threshold};
use crate::{
    control::settings::ChangeError,
    http::{access::Caller, app::App, body::JsonBody, problem::Problem},
};

type Body<T> = JsonBody<T, REQUEST_BODY_BYTES_MAX>;

/// `GET /settings/threshold`: the plain rule's, also while the full rule is in use.
pub async fn threshold(State(app): State<Arc<App>>) -> Result<Json<Threshold>, Problem> {
    Ok(Json(Threshold { threshold: settings(&app).await?.plain.threshold }))
}

/// `PUT /settings/threshold`: selects the plain rule.
pub async fn put_threshold(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(Threshold { threshold }): Body<Threshold>,
) -> Result<Json<Threshold>, Problem> {
    let changed = change(&app, &caller, |old| plain(old, PlainRule { threshold, ..old.plain })).await?;
    Ok(Json(Threshold { threshold: changed.plain.threshold }))
}

/// `GET /settings/interval`: the plain rule's, also while the full rule is in use.
pub async fn interval(State(app): State<Arc<App>>) -> Result<Json<Interval>, Problem> {
    Ok(Json(Interval { interval: settings(&app).await?.plain.interval }))
}

/// `PUT /settings/interval`: selects the plain rule.
pub async fn put_interval(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(Interval { interval }): Body<Interval>,
) -> Result<Json<Interval>, Problem> {
    let changed = change(&app, &caller, |old| plain(old, PlainRule { interval, ..old.plain })).await?;
    Ok(Json(Interval { interval: changed.plain.interval }))
}

/// `GET /settings/allowed-emotes`. Where every emote is allowed, which A's list cannot say, it has the channel's buttons.
pub async fn allowed(State(app): State<Arc<App>>) -> Result<Json<Vec<Allowed>>, Problem> {
    let emotes = listed(&settings(&app).await?);
    Ok(Json(emotes.into_iter().map(|emote| Allowed { emote }).collect()))
}

/// `PUT /settings/allowed-emotes`: allows and forbids the emotes named, others stay as `GET` lists them. Answers all: the
/// allowed ones, those named, and the channel's buttons.
pub async fn put_allowed(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(named): Body<Vec<AllowedChange>>,
) -> Result<Json<Vec<AllowedChange>>, Problem> {
    let named = canonical(named, &app.emotes)?;
    let changed = change(&app, &caller, |old| {
        let mut allowed = listed(old);
        for AllowedChange { emote, is_allowed } in &named {
            allowed.retain(|known| known != emote);
            if *is_allowed {
                allowed.push(emote.clone());
            }
        }
        SettingsDocument { allowed_emotes: Some(allowed), ..old.clone() }
    });
    let changed = changed.await?;
    let allowed = listed(&changed);
    let others = named.into_iter().map(|change| change.emote).chain(changed.palette.featured);
    let mut known: BTreeSet<String> = allowed.iter().cloned().collect();
    let all = allowed.into_iter().map(|emote| AllowedChange { emote, is_allowed: true });
    let forbidden: Vec<_> = others.filter(|emote| known.insert(emote.clone())).collect();
    let forbidden = forbidden.into_iter().map(|emote| AllowedChange { emote, is_allowed: false });
    Ok(Json(all.chain(forbidden).collect()))
}

/// The emotes that A's list shows as allowed.
fn listed(settings: &SettingsDocument) -> Vec<String> {
    settings.allowed_emotes.clone().unwrap_or_else(|| settings.palette.featured.clone())
}

/// Emotes in the form in which they are stored.
fn canonical(mut named: Vec<AllowedChange>, emotes: &Emotes) -> Result<Vec<AllowedChange>, Problem> {
    for change in &mut named {
        let id = emotes.resolve(&change.emote);
        let id = id.map_err(|error| Problem::field("emote", &format!("{:?}: {error}", change.emote)))?;
        change.emote = emotes.name(id).to_string();
    }
    Ok(named)
}

/// Settings with the plain rule in use.
fn plain(old: &SettingsDocument, plain: PlainRule) -> SettingsDocument {
    SettingsDocument { rule: MomentRule::Plain(plain), plain, ..old.clone() }
}

fn channel(app: &App) -> Result<ChannelName, Problem> {
    ChannelName::new(&app.config.compat.channel).map_err(|_| Problem::no_channel())
}

async fn settings(app: &App) -> Result<SettingsDocument, Problem> {
    let settings = app.control()?.settings(&channel(app)?).await;
    settings.map(|settings| settings.document).map_err(|error| Problem::store(&error))
}

async fn change(
    app: &App,
    caller: &Caller,
    new: impl Fn(&SettingsDocument) -> SettingsDocument,
) -> Result<SettingsDocument, Problem> {
    let name = channel(app)?;
    let changed = app.control()?.update_settings(&name, &caller.username, |old| Ok(new(old))).await;
    changed.map(|settings| settings.document).map_err(|error| match error {
        // A's clients know a field by the last part of its name.
        ChangeError::Invalid(error) => {
            let field = error.field.rsplit_once('.').map_or(error.field, |(_, last)| last);
            Problem::field(field, &error.expected)
        }
        error => error.into(),
    })
}
