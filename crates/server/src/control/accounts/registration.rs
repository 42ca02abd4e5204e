//! Accounts that people make and remove themselves.

use std::{net::IpAddr, time::Duration};

use emostream_store::{Role, User, look_of};

use super::{Accounts, check_name, check_new_password, credentials_wrong};
use crate::{
    http::problem::{ErrorType, Problem},
    intake::GUEST_PREFIX,
    rate::{CellRate, Limits, subscriber},
    telemetry::Labelled,
};

/// The limit of accounts that one address makes; none where it is 0.
pub(super) fn limits(per_minute: u32) -> Option<Limits<IpAddr>> {
    let every = |per_minute: u32| Duration::from_secs(60) / per_minute;
    (per_minute > 0).then(|| Limits::new(CellRate::one_in(every(per_minute), per_minute)))
}

impl Accounts {
    /// Makes an account of who asks for one: a viewer, of the tier asked for where one's own tier can be chosen, else of the
    /// default one. Here alone it is told that a name is taken; addresses are limited, so that names are not found out
    /// in numbers.
    pub async fn register(
        &self,
        name: &str,
        password: String,
        tier: Option<u8>,
        address: IpAddr,
    ) -> Result<User, Problem> {
        let made = self.register_counted(name, password, tier, address).await;
        let kind = made.as_ref().map_or_else(|problem| problem.kind.name(), |_| "succeeded");
        self.metrics.registrations.get_or_create(&Labelled { kind }).inc();
        made
    }

    async fn register_counted(
        &self,
        name: &str,
        password: String,
        tier: Option<u8>,
        address: IpAddr,
    ) -> Result<User, Problem> {
        if !self.config.registration {
            let detail = "accounts are made by the admins of this server";
            return Err(Problem::new(ErrorType::Forbidden, detail));
        }
        check_name(name)?;
        // Guests have such names among those who react.
        if look_of(name).starts_with(GUEST_PREFIX) {
            let expected = format!("expected a name that does not begin with {GUEST_PREFIX:?}");
            return Err(Problem::field("username", &expected));
        }
        check_new_password("password", &password)?;
        self.check_tier(tier)?;
        if let Some(limits) = &self.registrations {
            let admitted = limits.take(subscriber(address), 1, self.clock.now_ms());
            admitted.map_err(|wait| {
                tracing::warn!(%address, "registration refused: too many from this address");
                let detail = "too many accounts are made from here; wait as long as Retry-After says";
                Problem { retry_after: Some(wait), ..Problem::new(ErrorType::RateLimited, detail) }
            })?;
        }
        let tier = tier.filter(|_| self.config.choose_tier).unwrap_or(self.config.default_tier);
        let user = self.create(name, password, Role::Viewer, Some(tier)).await?;
        tracing::info!(user = user.name, tier, "account registered");
        Ok(user)
    }

    /// Removes the account of who knows its password; attempts count as those to log in do. Its tokens end, and its devices
    /// are disconnected. The last admin stays.
    pub async fn remove_own(&self, name: &str, password: &str, address: IpAddr) -> Result<(), Problem> {
        let user = self.check_password(name, password, address).await?;
        let removed = self.store.delete_user_with(user.id, &user.password_hash).await;
        if !removed.map_err(|error| Problem::store(&error))? {
            return Err(credentials_wrong());
        }
        tracing::info!(user = user.name, "account removed by its owner");
        Ok(())
    }
}
