//! The real binary, started as its users start it, and watched through its public interfaces only.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where its preparation fails, and says what it saw"
)]

mod accounts;
mod archive;
mod command_line;
mod compat;
mod crash;
mod disk;
mod edges;
mod full_log;
mod harness;
mod hostile;
mod http;
mod internal;
mod placement;
mod reference;
mod restart;
mod scenarios;
mod settings;
mod stop;
mod stream;
