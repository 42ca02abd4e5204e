//! A viewer's session as a state machine: messages in, frames out. No socket, no clock, no task, so that any engine can
//! drive it and tests can look at every step.

use std::sync::Arc;

use emostream_protocol::{
    Emotes, Epoch, Position,
    close::CloseCode,
    frame::{self, Hello, ViewerMessage},
    input::RejectionKind,
    limits::VIEWER_MESSAGE_BYTES_MAX,
    record::NewReaction,
};

use super::view::{Frame, Sequenced, View};
use crate::{channels::Channel, intake::Refusal};

/// What every session of a node says in `hello`.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Epoch of the output.
    pub epoch: Epoch,
    /// Length of a pulse, ms.
    pub pulse_ms: u32,
    /// Length of a window, ms.
    pub window_ms: u32,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
}

/// Messages that are no valid frames are answered with an error this often; the next one closes the connection.
const BAD_MESSAGES_MAX: u32 = 20;

/// How a viewer joins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Join {
    /// Where the viewer was.
    pub resume: Option<Position>,
    /// How many of the newest windows to send first.
    pub replay_windows: usize,
}

/// One viewer's place in a channel's output.
#[derive(Debug)]
pub struct Session {
    facts: Facts,
    channel: Arc<Channel>,
    user: String,
    pulse: u64,
    window: u64,
    moment: u64,
    /// Number of the settings seen last.
    settings: u64,
    bad_messages: u32,
}

/// What to do about a viewer's message.
#[derive(Debug)]
pub enum Reply<'a> {
    /// Submit this reaction, then answer with [`ack`] or [`refused`], naming it as the client did.
    Submit(NewReaction<'a>, String),
    /// Send this frame.
    Send(Frame),
    /// Close the connection.
    Close(CloseCode),
}

impl Session {
    /// Opens a session; the frames to send first are appended to `out`.
    pub fn open(
        facts: &Facts,
        channel: Arc<Channel>,
        user: String,
        join: Join,
        view: &View,
        now_ms: i64,
        out: &mut Vec<Frame>,
    ) -> Self {
        // Whoever is new has missed nothing of what was not read before there was any row.
        let newest = view.seq.max(view.floor);
        let hello = Hello {
            channel: &channel.name,
            epoch: facts.epoch,
            seq: newest,
            server_time_ms: now_ms,
            pulse_ms: facts.pulse_ms,
            window_ms: facts.window_ms,
            palette: &channel.published().palette,
        };
        let since = join.resume.map(|resume| if resume.epoch == facts.epoch { resume.seq } else { 0 });
        // Without a gap to speak of, the first frame's position is where the viewer was: a connection that breaks off
        // before the missed moments are out resumes from there.
        let position = Position { epoch: facts.epoch, seq: since.unwrap_or(newest) };
        out.push(Frame::new("hello", position, &hello.encode(&facts.emotes)));
        let moment = match (since, join.resume) {
            (Some(since), Some(resume)) => {
                let other_epoch = resume.epoch != facts.epoch;
                if other_epoch || since < view.floor {
                    let to = if other_epoch { view.seq } else { view.floor };
                    out.push(Frame::new("gap", position, &frame::encode_gap(resume.seq, to)));
                }
                since
            }
            _ => newest,
        };
        let first = view.windows.len().saturating_sub(join.replay_windows.max(1));
        let window = first.checked_sub(1).map_or(0, |before| view.windows[before].seq);
        let pulse = view.pulse.as_ref().map_or(0, |(number, _)| *number);
        let mut session =
            Self { facts: facts.clone(), channel, user, pulse, window, moment, settings: 0, bad_messages: 0 };
        session.catch_up(view, out);
        session
    }

    /// First frames after `hello`: settings, windows and missed moments in sequence, so that a connection that breaks off
    /// in between can be resumed from the newest one received.
    fn catch_up(&mut self, view: &View, out: &mut Vec<Frame>) {
        let settings = view.settings.iter().map(|(_, settings)| settings);
        let windows = view.windows.iter().filter(|window| window.seq > self.window);
        let moments = view.moments.iter().filter(|moment| moment.seq > self.moment);
        let mut rows: Vec<_> = windows.chain(moments).chain(settings).collect();
        rows.sort_by_key(|row| row.seq);
        out.extend(rows.into_iter().map(|row| row.frame.clone()));
        self.window = view.windows.back().map_or(self.window, |window| window.seq);
        self.settings = view.settings.as_ref().map_or(0, |(number, _)| *number);
        self.moment = self.moment.max(view.seq);
    }

