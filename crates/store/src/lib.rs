//! The control plane's records, on SQLite or PostgreSQL: users, channels, settings, custom emotes, and the archive of windows and moments.
//!
//! A [`Store`] is cheap to clone and shared by every task. What a method answered is durable. Time is a parameter
//! (`now_us`, microseconds since the Unix epoch), ids are given by the caller: the store reads no clock and draws no
//! random numbers. One SQL text serves both databases ([`sql`]); a change of records is one transaction, and changes
//! of one area wait for each other ([`database::Area`]), so that a check and what it allows are one step.

mod database;
mod error;
mod limits;
mod migrate;
mod open;
mod page;
mod sql;
mod users;

pub use error::StoreError;
pub use limits::{NAME_CHARS_MAX, PAGE_LIMIT_MAX, PASSWORD_HASH_BYTES_MAX};
pub use open::{Store, StoreOptions};
pub use page::Page;
pub use users::{NewUser, ParseRoleError, Role, User, UserId};
