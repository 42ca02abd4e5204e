//! Sends reactions as viewer frames over one WebSocket: many in flight, each answered by its id.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use emostream_protocol::{ReactionId, close::CloseCode, time as wire_time};
use futures_util::{SinkExt as _, StreamExt as _};
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    Shared,
    answer::is_wrong_time,
    connection::{ANSWER_TIMEOUT, Stream, open_stream},
    reaction::{IdMaker, Reaction},
    record,
    retry::{Backoff, may_retry},
};

/// Reactions without an answer on one connection, where the server does not set the pace: fits socket buffers, so that
/// writing never waits for reading.
const IN_FLIGHT_MAX: usize = 256;

/// Time between two looks for answers that never came.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One connection's worth of sending.
pub(super) struct WebSocketLane {
    shared: Arc<Shared>,
    ids: IdMaker,
    backoff: Backoff,
    in_flight_max: usize,
    /// In flight or to be sent again, in the order of their ids, which is that of their making.
    pending: BTreeMap<ReactionId, Pending>,
    /// No more taps come.
    drained: bool,
    latency: Histogram<u64>,
}

struct Pending {
    reaction: Reaction,
    /// When it was sent, or will be sent again if that is ahead.
    sent: Instant,
    /// The server said: later.
    postponed: bool,
}

/// Why a connection is over.
enum End {
    /// Everything is answered.
    Done,
    /// Connect again after the time that the server asked for.
    Again(Option<Duration>),
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    server_time: Option<Cow<'a, str>>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
    #[serde(default)]
    reconnect_in_ms: Option<u64>,
}

impl WebSocketLane {
    pub(super) fn new(shared: Arc<Shared>, number: u64, latency: Histogram<u64>) -> Self {
        let ids = IdMaker::new(shared.clock.clone());
        let in_flight_max = if shared.source.is_closed_loop() { shared.batch } else { IN_FLIGHT_MAX };
        let (pending, backoff) = (BTreeMap::new(), Backoff::new(number));
        Self { shared, ids, backoff, in_flight_max, pending, drained: false, latency }
    }

    /// Sends until there is nothing more to send, or until told to stop at once.
    pub(super) async fn run(mut self) -> Histogram<u64> {
        let shared = self.shared.clone();
        tokio::select! {
            () = self.send_all() => {}
            () = shared.stop_now.cancelled() => {}
        }
        shared.counters.unanswered.add(self.pending.len() as u64);
        self.latency
    }

    async fn send_all(&mut self) {
        loop {
            let pause = match self.converse().await {
                Ok(End::Done) => return,
                Ok(End::Again(asked)) => self.backoff.asked_for(asked),
                Err(error) if refused_for_good(&error) => return self.refuse_all(&error),
                Err(_) => {
                    self.shared.counters.connections_lost.add(1);
                    self.backoff.pause()
                }
            };
            self.give_up_before(Instant::now() + pause);
            sleep(pause).await;
        }
    }

