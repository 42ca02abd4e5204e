//! Records, rows and frames through their public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod frames;
mod records;
mod rows;
