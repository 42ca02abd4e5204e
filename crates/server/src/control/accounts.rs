//! Accounts: who logs in, what a token is worth now, and changes of accounts.

use std::{net::IpAddr, sync::Arc, time::Duration};

use emostream_log::Clock;
use emostream_store::{NewUser, Role, Store, StoreError, User, UserId, check_new_name};

use crate::{
    config::AccountsConfig,
    http::{
        access::Caller,
        problem::{ErrorType, Problem},
    },
    rate::Limits,
    telemetry::{Labelled, Metrics},
};

pub mod admin;
pub mod attempts;
mod in_line;
pub mod login_keys;
pub mod passwords;
mod registration;

use attempts::Attempts;
use in_line::InLine;
pub use in_line::Shown;
use login_keys::{Claims, LoginKeys, TokenError};
use passwords::{PASSWORD_BYTES_MAX, Passwords, Verified};

/// Accounts of a node with the role control.
pub struct Accounts {
    store: Store,
    keys: LoginKeys,
    passwords: Passwords,
    attempts: Attempts,
    registrations: Option<Limits<IpAddr>>,
    in_line: InLine,
    config: AccountsConfig,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// Who has just logged in.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// When it expires, ms since the Unix epoch.
    pub expires_at_ms: i64,
    /// The account.
    pub user: User,
}

/// What to change of an account; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// Its role.
    pub role: Option<Role>,
    /// Its password.
    pub password: Option<String>,
    /// Its tier.
    pub tier: Option<u8>,
}

impl Accounts {
    /// Accounts in a store, with tokens under these keys.
    pub fn new(
        store: Store,
        keys: LoginKeys,
        config: &AccountsConfig,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let passwords = Passwords::new(metrics.password_hashes_in_line.clone());
        let registrations = registration::limits(config.registrations_per_minute);
        let (attempts, config) = (Attempts::default(), config.clone());
        let in_line = InLine::default();
        Self { store, keys, passwords, attempts, registrations, in_line, config, metrics, clock }
    }

    /// The tier of an account: its own, or the default.
    pub fn tier_of(&self, user: &User) -> u8 {
        let is_known = |tier: &u8| (1..=self.config.tier_devices.len()).contains(&usize::from(*tier));
        user.tier.filter(is_known).unwrap_or(self.config.default_tier)
    }

    fn check_tier(&self, tier: Option<u8>) -> Result<(), Problem> {
        let tiers = self.config.tier_devices.len();
        if tier.is_none_or(|tier| (1..=tiers).contains(&usize::from(tier))) {
            return Ok(());
        }
        Err(Problem::field("tier", &format!("expected a tier from 1 to {tiers}")))
    }

    /// Logs in. Whether the name or the password was wrong is not told, nor can it be seen from the time that it took.
    /// `RateLimited` and `Overloaded` say when to try again.
    pub async fn login(&self, name: &str, password: &str, address: IpAddr) -> Result<LoggedIn, Problem> {
        let user = self.check_password(name, password, address).await?;
        self.count("succeeded");
        self.issue(user)
    }

    /// The account of a name if the password is its own: counted against address and name before anything is computed.
    async fn check_password(&self, name: &str, password: &str, address: IpAddr) -> Result<User, Problem> {
        let attempt = self.attempts.begin(address, name, self.clock.now_ms()).map_err(|wait| {
            self.count("rate-limited");
            tracing::warn!(%address, "login refused: too many attempts");
            too_many_attempts(wait)
        })?;
        let undecided = |problem: Problem| {
            self.attempts.undecided(attempt);
            self.count(problem.kind.name());
            problem
        };
        let user = self.store.user_by_name(name).await.map_err(|error| undecided(Problem::store(&error)))?;
        let verified = if password.len() > PASSWORD_BYTES_MAX {
            Verified::Wrong
        } else {
            let stored = user.as_ref().map(|user| user.password_hash.clone());
            self.passwords.verify(password.to_owned(), stored).await.map_err(undecided)?
        };
        match (user, verified) {
            (Some(user), Verified::Right { outdated }) => {
                self.attempts.succeeded(attempt, self.clock.now_ms());
                if outdated { self.rehash(user, password).await } else { Ok(user) }
            }
            (user, _) => {
                self.count("credentials-wrong");
                // A name without an account is not logged: people type passwords there.
                let user = user.map(|user| user.name);
                let reason = if user.is_some() { "wrong password" } else { "no such account" };
                tracing::warn!(%address, user, reason, "login failed");
                Err(credentials_wrong())
            }
        }
    }

