//! Appends in order to the partitions of a topic: several under way at once, and after a failure everything from the first
//! failed one on again, so that the log holds all of them in order, whatever lies between them.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::Context as _;
use bytes::Bytes;
use emostream_log::{AppendFuture, Log, TopicPartition};

use super::setback::RETRY_MS;

/// Appends under way to one partition.
const UNDER_WAY_MAX: usize = 64;

/// Bytes under way to one partition, unless a single message has more.
const UNDER_WAY_BYTES_MAX: usize = 4 << 20;

/// Messages on their way to the partitions of a topic.
pub(super) struct Outbox {
    log: Arc<dyn Log>,
    lanes: Vec<Lane>,
    /// Number of the newest message.
    newest: u64,
    bytes: usize,
}

/// The way to one partition.
struct Lane {
    to: TopicPartition,
    waiting: VecDeque<Message>,
    under_way: VecDeque<UnderWay>,
    under_way_bytes: usize,
    not_before_ms: i64,
    /// Whether the failure that lasts has been reported.
    reported: bool,
}

struct Message {
    number: u64,
    /// Who is told when it is durable; `None` once nobody wants it any more.
    source: Option<u32>,
    value: Bytes,
}

struct UnderWay {
    message: Message,
    answer: Answer,
}

enum Answer {
    Awaited(AppendFuture),
    Durable,
    Failed,
}

impl Outbox {
    pub(super) fn new(log: Arc<dyn Log>, topic: &Arc<str>, partitions: u32) -> Self {
        let lane = |partition| Lane {
            to: TopicPartition::new(topic.clone(), partition),
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            not_before_ms: i64::MIN,
            reported: false,
        };
        Self { log, lanes: (0..partitions).map(lane).collect(), newest: 0, bytes: 0 }
    }

    /// Puts a message behind all others to a partition.
    pub(super) fn push(&mut self, source: u32, partition: u32, value: Bytes) {
        self.newest += 1;
        self.bytes += value.len();
        let message = Message { number: self.newest, source: Some(source), value };
        self.lanes[partition as usize].waiting.push_back(message);
    }

    /// Number of the newest message.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Bytes of all messages that are not durable yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all messages of a source up to a number are durable.
    pub(super) fn is_durable(&self, source: u32, number: u64) -> bool {
        let holds = |message: &Message| message.source == Some(source) && message.number <= number;
        !self.lanes.iter().any(|lane| {
            lane.under_way.iter().any(|sent| holds(&sent.message)) || lane.waiting.iter().any(holds)
        })
    }

    /// Gives up on a source's messages: what is not under way is never sent, what is may still take effect.
    pub(super) fn forget(&mut self, source: u32) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|message| {
                let kept = message.source != Some(source);
                if !kept {
                    self.bytes -= message.value.len();
                }
                kept
            });
            let sent = lane.under_way.iter_mut().filter(|sent| sent.message.source == Some(source));
            sent.for_each(|sent| sent.message.source = None);
        }
    }

    /// Takes the answers that have come; how many messages became durable. An error that does not heal is passed on.
    pub(super) fn settle(&mut self, context: &mut Context<'_>, now_ms: i64) -> anyhow::Result<Settled> {
        let mut settled = Settled::default();
        for lane in &mut self.lanes {
            settled.answers += lane.take_answers(context)?;
            while let Some(UnderWay { answer: Answer::Durable, .. }) = lane.under_way.front() {
                let Some(sent) = lane.under_way.pop_front() else { break };
                lane.under_way_bytes -= sent.message.value.len();
                self.bytes -= sent.message.value.len();
                lane.reported = false;
                settled.durable += 1;
            }
            self.bytes -= lane.begin_again_after_failure(now_ms);
        }
        Ok(settled)
    }

    /// Sends what waits and has room.
    pub(super) fn send(&mut self, now_ms: i64) {
        for lane in &mut self.lanes {
            lane.send(&*self.log, now_ms);
        }
    }

    /// When something that waits for the end of a pause may be sent.
    pub(super) fn due_ms(&self) -> Option<i64> {
        let is_paused = |lane: &&Lane| lane.under_way.is_empty() && !lane.waiting.is_empty();
        self.lanes.iter().filter(is_paused).map(|lane| lane.not_before_ms).min()
    }
}

/// What came of the appends under way.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Settled {
    /// Answers that came.
    pub(super) answers: usize,
    /// Messages that are durable now, in order.
    pub(super) durable: u64,
}

impl Lane {
    fn take_answers(&mut self, context: &mut Context<'_>) -> anyhow::Result<usize> {
        let mut answers = 0;
        for sent in &mut self.under_way {
            let Answer::Awaited(append) = &mut sent.answer else { continue };
            let Poll::Ready(answer) = append.as_mut().poll(context) else { continue };
            answers += 1;
            sent.answer = match answer {
                Ok(_) => Answer::Durable,
                Err(error) if error.is_transient() => {
                    if !std::mem::replace(&mut self.reported, true) {
                        tracing::warn!(to = %self.to, %error, "append failed; trying again");
                    }
                    Answer::Failed
                }
                Err(error) => return Err(error).with_context(|| format!("append to {}", self.to)),
            };
        }
        Ok(answers)
    }

    /// Once every answer is there, everything from the first failed append on waits to be sent again: also what claims to
    /// be durable, since it may have overtaken what failed. Returns the bytes that nobody wants any more.
    fn begin_again_after_failure(&mut self, now_ms: i64) -> usize {
        let is_awaited = |sent: &UnderWay| matches!(sent.answer, Answer::Awaited(_));
        if self.under_way.is_empty() || self.under_way.iter().any(is_awaited) {
            return 0;
        }
        let mut forgotten = 0;
        while let Some(UnderWay { message, .. }) = self.under_way.pop_back() {
            if message.source.is_some() {
                self.waiting.push_front(message);
            } else {
                forgotten += message.value.len();
            }
        }
        self.under_way_bytes = 0;
        self.not_before_ms = now_ms.saturating_add(RETRY_MS);
        forgotten
    }

    fn send(&mut self, log: &dyn Log, now_ms: i64) {
        let has_failed = self.under_way.iter().any(|sent| matches!(sent.answer, Answer::Failed));
        if has_failed || now_ms < self.not_before_ms {
            return;
        }
        while let Some(message) = self.waiting.front() {
            let bytes = self.under_way_bytes + message.value.len();
            let has_room = self.under_way.len() < UNDER_WAY_MAX && bytes <= UNDER_WAY_BYTES_MAX;
            if !has_room && !self.under_way.is_empty() {
                return;
            }
            let Some(message) = self.waiting.pop_front() else { return };
            let append = log.append(&self.to, vec![message.value.clone()]);
            self.under_way.push_back(UnderWay { message, answer: Answer::Awaited(append) });
            self.under_way_bytes = bytes;
        }
    }
}
