//! Accounts: who may sign in, and as what.

pub(crate) mod look;
mod role;

use std::fmt;

use emostream_protocol::placement::CloseReason;
use uuid::Uuid;

pub use look::{check_new_name, look_of};
pub use role::{ParseRoleError, Role};

use crate::{
    Page, Store, StoreError,
    database::{Area, Change},
    leases,
    limits::{NAME_CHARS_MAX, PASSWORD_HASH_BYTES_MAX, check_line},
    page::Limit,
    sql::{Row, Statement, damaged, sql},
};

/// A user's id: a UUIDv7, so that ids ascend with the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Uuid);

/// An account. `Debug` leaves the password's hash out.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Name as it was given; unique ignoring case.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password's hash in its text form.
    pub password_hash: String,
    /// Tier, where tiers are used.
    pub tier: Option<u8>,
    /// When it was made.
    pub created_us: i64,
    /// When password or role last changed: what was signed in before no longer holds.
    pub credentials_changed_us: i64,
}

/// An account to be made. `Debug` leaves the password's hash out.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Id, given so that chance stays with the caller.
    pub id: UserId,
    /// Name: 1 to [`NAME_CHARS_MAX`] characters after white space is trimmed at its ends, all of which can be seen.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password's hash in its text form, 1 to [`PASSWORD_HASH_BYTES_MAX`] bytes.
    pub password_hash: String,
    /// Tier, where tiers are used.
    pub tier: Option<u8>,
}

impl UserId {
    /// Makes an id of a time in microseconds and randomness, of which 74 bits are used.
    pub fn from_parts(now_us: i64, random: [u8; 10]) -> Self {
        let ms = u64::try_from(now_us / 1_000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
    }

    /// Takes sixteen bytes as they are.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads the form that `Display` writes; `None` if it is another.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 36 { Uuid::try_parse(text).ok().map(Self) } else { None }
    }

    /// The sixteen bytes, in network order.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("User");
        shown
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .field("tier", &self.tier);
        shown.field("created_us", &self.created_us);
        shown.field("credentials_changed_us", &self.credentials_changed_us).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("NewUser");
        shown.field("id", &self.id).field("name", &self.name).field("role", &self.role);
        shown.field("tier", &self.tier).finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "SELECT id, name, role, password_hash, tier, created_us, credentials_changed_us FROM users";

impl Store {
    /// Makes an account. `Conflict` if the name is taken, or another's looks like it; see [`look_of`].
    pub async fn create_user(&self, user: &NewUser, now_us: i64) -> Result<User, StoreError> {
        check_new_name(&user.name)?;
        let made = checked(user, now_us)?;
        let mut change = self.database.change(Area::Users).await?;
        if !insert(&mut change, &made).await? {
            return Err(StoreError::Conflict { what: "user name" });
        }
        change.commit().await?;
        Ok(made)
    }

    /// The account of a name, whatever its case; `None` if there is none, or no such name can be.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError> {
        let Ok(name) = checked_name(name) else { return Ok(None) };
        self.database.row(by_key(name)).await?.as_ref().map(read).transpose()
    }

