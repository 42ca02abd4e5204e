//! The log on Apache Kafka, held against real brokers: those that EMOSTREAM_TEST_KAFKA names, or, where a test stops or kills
//! them, brokers of its own.

mod append;
mod groups;
mod open;
mod read;
mod setup;
mod transactions;

pub(crate) use setup::on_kafka;
