//! Logging in, one's own account, and the accounts of others.

use std::{net::SocketAddr, str::FromStr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Path, Query, State},
    http::StatusCode,
};
use emostream_protocol::time;
use emostream_store::{Role, User, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::paging::{ListParameters, Listed};
use crate::{
    control::accounts::{AccountChange, Accounts, LoggedIn},
    http::{access::Caller, app::App, body::JsonBody, problem::Problem},
};

/// Bytes of a body about an account: a name and two passwords of the longest kind.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Name of the account, whatever its case.
    username: String,
    /// Its password.
    password: String,
}

/// Who has logged in.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// For `Authorization: Bearer`: a JWT with `username`, `iat`, `exp`.
    token: String,
    /// RFC 3339.
    expires_at: String,
    /// The account.
    #[schema(inline)]
    user: Identity,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// 1 to 64 characters; unique ignoring case.
    username: String,
    /// 8 to 128 characters.
    password: String,
    /// The tier, where one's own can be chosen (`accounts.choose_tier`); else it is not looked at.
    tier: Option<u8>,
}

/// One's own password, to be sure.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The present one.
    password: String,
}

/// An account in short.
#[derive(Serialize, ToSchema)]
pub struct Identity {
    /// Name.
    username: String,
    /// viewer, moderator, broadcaster or admin.
    #[schema(value_type = String)]
    role: Role,
    /// How many devices it may connect follows from it.
    tier: u8,
}

/// Whose token it is.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// Name.
    username: String,
    /// viewer, moderator, broadcaster or admin.
    #[schema(value_type = String)]
    role: Role,
    /// How many devices it may connect follows from it.
    tier: u8,
    /// Devices that it may connect at once.
    devices_max: u32,
    /// When the token expires, RFC 3339.
    expires_at: String,
}

/// One's own new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present one.
    current: String,
    /// 8 to 128 characters.
    new: String,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct UserDocument {
    /// Name.
    username: String,
    /// viewer, moderator, broadcaster or admin.
    #[schema(value_type = String)]
    role: Role,
    /// How many devices it may connect follows from it.
    tier: u8,
    /// RFC 3339.
    created_at: String,
}

/// A page of accounts, in the order in which they were made.
#[derive(Serialize, ToSchema)]
pub struct UserPage {
    #[schema(inline)]
    items: Vec<UserDocument>,
    next_cursor: Option<String>,
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUserDocument {
    /// 1 to 64 characters; unique ignoring case.
    username: String,
    /// 8 to 128 characters.
    password: String,
    /// viewer, moderator, broadcaster or admin.
    #[schema(value_type = String)]
    role: Role,
    /// Absent: the default tier, whichever that is.
    tier: Option<u8>,
}

/// What to change of an account; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChangeDocument {
    /// viewer, moderator, broadcaster or admin.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// 8 to 128 characters.
    password: Option<String>,
    /// Devices that a lower tier has no room for stay until they leave.
    tier: Option<u8>,
}

impl UserDocument {
    fn of(user: User, accounts: &Accounts) -> Self {
        Self {
            tier: accounts.tier_of(&user),
            username: user.name,
            role: user.role,
            created_at: time::format_ms(user.created_us.div_euclid(1_000)),
        }
    }
}

/// Place in the list of accounts.
struct After(UserId);

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        UserId::parse(text).map(Self).ok_or(())
    }
}

/// `POST /v1/login`.
pub async fn login(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    JsonBody(given): JsonBody<Credentials, BODY_BYTES_MAX>,
) -> Result<Json<LoginAnswer>, Problem> {
    let accounts = &app.control()?.accounts;
    let LoggedIn { token, expires_at_ms, user } =
        accounts.login(&given.username, &given.password, peer.ip()).await?;
    let user = Identity { tier: accounts.tier_of(&user), username: user.name, role: user.role };
    Ok(Json(LoginAnswer { token, expires_at: time::format_ms(expires_at_ms), user }))
}

/// `POST /v1/register`.
pub async fn register(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    JsonBody(new): JsonBody<Registration, BODY_BYTES_MAX>,
) -> Result<(StatusCode, Json<Identity>), Problem> {
    let accounts = &app.control()?.accounts;
    let user = accounts.register(&new.username, new.password, new.tier, peer.ip()).await?;
    let identity = Identity { tier: accounts.tier_of(&user), username: user.name, role: user.role };
    Ok((StatusCode::CREATED, Json(identity)))
}

/// `DELETE /v1/me`.
pub async fn remove_own(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    caller: Caller,
    JsonBody(given): JsonBody<OwnPassword, BODY_BYTES_MAX>,
) -> Result<StatusCode, Problem> {
    app.control()?.accounts.remove_own(&caller.username, &given.password, peer.ip()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/me`.
pub async fn me(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Me>, Problem> {
    let expires_at = time::format_ms(caller.expires_at_ms);
    let devices_max = app.control()?.placement.devices_max(Some(caller.tier));
    let Caller { username, role, tier, .. } = caller;
    Ok(Json(Me { username, role, tier, devices_max, expires_at }))
}

/// `POST /v1/me/password`.
pub async fn change_own_password(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    caller: Caller,
    JsonBody(given): JsonBody<PasswordChange, BODY_BYTES_MAX>,
) -> Result<StatusCode, Problem> {
    let accounts = &app.control()?.accounts;
    accounts.change_own_password(&caller.username, &given.current, given.new, peer.ip()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/users`.
pub async fn list(
    State(app): State<Arc<App>>,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<UserPage>, Problem> {
    let (after, limit) = parameters.read::<After>("the next_cursor of a page of users")?;
    let control = app.control()?;
    let page = control.store.users(after.map(|after| after.0), limit).await;
    let document = |user| UserDocument::of(user, &control.accounts);
    let Listed { items, next_cursor } = Listed::of(page.map_err(|error| Problem::store(&error))?, document);
    Ok(Json(UserPage { items, next_cursor }))
}

/// `POST /v1/users`.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(new): JsonBody<NewUserDocument, BODY_BYTES_MAX>,
) -> Result<(StatusCode, Json<UserDocument>), Problem> {
    let accounts = &app.control()?.accounts;
    let user = accounts.create(&new.username, new.password, new.role, new.tier).await?;
    tracing::info!(user = user.name, role = user.role.as_str(), by = caller.username, "account made");
    Ok((StatusCode::CREATED, Json(UserDocument::of(user, accounts))))
}

/// `PATCH /v1/users/{username}`.
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(username): Path<String>,
    JsonBody(wanted): JsonBody<UserChangeDocument, BODY_BYTES_MAX>,
) -> Result<Json<UserDocument>, Problem> {
    let change = AccountChange { role: wanted.role, password: wanted.password, tier: wanted.tier };
    let accounts = &app.control()?.accounts;
    let user = accounts.change(&username, change).await?;
    tracing::info!(user = user.name, role = user.role.as_str(), by = caller.username, "account changed");
    Ok(Json(UserDocument::of(user, accounts)))
}

/// `DELETE /v1/users/{username}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<StatusCode, Problem> {
    app.control()?.accounts.remove(&username).await?;
    tracing::info!(user = username, by = caller.username, "account removed");
    Ok(StatusCode::NO_CONTENT)
}