    /// Appends what is new since the last call: every moment, and of pulses, windows and settings the newest. The frames
    /// ascend by sequence, so that the newest one received is where to resume.
    pub fn advance(&mut self, view: &View, out: &mut Vec<Frame>) {
        if self.moment < view.floor && view.seq > self.moment {
            // So slow that moments fell out of the history.
            let gap = frame::encode_gap(self.moment, view.floor);
            let position = Position { epoch: self.facts.epoch, seq: self.moment };
            out.push(Frame::new("gap", position, &gap));
        }
        let first = view.moments.partition_point(|moment| moment.seq <= self.moment);
        let moments = view.moments.iter().skip(first);
        // After the moments of the same sequence, which they repeat.
        let settings =
            view.settings.iter().filter(|(number, _)| *number > self.settings).map(|(_, frame)| frame);
        let windows = view.windows.back().into_iter().filter(|window| window.seq > self.window);
        let mut rows: Vec<&Sequenced> = moments.chain(settings).chain(windows).collect();
        rows.sort_by_key(|row| row.seq);
        let mut rows = rows.into_iter().map(|row| (row.seq, &row.frame)).peekable();
        if let Some((number, pulse)) = view.pulse.as_ref().filter(|(number, _)| *number > self.pulse) {
            // A pulse repeats the sequence that was the newest when it began.
            while let Some((_, frame)) = rows.next_if(|(seq, _)| *seq <= pulse.seq) {
                out.push(frame.clone());
            }
            self.pulse = *number;
            out.push(pulse.frame.clone());
        }
        out.extend(rows.map(|(_, frame)| frame.clone()));
        self.moment = self.moment.max(view.seq);
        self.settings = view.settings.as_ref().map_or(self.settings, |(number, _)| *number);
        self.window = view.windows.back().map_or(self.window, |window| window.seq);
    }

    /// Judges a text message.
    pub fn message<'a>(&'a mut self, text: &'a str, now_ms: i64) -> Reply<'a> {
        if text.len() > VIEWER_MESSAGE_BYTES_MAX {
            return Reply::Close(CloseCode::FrameTooLarge);
        }
        let (id, rejection) = match ViewerMessage::parse(text) {
            Ok(ViewerMessage::React(input)) => {
                let checked = self.channel.accepting().and_then(|published| {
                    input.validate(&published.palette, &self.facts.emotes, now_ms, rand::random)
                });
                match checked {
                    Ok(reaction) => {
                        // A connection is one person: whoever the message names, the session's user reacts.
                        let reaction = NewReaction { user: &self.user, ..own(reaction) };
                        let id = input.id.map_or_else(|| reaction.id.to_string(), |id| id.0.into_owned());
                        return Reply::Submit(reaction, id);
                    }
                    Err(rejection) => (input.id.map(|id| id.0.into_owned()), rejection),
                }
            }
            Err(error) => error,
        };
        self.bad_messages += 1;
        if self.bad_messages > BAD_MESSAGES_MAX {
            return Reply::Close(CloseCode::BadFrame);
        }
        let server_time = (rejection.kind == RejectionKind::IdOutOfRange).then_some(now_ms);
        let json =
            frame::encode_error(id.as_deref(), rejection.kind.name(), &rejection.detail, server_time, None);
        Reply::Send(Frame::new("error", self.position(), &json))
    }

    /// Where the viewer is.
    pub fn position(&self) -> Position {
        Position { epoch: self.facts.epoch, seq: self.moment }
    }

    /// The channel.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }
}

/// A reaction without what it borrowed from its message.
fn own(reaction: NewReaction<'_>) -> NewReaction<'static> {
    NewReaction {
        emote: reaction.emote,
        id: reaction.id,
        id_from_client: reaction.id_from_client,
        user: "",
        received_ms: reaction.received_ms,
        tapped_ms: reaction.tapped_ms,
        media_time_ms: reaction.media_time_ms,
    }
}

/// The frame that confirms a reaction.
pub fn ack(id: &str) -> bytes::Bytes {
    frame::encode_ack(id)
}

/// The frame that refuses a reaction for now.
pub fn refused(id: &str, refusal: &Refusal) -> bytes::Bytes {
    let wait_ms = u64::try_from(refusal.retry_after().as_millis()).unwrap_or(u64::MAX);
    frame::encode_error(Some(id), refusal.name(), &refusal.to_string(), None, Some(wait_ms))
}

#[cfg(test)]
mod tests;
