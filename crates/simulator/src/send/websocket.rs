//! Sends reactions as viewer frames over one WebSocket: many in flight, each answered by its id.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

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
    number: u64,
    ids: IdMaker,
    backoff: Backoff,
    /// The most that may be in flight, ever.
    window_max: usize,
    /// The most that may be in flight now: a server that says "later" gets half as many at once, every ack one more.
    window: usize,
    /// Nothing is sent before: the server said "later".
    hold_until: Instant,
    /// Sent, in the order of their ids, which is that of their making.
    in_flight: BTreeMap<ReactionId, InFlight>,
    /// To be sent again before anything new.
    postponed: VecDeque<Reaction>,
    /// No more taps come.
    drained: bool,
    latency: Histogram<u64>,
}

struct InFlight {
    reaction: Reaction,
    sent: Instant,
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
        let window_max = if shared.source.is_closed_loop() { shared.batch } else { IN_FLIGHT_MAX };
        Self {
            ids: IdMaker::new(shared.clock.clone()),
            shared,
            number,
            backoff: Backoff::new(number),
            window_max,
            window: window_max,
            hold_until: Instant::now(),
            in_flight: BTreeMap::new(),
            postponed: VecDeque::new(),
            drained: false,
            latency,
        }
    }

    /// Sends until there is nothing more to send, or until told to stop at once.
    pub(super) async fn run(mut self) -> Histogram<u64> {
        let shared = self.shared.clone();
        tokio::select! {
            () = self.send_all() => {}
            () = shared.stop_now.cancelled() => {}
        }
        shared.counters.unanswered.add((self.in_flight.len() + self.postponed.len()) as u64);
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
            // What has no answer goes first on the next connection, in its order.
            for (_, unanswered) in std::mem::take(&mut self.in_flight).into_iter().rev() {
                self.postponed.push_front(unanswered.reaction);
            }
            self.give_up_before(Instant::now() + pause);
            sleep(pause).await;
        }
    }

    /// One connection, from its hello to its end.
    async fn converse(&mut self) -> Result<End> {
        let mut stream = open_stream(&self.shared.target, "").await?;
        self.await_hello(&mut stream).await?;
        let (shared, number) = (self.shared.clone(), self.number);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.drained && self.in_flight.is_empty() && self.postponed.is_empty() {
                // The server has answered everything: how the close goes does not matter.
                stream.close(None).await.ok();
                return Ok(End::Done);
            }
            let room = self.window.saturating_sub(self.in_flight.len()).min(shared.batch);
            let holding = self.hold_until > Instant::now();
            let takes_new = room > 0 && !self.drained && !holding && self.postponed.is_empty();
            tokio::select! {
                message = stream.next() => {
                    let message = message.context("the server ended the connection")??;
                    if let Some(end) = self.receive(message)? {
                        return Ok(end);
                    }
                }
                taps = shared.source.take(number, room), if takes_new => match taps {
                    Some(taps) => self.send_new(&mut stream, taps).await?,
                    None => self.drained = true,
                },
                () = sleep_until(self.hold_until), if holding || (room > 0 && !self.postponed.is_empty()) => {
                    self.send_postponed(&mut stream, room).await?;
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
        self.send(stream, reactions).await
    }

    async fn send_postponed(&mut self, stream: &mut Stream, room: usize) -> Result<()> {
        let number = room.min(self.postponed.len());
        self.shared.counters.retried.add(number as u64);
        let reactions = self.postponed.drain(..number).collect();
        self.send(stream, reactions).await
    }

    async fn send(&mut self, stream: &mut Stream, reactions: Vec<Reaction>) -> Result<()> {
        let frames: Vec<Message> = reactions.iter().map(frame_of).collect();
        // All are known as sent before the first is written: nothing is lost if writing fails or is cancelled.
        let sent = Instant::now();
        self.in_flight
            .extend(reactions.into_iter().map(|reaction| (reaction.id, InFlight { reaction, sent })));
        for frame in frames {
            stream.feed(frame).await?;
        }
        stream.flush().await?;
        Ok(())
    }

    /// An answer that does not come is a connection that is lost.
    fn check_answers(&mut self) -> Result<()> {
        self.give_up_before(Instant::now());
        if self.in_flight.values().any(|one| one.sent.elapsed() > ANSWER_TIMEOUT) {
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
        let Some(reaction) = self.take(id) else { return };
        self.backoff.reset();
        self.window = (self.window + 1).min(self.window_max);
        self.shared.counters.accepted.add(1);
        record(&mut self.latency, reaction.due.elapsed());
    }

    fn refuse(&mut self, frame: &Frame<'_>) {
        let Some(mut reaction) = self.take(frame.id.as_deref()) else { return };
        let code = frame.code.as_deref().unwrap_or("error");
        if let Some(after_ms) = frame.retry_after_ms {
            self.shared.counters.refusals.add(1);
            self.window = (self.window / 2).max(1);
            let asked = self.backoff.asked_for(Some(Duration::from_millis(after_ms)));
            self.hold_until = self.hold_until.max(Instant::now() + asked);
            self.postponed.push_back(reaction);
        } else if is_wrong_time(code) && !reaction.renewed && self.learn(frame.server_time.as_deref()) {
            self.ids.renew(&mut reaction);
            self.postponed.push_back(reaction);
        } else {
            self.shared.counters.reject(code, frame.detail.as_deref().unwrap_or_default(), 1);
        }
    }

    fn take(&mut self, id: Option<&str>) -> Option<Reaction> {
        self.in_flight.remove(&ReactionId::parse(id?).ok()?).map(|one| one.reaction)
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
        let before = self.in_flight.len() + self.postponed.len();
        self.in_flight.retain(|_, one| may_retry(&one.reaction, next_attempt));
        self.postponed.retain(|reaction| may_retry(reaction, next_attempt));
        let after = self.in_flight.len() + self.postponed.len();
        self.shared.counters.unanswered.add((before - after) as u64);
    }

    fn refuse_all(&mut self, error: &anyhow::Error) {
        let number = self.in_flight.len() + self.postponed.len();
        self.in_flight.clear();
        self.postponed.clear();
        self.shared.counters.reject("stream-refused", &format!("{error:#}"), number as u64);
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
