//! What viewers of a channel can be sent now: immutable, shared by all of them, replaced as a whole.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use emostream_protocol::{Epoch, Position};

/// Windows kept for `replay_window`.
pub const WINDOWS_KEPT: usize = 64;

/// A frame in both of its encodings, each made once.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The JSON text, a WebSocket message.
    pub text: Utf8Bytes,
    /// The same as a server-sent event.
    pub event: Bytes,
}

/// A frame with the sequence of its row.
#[derive(Debug, Clone)]
pub struct Sequenced {
    /// Sequence.
    pub seq: u64,
    /// Frame.
    pub frame: Frame,
}

/// The newest state of a channel.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Newest sequence.
    pub seq: u64,
    /// Moments with a sequence up to this one may be missing from the history.
    pub floor: u64,
    /// Newest pulse, with the sequence it repeats, and its number, which ascends.
    pub pulse: Option<(u64, Sequenced)>,
    /// Newest settings, with the sequence they repeat, and their number, which ascends.
    pub settings: Option<(u64, Sequenced)>,
    /// Recent windows, oldest first.
    pub windows: Arc<VecDeque<Sequenced>>,
    /// Recent moments, oldest first.
    pub moments: Arc<VecDeque<Sequenced>>,
}

impl Frame {
    /// Makes both encodings of a frame. `kind` is the event's name.
    pub fn new(kind: &str, position: Position, json: &Bytes) -> Self {
        let text = Utf8Bytes::try_from(json.clone()).unwrap_or_default();
        let mut event = Vec::with_capacity(json.len() + 96);
        event.extend_from_slice(format!("event: {kind}\nid: {position}\ndata: ").as_bytes());
        event.extend_from_slice(json);
        event.extend_from_slice(b"\n\n");
        Self { text, event: event.into() }
    }
}

impl View {
    /// A view after a row's frame.
    pub fn with_window(&self, seq: u64, frame: Frame) -> Self {
        let windows = Arc::new(pushed(&self.windows, Sequenced { seq, frame }, WINDOWS_KEPT).0);
        Self { seq: self.seq.max(seq), windows, ..self.clone() }
    }

    /// A view after a moment; `kept` is the length of the history.
    pub fn with_moment(&self, seq: u64, frame: Frame, kept: usize) -> Self {
        let (moments, evicted) = pushed(&self.moments, Sequenced { seq, frame }, kept);
        let floor = evicted.map_or(self.floor, |evicted| self.floor.max(evicted));
        Self { seq: self.seq.max(seq), floor, moments: Arc::new(moments), ..self.clone() }
    }

    /// A view with settings that were just published. They come before their row, which says from which window on moments
    /// are judged by them, and repeat the newest sequence.
    pub fn with_settings(&self, frame: Frame) -> Self {
        let number = self.settings.as_ref().map_or(0, |(number, _)| *number) + 1;
        Self { settings: Some((number, Sequenced { seq: self.seq, frame })), ..self.clone() }
    }

    /// A view after a row that viewers are not shown.
    pub fn with_row(&self, seq: u64) -> Self {
        Self { seq: self.seq.max(seq), ..self.clone() }
    }

    /// A view with the next pulse.
    pub fn with_pulse(&self, frame: Frame) -> Self {
        let number = self.pulse.as_ref().map_or(0, |(number, _)| *number) + 1;
        Self { pulse: Some((number, Sequenced { seq: self.seq, frame })), ..self.clone() }
    }

    /// The position that a frame of no row of its own carries.
    pub fn position(&self, epoch: Epoch) -> Position {
        Position { epoch, seq: self.seq }
    }
}

fn pushed(old: &VecDeque<Sequenced>, new: Sequenced, kept: usize) -> (VecDeque<Sequenced>, Option<u64>) {
    let mut all = old.clone();
    all.push_back(new);
    let mut evicted = None;
    while all.len() > kept {
        evicted = all.pop_front().map(|old| old.seq);
    }
    (all, evicted)
}
