//! Bridge: reactions that other people's programs write to Kafka, taken into the log exactly once.
//!
//! [`foreign`] reads what they write.

pub mod foreign;
