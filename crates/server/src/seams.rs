//! The seams between the roles: narrow, in memory, and the only places where they meet besides the log.

pub mod channels;
pub mod directory;
pub mod intake;
pub mod members;
pub mod output;
pub mod placement_link;
pub mod pressure;
pub mod pulse_path;
pub mod rate;
