//! The first admin: from the environment at every start, or made up once.

use emostream_store::{NewUser, Role, Store, StoreError, UserId};

use super::passwords::{self, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Verified};
use crate::config::ControlConfig;

/// Characters of a made-up password: 26 letters and digits without those that look alike are 128 bits and more.
const GENERATED_CHARS: usize = 26;

/// Letters and digits that are not taken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A password that was made up, to be shown once and never again.
#[derive(Clone, PartialEq, Eq)]
pub struct Generated {
    /// Name of the account.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Applies the configured admin, or makes one up if there is none at all. What was made up must be shown: it is stored
/// only as a hash.
pub async fn ensure(store: &Store, config: &ControlConfig, now_us: i64) -> anyhow::Result<Option<Generated>> {
    match &config.admin_password {
        Some(password) => {
            apply(store, &config.admin_username, password.reveal(), now_us).await?;
            Ok(None)
        }
        None => make_up(store, &config.admin_username, now_us).await,
    }
}

/// Sees to it that the account exists, is an admin, and has this password. An unchanged one is left as it is: a new hash
/// would end its tokens.
async fn apply(store: &Store, name: &str, password: &str, now_us: i64) -> anyhow::Result<()> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        tracing::warn!("ADMIN_PASSWORD has fewer than {PASSWORD_CHARS_MIN} characters");
    }
    anyhow::ensure!(
        password.len() <= PASSWORD_BYTES_MAX,
        "control.admin_password: expected at most {PASSWORD_BYTES_MAX} bytes"
    );
    if let Some(user) = store.user_by_name(name).await?
        && user.role == Role::Admin
        && let Verified::Right { outdated: false } =
            in_background(password, Some(user.password_hash)).await?.1
    {
        return Ok(());
    }
    let (hash, _) = in_background(password, None).await?;
    store.upsert_admin(UserId::from_parts(now_us, rand::random()), name, &hash, now_us).await?;
    tracing::info!(user = name, "admin account set from the configuration");
    Ok(())
}

/// Compares with a stored hash, or without one makes one, away from the threads that serve.
async fn in_background(password: &str, stored: Option<String>) -> anyhow::Result<(String, Verified)> {
    let password = password.to_owned();
    let work = move || match stored {
        Some(stored) => Ok((String::new(), passwords::compare(&password, &stored))),
        None => Ok((passwords::hash_now(&password)?, Verified::Wrong)),
    };
    tokio::task::spawn_blocking(work).await?
}

async fn make_up(store: &Store, name: &str, now_us: i64) -> anyhow::Result<Option<Generated>> {
    let admins = store.count_by_role().await?;
    if admins.iter().any(|(role, users)| *role == Role::Admin && *users > 0) {
        return Ok(None);
    }
    let password = random_password();
    let (password_hash, _) = in_background(&password, None).await?;
    let id = UserId::from_parts(now_us, rand::random());
    let admin = NewUser { id, name: name.to_owned(), role: Role::Admin, password_hash, tier: None };
    match store.create_user(&admin, now_us).await {
        Ok(user) => Ok(Some(Generated { username: user.name, password })),
        // Nobody gets rights only for having the name.
        Err(StoreError::Conflict { .. }) => anyhow::bail!(
            "there is no admin, and {name:?} is the name of an account without that role: set ADMIN_PASSWORD to make it the \
             admin, or use `emostream user add NAME --role admin`"
        ),
        Err(error) => Err(error.into()),
    }
}

fn random_password() -> String {
    let bytes: [u8; GENERATED_CHARS] = rand::random();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use emostream_store::{Role, Store, StoreOptions};

    use super::{ALPHABET, GENERATED_CHARS, ensure, random_password};
    use crate::{
        config::{ControlConfig, Secret},
        control::accounts::passwords::{Verified, compare},
    };

    async fn store() -> Store {
        Store::open("sqlite::memory:", &StoreOptions::default()).await.unwrap()
    }

    fn with(password: Option<&str>) -> ControlConfig {
        ControlConfig { admin_password: password.map(Secret::new), ..ControlConfig::default() }
    }

    #[tokio::test]
    async fn the_environments_admin_is_applied_at_every_start_and_left_alone_when_unchanged() {
        let store = store().await;
        assert!(ensure(&store, &with(Some("short")), 1_000).await.unwrap().is_none());
        let first = store.user_by_name("admin").await.unwrap().unwrap();
        assert_eq!((first.role, compare("short", &first.password_hash)), (Role::Admin, right()));
        ensure(&store, &with(Some("short")), 2_000).await.unwrap();
        assert_eq!(store.user_by_name("admin").await.unwrap().unwrap(), first);
        ensure(&store, &with(Some("another one")), 3_000).await.unwrap();
        let changed = store.user_by_name("admin").await.unwrap().unwrap();
        assert_eq!((changed.id, changed.credentials_changed_us), (first.id, 3_000));
        assert_eq!(compare("another one", &changed.password_hash), right());
        // Without the variable, what was set stays.
        assert!(ensure(&store, &with(None), 4_000).await.unwrap().is_none());
        assert_eq!(store.user_by_name("admin").await.unwrap().unwrap(), changed);
    }

    fn right() -> Verified {
        Verified::Right { outdated: false }
    }

    #[tokio::test]
    async fn without_any_admin_one_is_made_up_once() {
        let store = store().await;
        let generated = ensure(&store, &with(None), 1_000).await.unwrap().unwrap();
        let user = store.user_by_name(&generated.username).await.unwrap().unwrap();
        assert_eq!((user.role, compare(&generated.password, &user.password_hash)), (Role::Admin, right()));
        assert!(ensure(&store, &with(None), 2_000).await.unwrap().is_none());
    }

    #[test]
    fn made_up_passwords_are_long_and_differ() {
        assert_ne!(random_password(), random_password());
        let password = random_password();
        assert_eq!(password.len(), GENERATED_CHARS);
        assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
