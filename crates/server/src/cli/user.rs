//! `emostream user add / passwd / ls / rm`: accounts straight in the store, also while a server runs on it.

use anyhow::Context;
use clap::{Args, Subcommand};
use emostream_log::{Clock, SystemClock};
use emostream_protocol::time;
use emostream_store::{NewUser, Role, Store, StoreError, StoreOptions, User, UserId};
use serde_json::json;

use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, place::Place, say, say_error};
use crate::{config::Config, control::accounts::passwords};

mod password;

/// Accounts read at once.
const PAGE: u32 = 500;

/// Arguments of `emostream user`.
#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make an account; its password is asked for twice.
    Add {
        /// Its name, 1 to 64 characters; unique ignoring case.
        name: String,
        /// What it may do: viewer, moderator, broadcaster or admin.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// Take the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Set the password of an account; its tokens end.
    Passwd {
        /// Its name.
        name: String,
        /// Take the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List the accounts in the order in which they were made.
    Ls {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Remove an account; its tokens end. The last admin stays.
    Rm {
        /// Its name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Why a command did nothing: what was typed, or what is there.
enum Refused {
    Usage(String),
    Failed(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid { .. } => Self::Usage(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|error: emostream_store::ParseRoleError| error.to_string())
}

pub(super) fn run(args: &UserArgs) -> anyhow::Result<u8> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    Ok(match runtime.block_on(carry_out(&args.command)) {
        Ok(()) => EXIT_OK,
        Err(Refused::Usage(text)) => {
            say_error(&text);
            EXIT_USAGE
        }
        Err(Refused::Failed(text)) => {
            say_error(&text);
            EXIT_FAILED
        }
    })
}

async fn carry_out(command: &UserCommand) -> Result<(), Refused> {
    match command {
        UserCommand::Add { name, role, password_stdin, place } => {
            add(place, name, *role, *password_stdin).await
        }
        UserCommand::Passwd { name, password_stdin, place } => set(place, name, *password_stdin).await,
        UserCommand::Ls { json, place } => list(place, *json).await,
        UserCommand::Rm { name, place } => remove(place, name).await,
    }
}

fn config(place: &Place) -> Result<Config, Refused> {
    place.load().map_err(|error| Refused::Usage(error.to_string()))
}

/// Opens the store. Only who makes something may make the store itself: a mistyped directory stays without one.
async fn open(place: &Place, may_create: bool) -> Result<Store, Refused> {
    let config = config(place)?;
    let file = config.data_dir.join("emostream.db");
    if !may_create && config.store.url.is_none() && !file.exists() {
        return Err(Refused::Failed(format!("there is no store {}; see --data-dir", file.display())));
    }
    let url = config.store.effective_url(&config.data_dir);
    let options = StoreOptions { readers: 1, ..StoreOptions::default() };
    Ok(Store::open(&url, &options).await?)
}

fn now_us() -> i64 {
    SystemClock.now_ms() * 1_000
}

async fn add(place: &Place, name: &str, role: Role, from_stdin: bool) -> Result<(), Refused> {
    let store = open(place, true).await?;
    if store.user_by_name(name).await?.is_some() {
        return Err(Refused::Failed(format!("an account {name:?} exists already")));
    }
    let password_hash = passwords::hash_now(&chosen(from_stdin)?)?;
    let id = UserId::from_parts(now_us(), rand::random());
    let user = NewUser { id, name: name.to_owned(), role, password_hash, tier: None };
    let made = store.create_user(&user, now_us()).await?;
    store.close().await;
    say(&format!("{} may log in as {}", made.name, made.role));
    Ok(())
}

async fn set(place: &Place, name: &str, from_stdin: bool) -> Result<(), Refused> {
    let store = open(place, false).await?;
    let user = existing(&store, name).await?;
    let hash = passwords::hash_now(&chosen(from_stdin)?)?;
    store.set_password_hash(user.id, &hash, now_us()).await?;
    store.close().await;
    say(&format!("{} has a new password; who was logged in must log in again", user.name));
    Ok(())
}

async fn remove(place: &Place, name: &str) -> Result<(), Refused> {
    let store = open(place, false).await?;
    let user = existing(&store, name).await?;
    store.delete_user(user.id).await?;
    store.close().await;
    say(&format!("{} is removed", user.name));
    Ok(())
}

async fn existing(store: &Store, name: &str) -> Result<User, Refused> {
    let found = store.user_by_name(name).await?;
    found.ok_or_else(|| Refused::Failed(format!("there is no account {name:?}; see emostream user ls")))
}

fn chosen(from_stdin: bool) -> Result<String, Refused> {
    let password = if from_stdin { password::from_stdin() } else { password::ask_twice() };
    let password = password.map_err(|error| Refused::Usage(error.to_string()))?;
    passwords::check_new(&password).map_err(|text| Refused::Usage(format!("password: {text}")))?;
    Ok(password)
}

async fn list(place: &Place, as_json: bool) -> Result<(), Refused> {
    let store = open(place, false).await?;
    let (mut users, mut after) = (Vec::new(), None);
    loop {
        let page = store.users(after, PAGE).await?;
        users.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    store.close().await;
    if as_json {
        for user in &users {
            let created_at = created_at(user);
            say(&json!({"username": user.name, "role": user.role, "created_at": created_at}).to_string());
        }
        return Ok(());
    }
    let widest = users.iter().map(|user| user.name.chars().count()).max().unwrap_or(0).max(4);
    say(&format!("{:<widest$}  {:<11}  created", "name", "role"));
    for user in &users {
        say(&format!("{:<widest$}  {:<11}  {}", user.name, user.role.as_str(), created_at(user)));
    }
    Ok(())
}

fn created_at(user: &User) -> String {
    time::format_ms(user.created_us.div_euclid(1_000))
}
