//! Viewers who come through placement, and go on elsewhere when they are sent away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::client::{Answer, Client, Seen, Viewer};

/// Asks for a place as a guest.
pub(crate) async fn place(address: SocketAddr, wanted: &Value) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    client.post("/v1/placements", "application/json", wanted.to_string()).await.unwrap()
}

/// A place.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) edge: String,
    pub(crate) address: SocketAddr,
    pub(crate) ticket: String,
}

impl Placed {
    /// The place of an answer that names an edge's address.
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_ne!(answer.json()["url"], "", "{answer:?}");
        Self::of_asked(answer, ([0, 0, 0, 0], 0).into())
    }

    /// The place of an answer of a node that may mean itself.
    pub(crate) fn of_asked(answer: &Answer, asked: SocketAddr) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        let text = |field: &str| json[field].as_str().unwrap().to_owned();
        let url = text("url");
        let address = match url.strip_prefix("http://") {
            Some(address) => address.parse().unwrap(),
            None => {
                assert_eq!(url, "", "{answer:?}");
                asked
            }
        };
        Self { edge: text("edge"), address, ticket: text("ticket") }
    }

    pub(crate) async fn join(&self, channel: &str) -> Viewer {
        Viewer::join(self.address, channel, &format!("?ticket={}", self.ticket)).await.unwrap()
    }
}

/// What one viewer saw until it was told to stop.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Edges that it was on, in order.
    pub(crate) edges: Vec<String>,
    pub(crate) moments: Vec<u64>,
    pub(crate) gaps: usize,
    /// Reasons of goodbyes.
    pub(crate) byes: Vec<String>,
}

/// Asks until there is a place. Without `wait_for`, whose closure cannot be sent to another thread.
async fn placed(control: SocketAddr, channel: &str) -> Placed {
    loop {
        let answer = place(control, &json!({"channel": channel})).await;
        if answer.status == 200 {
            return Placed::of_asked(&answer, control);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Where viewers watch, and what they wait for.
#[derive(Clone)]
pub(crate) struct Audience {
    /// Where places are asked for.
    pub(crate) control: SocketAddr,
    pub(crate) channel: &'static str,
    /// A permit for each `hello`.
    pub(crate) joined: Arc<Semaphore>,
    /// The next moment of 🏁 is the last to see.
    pub(crate) end: Arc<AtomicBool>,
}

impl Audience {
    pub(crate) fn new(control: SocketAddr, channel: &'static str) -> Self {
        Self { control, channel, joined: Arc::new(Semaphore::new(0)), end: Arc::default() }
    }

    /// Waits until so many have joined.
    pub(crate) async fn wait_for(&self, viewers: usize) {
        self.joined.acquire_many(u32::try_from(viewers).unwrap()).await.unwrap().forget();
    }
}

/// Watches, and comes back through placement at the place where it was, until a moment from the end on is seen.
pub(crate) async fn watch(audience: Audience) -> Watched {
    let Audience { control, channel, joined, end } = audience;
    let mut watched = Watched::default();
    let mut at: Option<(String, u64)> = None;
    loop {
        let placed = placed(control, channel).await;
        watched.edges.push(placed.edge.clone());
        let resume =
            at.as_ref().map(|(epoch, seq)| format!("&epoch={epoch}&since={seq}")).unwrap_or_default();
        let query = format!("?ticket={}{resume}", placed.ticket);
        let mut viewer = Viewer::join(placed.address, channel, &query).await.unwrap();
        loop {
            let Seen::Frame(frame) = viewer.next().await else { break };
            watched.take(&frame, &mut at);
            if frame["type"] == "hello" {
                joined.add_permits(1);
            }
            if frame["type"] == "moment" && frame["emote"] == "🏁" && end.load(Ordering::SeqCst) {
                return watched;
            }
        }
    }
}

impl Watched {
    fn take(&mut self, frame: &Value, at: &mut Option<(String, u64)>) {
        if let (Some(epoch), Some(seq)) = (frame["epoch"].as_str(), frame["seq"].as_u64()) {
            // A `hello` repeats where the viewer was.
            let resumed = at.as_ref().is_some_and(|_| frame["type"] == "hello");
            if !resumed {
                *at = Some((epoch.to_owned(), seq));
            }
        }
        match frame["type"].as_str() {
            Some("moment") => self.moments.push(frame["seq"].as_u64().unwrap()),
            Some("gap") => self.gaps += 1,
            Some("bye") => self.byes.push(frame["reason"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
}

impl Watched {
    /// What was seen is each moment of the archive from the first one on, once, in order.
    pub(crate) fn assert_whole(&self, archive: &[u64]) {
        assert_eq!(self.gaps, 0, "{self:?}");
        let first = archive.iter().position(|seq| Some(seq) == self.moments.first()).unwrap();
        let expected = archive[first..].iter().take(self.moments.len()).copied().collect::<Vec<_>>();
        assert_eq!(self.moments, expected, "each moment once, in order: {:?}", self.edges);
    }
}