    /// The account of an id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.database.row(by_id(id)).await?.as_ref().map(read).transpose()
    }

    /// Accounts in the order of their ids, hence of creation, from behind `after` on.
    pub async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Page<User, UserId>, StoreError> {
        let limit = Limit::new(limit)?;
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        let query = with_columns("WHERE id > $1 ORDER BY id LIMIT $2").bind(after).bind(limit.fetch());
        let rows = self.database.rows(query).await?;
        let users = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(limit.page(users, |user: &User| user.id))
    }

    /// Replaces a password's hash; what was signed in before no longer holds.
    pub async fn set_password_hash(&self, id: UserId, hash: &str, now_us: i64) -> Result<(), StoreError> {
        check_hash(hash)?;
        let mut change = self.database.change(Area::Users).await?;
        set_hash(&mut change, id, hash, now_us).await?;
        change.commit().await
    }

    /// The same for who has shown the password of the hash `old`: not where another was set since. Whether it was replaced.
    pub async fn exchange_password_hash(
        &self,
        id: UserId,
        old: &str,
        new: &str,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        check_hash(new)?;
        let mut change = self.database.change(Area::Users).await?;
        let statement = sql("UPDATE users SET password_hash = $1, credentials_changed_us = $2
             WHERE id = $3 AND password_hash = $4");
        let statement = statement.bind(new).bind(now_us).bind(*id.as_bytes()).bind(old);
        let replaced = change.execute(statement).await? > 0;
        change.commit().await?;
        Ok(replaced)
    }

    /// Changes a role; what was signed in before no longer holds. `LastAdmin` if nobody would be left to undo it. Giving
    /// the role that the user has changes nothing.
    pub async fn set_role(&self, id: UserId, role: Role, now_us: i64) -> Result<(), StoreError> {
        let mut change = self.database.change(Area::Users).await?;
        let user = existing(&mut change, id).await?;
        if user.role == role {
            return Ok(());
        }
        if user.role == Role::Admin {
            refuse_last_admin(&mut change).await?;
        }
        change_role(&mut change, id, role, now_us).await?;
        change.commit().await
    }

    /// Gives an account a tier, or none. Devices that a lower tier has no room for stay until they leave.
    pub async fn set_tier(&self, id: UserId, tier: Option<u8>) -> Result<(), StoreError> {
        let mut change = self.database.change(Area::Users).await?;
        let statement = sql("UPDATE users SET tier = $1 WHERE id = $2").bind(tier.map(i64::from));
        if change.execute(statement.bind(*id.as_bytes())).await? == 0 {
            return Err(StoreError::NotFound { what: "user" });
        }
        change.commit().await
    }

    /// Removes an account and ends its leases. `LastAdmin` if it is the only one left with that role.
    pub async fn delete_user(&self, id: UserId) -> Result<(), StoreError> {
        self.delete_user_if(id, |_| true).await.map(drop)
    }

    /// The same for who has shown the password of a hash: not where another was set since. Whether it was removed.
    pub async fn delete_user_with(&self, id: UserId, hash: &str) -> Result<bool, StoreError> {
        self.delete_user_if(id, |user| user.password_hash == hash).await
    }

    async fn delete_user_if(
        &self,
        id: UserId,
        holds: impl FnOnce(&User) -> bool,
    ) -> Result<bool, StoreError> {
        let mut change = self.database.change(Area::Users).await?;
        // Else a lease that is being reserved would stay behind. Nobody takes these two the other way round.
        change.also(Area::Leases).await?;
        let user = existing(&mut change, id).await?;
        if !holds(&user) {
            return Ok(false);
        }
        if user.role == Role::Admin {
            refuse_last_admin(&mut change).await?;
        }
        leases::end_all(&mut change, id, CloseReason::AccountGone).await?;
        change.execute(sql("DELETE FROM users WHERE id = $1").bind(*id.as_bytes())).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Sees to it that an admin of this name and hash exists: makes the account with `id`, or changes hash and role of
    /// the one there is. For credentials from the environment; the caller compares the password with the stored hash
    /// first, since a new hash of the same password signs everyone out.
    pub async fn upsert_admin(
        &self,
        id: UserId,
        name: &str,
        hash: &str,
        now_us: i64,
    ) -> Result<User, StoreError> {
        let role = Role::Admin;
        let new = NewUser { id, name: name.to_owned(), role, password_hash: hash.to_owned(), tier: None };
        let made = checked(&new, now_us)?;
        let mut change = self.database.change(Area::Users).await?;
        let stored = change.row(by_key(&made.name)).await?.as_ref().map(read).transpose()?;
        let user = match stored {
            None => {
                check_new_name(name)?;
                if look::is_taken(&mut change, name).await? {
                    return Err(StoreError::Conflict { what: "user name" });
                }
                if !insert(&mut change, &made).await? {
                    return Err(StoreError::Conflict { what: "user id" });
                }
                made
            }
            Some(user) => {
                set_hash(&mut change, user.id, hash, now_us).await?;
                change_role(&mut change, user.id, role, now_us).await?;
                User { role, password_hash: hash.to_owned(), credentials_changed_us: now_us, ..user }
            }
        };
        change.commit().await?;
        Ok(user)
    }

    /// How many accounts there are of each role, ascending; a role without any is there with 0.
    pub async fn count_by_role(&self) -> Result<[(Role, u64); 4], StoreError> {
        let rows = self.database.rows(sql("SELECT role, COUNT(*) AS users FROM users GROUP BY role")).await?;
        let mut counts = Role::ALL.map(|role| (role, 0));
        for row in &rows {
            let role = read_role(row)?;
            let users = row.int("users")?;
            counts.iter_mut().filter(|count| count.0 == role).for_each(|count| count.1 = users);
        }
        Ok(counts)
    }
}

fn with_columns(rest: &str) -> Statement {
    Statement::composed(format!("{COLUMNS} {rest}"))
}

fn by_id(id: UserId) -> Statement {
    with_columns("WHERE id = $1").bind(*id.as_bytes())
}

fn by_key(name: &str) -> Statement {
    with_columns("WHERE name_key = $1").bind(key(name).as_str())
}

/// What makes names equal.
fn key(name: &str) -> String {
    name.to_lowercase()
}

fn checked_name(name: &str) -> Result<&str, StoreError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(StoreError::invalid("name", format!("1 to {NAME_CHARS_MAX} characters")));
    }
    check_line("name", name, NAME_CHARS_MAX)?;
    Ok(name)
}

