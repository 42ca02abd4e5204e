//! The log on Apache Kafka, held against real brokers: those that EMOSTREAM_TEST_KAFKA names, or, where a test stops or kills
//! them, brokers of its own.

mod append;
mod broker;
mod children;
mod failures;
mod foreign;
mod groups;
mod open;
mod outages;
mod read;
mod security;
mod setup;
mod speed;
mod transactions;

pub(crate) use setup::on_kafka;