    /// Stores a hash of today's cost. Tokens from before end with it.
    async fn rehash(&self, user: User, password: &str) -> Result<User, Problem> {
        let hash = self.passwords.hash(password.to_owned()).await?;
        if let Some(user) = self.exchange_hash(&user, hash).await? {
            return Ok(user);
        }
        // Another was set since: by another login with this password, or for a new one.
        let user = self.store.user_by_name(&user.name).await.map_err(|error| Problem::store(&error))?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        match (user, self.passwords.verify(password.to_owned(), stored).await?) {
            (Some(user), Verified::Right { .. }) => Ok(user),
            _ => Err(credentials_wrong()),
        }
    }

    /// Stores a hash where the one that was looked at still stands. The account as it is then.
    async fn exchange_hash(&self, user: &User, hash: String) -> Result<Option<User>, Problem> {
        let now_us = self.now_us();
        let replaced = self.store.exchange_password_hash(user.id, &user.password_hash, &hash, now_us).await;
        let replaced = replaced.map_err(|error| Problem::store(&error))?;
        Ok(replaced.then(|| User { password_hash: hash, credentials_changed_us: now_us, ..user.clone() }))
    }

    async fn set_hash(&self, user: &User, hash: &str) -> Result<User, Problem> {
        let store = |error| Problem::store(&error);
        self.store.set_password_hash(user.id, hash, self.now_us()).await.map_err(store)?;
        self.existing(&user.name).await
    }

    fn issue(&self, user: User) -> Result<LoggedIn, Problem> {
        let credentials = user.credentials_changed_us;
        let signed = self.keys.issue(&user.name, user.role.as_str(), credentials, self.clock.now_ms());
        let (token, claims) = signed.map_err(|error| {
            tracing::error!(%error, "a login token was not signed");
            Problem::new(ErrorType::Internal, "the token could not be signed")
        })?;
        Ok(LoggedIn { token, expires_at_ms: claims.exp * 1_000, user })
    }

