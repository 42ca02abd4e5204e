//! What the tests share: [`client`] speaks HTTP and WebSocket to the binary that [`process`] runs, [`signed`] is logged in, [`records`] looks into
//! its log, [`windows`] adds up what it counted. `brokers` are those that a fleet's log is on,
//! and `database` is a PostgreSQL that can be stopped.

#[cfg(feature = "kafka")]
pub(crate) mod brokers;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod signed;
pub(crate) mod windows;

use std::time::{Duration, Instant};

/// Longest wait for anything that must happen: generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer; panics with `what` was waited for when there is none for too long.
pub(crate) async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Milliseconds since the Unix epoch, for ids made by clients.
pub(crate) fn now_ms() -> u64 {
    let now = emostream_log::Clock::now_ms(&emostream_log::SystemClock);
    u64::try_from(now).unwrap()
}

/// A UUIDv7 of now, as a client makes one.
pub(crate) fn new_id() -> String {
    id_of(rand::random())
}

/// A UUIDv7 of now with these random bits.
pub(crate) fn id_of(random: [u8; 10]) -> String {
    uuid::Builder::from_unix_timestamp_millis(now_ms(), &random).into_uuid().to_string()
}
