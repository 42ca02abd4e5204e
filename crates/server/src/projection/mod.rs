//! What is written to Kafka for other people's programs: by the projector, with the role bridge, and by the relay.
//!
//! [`follower`] reads the log in a group and writes ([`course`] is how far it is); [`reactions`] and [`rows`] make lines of what it reads, [`shapes`] are the
//! lines as each source system reads them.

pub mod course;
pub mod follower;
pub mod reactions;
pub mod rows;
pub mod shapes;
