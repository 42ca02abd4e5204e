//! What is written to Kafka for other people's programs: by the projector, with the role bridge, and by the relay.
//!
//! [`shapes`] are the lines as each source system reads them.

pub mod shapes;
