//! Waiting for the server to be there, and learning its time.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::time::{Instant, sleep};

use crate::{
    clock::ServerClock,
    send::{HttpConnection, date_ms},
    target::Target,
};

/// Time between attempts.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// `Date` has whole seconds and the answer took its time: clocks that differ by less are taken as equal.
const CLOCK_SLACK_MS: i64 = 2_000;

/// Waits until the server answers that it is ready. The error is one line for people.
pub(crate) async fn wait_until_ready(target: &Target, clock: &ServerClock, wait: Duration) -> Result<()> {
    let end = Instant::now() + wait;
    loop {
        let problem = match ask(target, clock).await {
            Ok(StatusCode::SERVICE_UNAVAILABLE) => "it answers, but says that it is not ready".to_owned(),
            // A server without this path is a server all the same.
            Ok(_) => return Ok(()),
            Err(error) => error.root_cause().to_string(),
        };
        if Instant::now() + ASK_EVERY > end {
            bail!(
                "no server at {} within {:.0} s: {problem}; start one with `emostream serve`, or name it with --url",
                target.url(),
                wait.as_secs_f64()
            );
        }
        sleep(ASK_EVERY).await;
    }
}

async fn ask(target: &Target, clock: &ServerClock) -> Result<StatusCode> {
    let mut connection = HttpConnection::open(target).await?;
    let (status, headers, _) =
        connection.request(Method::GET, &target.ready_path(), "text/plain", Bytes::new()).await?;
    if let Some(server_ms) = date_ms(&headers) {
        // Half a second in: the middle of the second that the header names.
        let server_ms = server_ms + 500;
        if (server_ms - clock.now_ms()).abs() > CLOCK_SLACK_MS {
            clock.learn(server_ms);
        }
    }
    Ok(status)
}