    /// One connection, from its hello to its end.
    async fn converse(&mut self) -> Result<End> {
        let mut stream = open_stream(&self.shared.target, "").await?;
        self.await_hello(&mut stream).await?;
        self.send_pending(&mut stream).await?;
        let shared = self.shared.clone();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.drained && self.pending.is_empty() {
                // The server has answered everything: how the close goes does not matter.
                stream.close(None).await.ok();
                return Ok(End::Done);
            }
            let room = self.in_flight_max.saturating_sub(self.pending.len()).min(shared.batch);
            let postponed = self.next_postponed();
            tokio::select! {
                message = stream.next() => {
                    let message = message.context("the server ended the connection")??;
                    if let Some(end) = self.receive(message)? {
                        return Ok(end);
                    }
                }
                taps = shared.source.take(room), if room > 0 && !self.drained => match taps {
                    Some(taps) => self.send_new(&mut stream, taps).await?,
                    None => self.drained = true,
                },
                () = sleep_until(postponed.unwrap_or_else(Instant::now)), if postponed.is_some() => {
                    self.send_postponed(&mut stream).await?;
                }
                _ = look.tick() => self.check_answers()?,
            }
        }
    }

    async fn await_hello(&mut self, stream: &mut Stream) -> Result<()> {
        let first = timeout(ANSWER_TIMEOUT, stream.next()).await.context("waiting for hello")?;
        let message = first.context("the server ended the connection before hello")??;
        let Message::Text(text) = &message else {
            self.receive(message)?;
            bail!("expected hello as the first frame");
        };
        let frame: Frame<'_> = serde_json::from_str(text).context("reading the first frame")?;
        if frame.r#type != "hello" {
            bail!("expected hello as the first frame");
        }
        self.learn(frame.server_time.as_deref());
        Ok(())
    }

    async fn send_new(&mut self, stream: &mut Stream, taps: Vec<super::DueTap>) -> Result<()> {
        self.shared.counters.sent.add(taps.len() as u64);
        let reactions: Vec<Reaction> = taps.into_iter().map(|tap| self.ids.reaction(tap)).collect();
        let now = Instant::now();
        for reaction in &reactions {
            let pending = Pending { reaction: reaction.clone(), sent: now, postponed: false };
            self.pending.insert(reaction.id, pending);
        }
        for reaction in &reactions {
            stream.feed(frame_of(reaction)).await?;
        }
        stream.flush().await?;
        Ok(())
    }

    /// Sends once more what the last connection left without an answer.
    async fn send_pending(&mut self, stream: &mut Stream) -> Result<()> {
        self.shared.counters.retried.add(self.pending.len() as u64);
        for pending in self.pending.values_mut() {
            (pending.sent, pending.postponed) = (Instant::now(), false);
            stream.feed(frame_of(&pending.reaction)).await?;
        }
        stream.flush().await?;
        Ok(())
    }

    async fn send_postponed(&mut self, stream: &mut Stream) -> Result<()> {
        let now = Instant::now();
        let ready = self.pending.values_mut().filter(|pending| pending.postponed && pending.sent <= now);
        for pending in ready {
            pending.postponed = false;
            self.shared.counters.retried.add(1);
            stream.feed(frame_of(&pending.reaction)).await?;
        }
        stream.flush().await?;
        Ok(())
    }

    fn next_postponed(&self) -> Option<Instant> {
        self.pending.values().filter(|pending| pending.postponed).map(|pending| pending.sent).min()
    }

    /// An answer that does not come is a connection that is lost.
    fn check_answers(&mut self) -> Result<()> {
        self.give_up_before(Instant::now());
        let late = self.pending.values().any(|p| !p.postponed && p.sent.elapsed() > ANSWER_TIMEOUT);
        if late {
            bail!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
        }
        Ok(())
    }

    fn receive(&mut self, message: Message) -> Result<Option<End>> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(Some(close)) if u16::from(close.code) >= CloseCode::BadFrame.code() => {
                return Err(RefusedForGood(format!("closed with {}: {}", close.code, close.reason)).into());
            }
            Message::Close(_) => bail!("the server closed the connection"),
            _ => return Ok(None),
        };
        let frame: Frame<'_> = serde_json::from_str(&text).context("reading a frame")?;
        match &*frame.r#type {
            "ack" => self.acknowledge(frame.id.as_deref()),
            "error" => self.refuse(&frame),
            "bye" => return Ok(Some(End::Again(frame.reconnect_in_ms.map(Duration::from_millis)))),
            // Pulses, windows and moments are for viewers.
            _ => {}
        }
        Ok(None)
    }

    fn acknowledge(&mut self, id: Option<&str>) {
        let Some(pending) = self.take(id) else { return };
        self.backoff.reset();
        self.shared.counters.accepted.add(1);
        record(&mut self.latency, pending.reaction.due.elapsed());
    }

    fn refuse(&mut self, frame: &Frame<'_>) {
        let Some(mut pending) = self.take(frame.id.as_deref()) else { return };
        let code = frame.code.as_deref().unwrap_or("error");
        if let Some(after_ms) = frame.retry_after_ms {
            self.shared.counters.refusals.add(1);
            let asked = Duration::from_millis(after_ms);
            pending.sent = Instant::now() + self.backoff.asked_for(Some(asked));
            pending.postponed = true;
            self.pending.insert(pending.reaction.id, pending);
        } else if is_wrong_time(code) && !pending.reaction.renewed && self.learn(frame.server_time.as_deref())
        {
            self.ids.renew(&mut pending.reaction);
            (pending.sent, pending.postponed) = (Instant::now(), true);
            self.pending.insert(pending.reaction.id, pending);
        } else {
            self.shared.counters.reject(code, frame.detail.as_deref().unwrap_or_default(), 1);
        }
    }

    fn take(&mut self, id: Option<&str>) -> Option<Pending> {
        self.pending.remove(&ReactionId::parse(id?).ok()?)
    }

    /// Whether the text was a time.
    fn learn(&self, server_time: Option<&str>) -> bool {
        let server_ms = server_time.and_then(|text| wire_time::parse_ms(text).ok());
        if let Some(server_ms) = server_ms {
            self.shared.clock.learn(server_ms);
        }
        server_ms.is_some()
    }

    fn give_up_before(&mut self, next_attempt: Instant) {
        let before = self.pending.len();
        self.pending.retain(|_, pending| may_retry(&pending.reaction, next_attempt));
        self.shared.counters.unanswered.add((before - self.pending.len()) as u64);
    }

    fn refuse_all(&mut self, error: &anyhow::Error) {
        let number = self.pending.len() as u64;
        self.pending.clear();
        self.shared.counters.reject("stream-refused", &format!("{error:#}"), number);
    }
}

/// The server will not take this client, however often it comes.
#[derive(Debug)]
struct RefusedForGood(String);

impl std::fmt::Display for RefusedForGood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RefusedForGood {}

fn refused_for_good(error: &anyhow::Error) -> bool {
    let status = match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Http(answer)) => answer.status(),
        _ => return error.is::<RefusedForGood>(),
    };
    status.is_client_error() && status.as_u16() != 429 && status.as_u16() != 408
}

fn frame_of(reaction: &Reaction) -> Message {
    let mut json = Vec::with_capacity(160);
    reaction.encode(Some("react"), &mut json);
    Message::text(String::from_utf8(json).unwrap_or_default())
}
