//! A client that watches the results: a line a window and emote, with the exact count and the shown one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{task::JoinSet, time::sleep};

use crate::{console::Printer, target::Target};

/// The last windows close within this.
const LAST_WINDOWS: Duration = Duration::from_secs(4);

/// A line of an event that grows beyond this is not the server's.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The watching client.
pub(crate) struct Watch {
    tasks: JoinSet<()>,
}

#[derive(Deserialize)]
struct Frame {
    r#type: String,
    #[serde(default)]
    counts: BTreeMap<String, u64>,
    #[serde(default)]
    shown: BTreeMap<String, u64>,
}

impl Watch {
    /// Connects to the channel's events, and prints from then on.
    pub(crate) async fn start(target: &Target, printer: Printer) -> Result<Self> {
        let about = "--watch: reading the channel's events";
        let stream = target.connect().await.context(about)?;
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.context(about)?;
        let mut tasks = JoinSet::new();
        // An error here ends the body that is being read.
        tasks.spawn(async move { connection.await.unwrap_or_default() });
        let request = Request::get(target.channel_path("events"))
            .header(header::HOST, target.authority())
            .header(header::ACCEPT, "text/event-stream")
            .body(Empty::<Bytes>::new())?;
        let answer = requests.send_request(request).await.context(about)?;
        if !answer.status().is_success() {
            bail!("{about}: the server answers {}", answer.status());
        }
        let body = answer.into_body();
        tasks.spawn(async move {
            let _open = requests;
            if let Err(error) = read(body, &printer).await {
                printer.print(&format!("the events ended: {error:#}"));
            }
        });
        Ok(Self { tasks })
    }

    /// Shows the last windows, and ends.
    pub(crate) async fn finish(mut self) {
        sleep(LAST_WINDOWS).await;
        self.tasks.shutdown().await;
    }
}

async fn read(mut body: Incoming, printer: &Printer) -> Result<()> {
    let mut line = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        for byte in frame.data_ref().into_iter().flatten() {
            if *byte != b'\n' {
                line.push(*byte);
            } else {
                show(&line, printer);
                line.clear();
            }
        }
        if line.len() > LINE_BYTES_MAX {
            bail!("an event is longer than {LINE_BYTES_MAX} bytes");
        }
    }
    bail!("the server closed the connection")
}

/// Prints a window, the most frequent emote first; other events are for other viewers.
fn show(line: &[u8], printer: &Printer) {
    let Some(data) = line.strip_prefix(b"data:") else { return };
    let Ok(frame) = serde_json::from_slice::<Frame>(data) else { return };
    if frame.r#type != "window" {
        return;
    }
    let mut counts: Vec<_> = frame.counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (emote, count) in counts {
        let shown = frame.shown.get(&emote).copied().unwrap_or_default();
        printer.print(&format!("{emote} {count} {shown}"));
    }
}