fn check_hash(hash: &str) -> Result<(), StoreError> {
    if hash.is_empty() || hash.len() > PASSWORD_HASH_BYTES_MAX || hash.contains(char::is_control) {
        let expected = format!("a hash of 1 to {PASSWORD_HASH_BYTES_MAX} bytes");
        return Err(StoreError::invalid("password_hash", expected));
    }
    Ok(())
}

fn checked(user: &NewUser, now_us: i64) -> Result<User, StoreError> {
    check_hash(&user.password_hash)?;
    Ok(User {
        id: user.id,
        name: checked_name(&user.name)?.to_owned(),
        role: user.role,
        password_hash: user.password_hash.clone(),
        tier: user.tier,
        created_us: now_us,
        credentials_changed_us: now_us,
    })
}

/// Inserts an account unless its name or id is taken, or another's name looks like it. Within the transaction nobody else does.
async fn insert(change: &mut Change, user: &User) -> Result<bool, StoreError> {
    if look::is_taken(change, &user.name).await? {
        return Ok(false);
    }
    let statement = sql(
        "INSERT INTO users (id, name, name_key, role, password_hash, tier, created_us, credentials_changed_us, look)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    );
    let statement = statement
        .bind(*user.id.as_bytes())
        .bind(user.name.as_str())
        .bind(key(&user.name).as_str())
        .bind(user.role.as_str())
        .bind(user.password_hash.as_str())
        .bind(user.tier.map(i64::from))
        .bind(user.created_us)
        .bind(user.credentials_changed_us)
        .bind(look_of(&user.name).as_str());
    Ok(change.execute(statement).await? > 0)
}

async fn existing(change: &mut Change, id: UserId) -> Result<User, StoreError> {
    match change.row(by_id(id)).await? {
        Some(row) => read(&row),
        None => Err(StoreError::NotFound { what: "user" }),
    }
}

/// Refuses if there is one admin at most. Within the transaction that takes one away, nobody else can.
async fn refuse_last_admin(change: &mut Change) -> Result<(), StoreError> {
    let count = sql("SELECT COUNT(*) AS admins FROM users WHERE role = $1").bind(Role::Admin.as_str());
    let admins = change.row(count).await?.map_or(Ok(0), |row| row.get::<i64>("admins"))?;
    if admins <= 1 { Err(StoreError::LastAdmin) } else { Ok(()) }
}

async fn set_hash(change: &mut Change, id: UserId, hash: &str, now_us: i64) -> Result<(), StoreError> {
    let statement = sql("UPDATE users SET password_hash = $1, credentials_changed_us = $2 WHERE id = $3")
        .bind(hash)
        .bind(now_us)
        .bind(*id.as_bytes());
    match change.execute(statement).await? {
        0 => Err(StoreError::NotFound { what: "user" }),
        _ => Ok(()),
    }
}

async fn change_role(change: &mut Change, id: UserId, role: Role, now_us: i64) -> Result<(), StoreError> {
    let statement = sql("UPDATE users SET role = $1, credentials_changed_us = $2 WHERE id = $3")
        .bind(role.as_str())
        .bind(now_us)
        .bind(*id.as_bytes());
    change.execute(statement).await.map(drop)
}

fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::from_bytes(row.id("id")?),
        name: row.get("name")?,
        role: read_role(row)?,
        password_hash: row.get("password_hash")?,
        tier: row.optional_int("tier")?,
        created_us: row.get("created_us")?,
        credentials_changed_us: row.get("credentials_changed_us")?,
    })
}

fn read_role(row: &Row) -> Result<Role, StoreError> {
    row.get::<String>("role")?.parse().map_err(|_| damaged("role"))
}
