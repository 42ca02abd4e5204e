//! The one binary of Emostream: the roles of a reaction's path, and what serves them to the world.
//!
//! In path order: [`ingest`] takes reactions into the log, [`aggregate`] counts the log, [`edge`] shows the result to
//! viewers. Roles never import one another; they meet in the log and in the [`seams`].
//! [`node`] starts and stops them in that order.

pub mod aggregate;
pub mod bridge;
pub mod cli;
pub mod compat;
pub mod config;
pub mod control;
pub mod durable;
pub mod edge;
pub mod http;
pub mod ingest;
pub mod node;
pub mod projection;
pub mod relay;
pub mod seams;
pub mod tasks;
pub mod telemetry;

pub use seams::{channels, directory, intake, members, output, placement_link, pressure, pulse_path, rate};