    /// Who a token belongs to now. One whose account is gone, or has another password or role since, is invalid.
    pub async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let claims = self.keys.read(token, self.clock.now_ms()).map_err(token_error)?;
        let found = self.store.user_by_name(&claims.username).await;
        match found.map_err(|error| Problem::store(&error))? {
            Some(user) if is_current(&claims, &user) => {
                let (expires_at_ms, tier) = (claims.exp * 1_000, self.tier_of(&user));
                Ok(Caller { id: user.id, username: user.name, role: user.role, tier, expires_at_ms })
            }
            _ => Err(invalid_token("the account has been changed since; log in again")),
        }
    }

    /// Changes the password of who knows the present one. Attempts count as those to log in do.
    pub async fn change_own_password(
        &self,
        name: &str,
        current: &str,
        new: String,
        address: IpAddr,
    ) -> Result<(), Problem> {
        check_new_password("new", &new)?;
        let user = self.check_password(name, current, address).await?;
        let hash = self.passwords.hash(new).await?;
        // Whoever was slower than another change has shown a password that is none any more.
        self.exchange_hash(&user, hash).await?.ok_or_else(credentials_wrong)?;
        tracing::info!(user = user.name, "password changed by its owner");
        Ok(())
    }

    /// Makes an account.
    pub async fn create(
        &self,
        name: &str,
        password: String,
        role: Role,
        tier: Option<u8>,
    ) -> Result<User, Problem> {
        check_name(name)?;
        check_new_password("password", &password)?;
        self.check_tier(tier)?;
        // Before the hash, which costs; the store decides in the end.
        if self.store.user_by_name(name).await.map_err(|error| Problem::store(&error))?.is_some() {
            return Err(Problem::new(ErrorType::NameTaken, "another account has this name"));
        }
        let password_hash = self.passwords.hash(password).await?;
        let id = UserId::from_parts(self.now_us(), rand::random());
        let user = NewUser { id, name: name.to_owned(), role, password_hash, tier };
        self.store.create_user(&user, self.now_us()).await.map_err(|error| Problem::store(&error))
    }

    /// Changes an account; its tokens end, save where only the tier is new. The last admin stays one.
    pub async fn change(&self, name: &str, change: AccountChange) -> Result<User, Problem> {
        if let Some(password) = &change.password {
            check_new_password("password", password)?;
        }
        self.check_tier(change.tier)?;
        let user = self.existing(name).await?;
        let hash = match change.password {
            None => None,
            Some(password) => Some(self.passwords.hash(password).await?),
        };
        if let Some(role) = change.role {
            let set = self.store.set_role(user.id, role, self.now_us()).await;
            set.map_err(|error| Problem::store(&error))?;
        }
        if change.tier.is_some() {
            let set = self.store.set_tier(user.id, change.tier).await;
            set.map_err(|error| Problem::store(&error))?;
        }
        if let Some(hash) = hash {
            return self.set_hash(&user, &hash).await;
        }
        self.existing(name).await
    }

    /// Removes an account; its tokens end. The last admin stays.
    pub async fn remove(&self, name: &str) -> Result<(), Problem> {
        let user = self.existing(name).await?;
        self.store.delete_user(user.id).await.map_err(|error| Problem::store(&error))
    }

    /// The account of a name.
    pub async fn existing(&self, name: &str) -> Result<User, Problem> {
        let found = self.store.user_by_name(name).await.map_err(|error| Problem::store(&error))?;
        found.ok_or_else(|| Problem::new(ErrorType::UserNotFound, "expected the name of an account"))
    }

    fn now_us(&self) -> i64 {
        self.clock.now_ms() * 1_000
    }

    fn count(&self, kind: &'static str) {
        self.metrics.logins.get_or_create(&Labelled { kind }).inc();
    }
}

fn token_error(error: TokenError) -> Problem {
    match error {
        TokenError::Invalid => invalid_token("expected a token of POST /v1/login"),
        TokenError::Expired => Problem::new(ErrorType::TokenExpired, "log in again"),
    }
}

fn credentials_wrong() -> Problem {
    Problem::new(ErrorType::CredentialsWrong, "name or password is wrong")
}

fn invalid_token(detail: &str) -> Problem {
    Problem::new(ErrorType::TokenInvalid, detail)
}

fn too_many_attempts(wait: Duration) -> Problem {
    let detail = "too many attempts to log in; wait as long as Retry-After says";
    Problem { retry_after: Some(wait), ..Problem::new(ErrorType::RateLimited, detail) }
}

/// The store's rule, with the name that the field has on the wire.
fn check_name(name: &str) -> Result<(), Problem> {
    check_new_name(name).map_err(|error| match error {
        StoreError::Invalid { expected, .. } => Problem::field("username", &format!("expected {expected}")),
        error => Problem::store(&error),
    })
}

fn check_new_password(field: &'static str, password: &str) -> Result<(), Problem> {
    passwords::check_new(password).map_err(|expected| Problem::field(field, &expected))
}

/// Whether an account is still as it was when a token was issued. Tokens of who shares our secret carry no mark of it;
/// of those, only later ones than the last change hold.
fn is_current(claims: &Claims, user: &User) -> bool {
    match claims.credentials {
        Some(credentials) => credentials == user.credentials_changed_us,
        None => claims.iat.saturating_mul(1_000_000) >= user.credentials_changed_us,
    }
}
