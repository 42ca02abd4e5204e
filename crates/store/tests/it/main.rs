//! What the store promises: one suite on SQLite and, where `EMOSTREAM_TEST_POSTGRES` names a server, on PostgreSQL; then what is SQLite's alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod archive;
mod channels;
mod emotes;
mod files;
mod fixtures;
mod kills;
mod moments;
mod placement;
mod postgres;
mod schema;
mod settings;
mod setup;
mod users;
