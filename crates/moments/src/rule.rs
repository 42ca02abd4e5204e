//! Moment rules and their state per channel: system A's plain rule in its two forms, and the full rule.

use emostream_protocol::{
    ChannelSettings, DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    limits::MOMENTS_PER_INSTANT_MAX,
    row::RuleName,
    settings::MomentRule,
};

use crate::tally::{Tally, sorted_by_text};

pub mod full;
pub mod plain;
pub mod preview;

pub use full::{FullState, Judged};
pub use plain::Interval;

/// What a rule remembers of a channel from window to window. Its form follows the rule in force: a change between
/// forms begins anew, a change of values within a form carries on.
#[derive(Debug, Clone, Default)]
pub enum RuleState {
    /// Nothing to remember: the plain rule on counts.
    #[default]
    Stateless,
    /// The plain rule on shares.
    Interval(Interval),
    /// The full rule.
    Full(Box<FullState>),
}

/// A moment before it has a place in a channel's output.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Event time at which it is final.
    pub at_ms: i64,
    /// Which emote.
    pub emote: EmoteId,
    /// Begin of what was judged.
    pub start_ms: i64,
    /// Reactions, without late ones.
    pub count: u64,
    /// Plain rule: value ÷ threshold; full rule: z.
    pub strength: f64,
    /// Estimated users.
    pub reactors: u64,
    /// Which form of the rule.
    pub rule: RuleName,
    /// Mean media position in ms.
    pub media_time_ms: Option<u64>,
}

/// Version byte of rule states in snapshots, for the plain rule.
const STATE_VERSION: u8 = 1;
/// The same, for the full rule, which came later: a release that does not know it says so.
const STATE_VERSION_FULL: u8 = 2;
const STATELESS: u8 = 0;
const INTERVAL: u8 = 1;

impl RuleState {
    /// The state with which a rule goes on where `self` was another one's or its own.
    pub fn carried_to(self, rule: &MomentRule) -> Self {
        match (self, rule) {
            (Self::Full(state), MomentRule::Full(_)) => Self::Full(state),
            (_, MomentRule::Full(_)) => Self::Full(Box::default()),
            (Self::Interval(interval), MomentRule::Plain(rule)) if plain::is_share(rule) => {
                Self::Interval(interval)
            }
            (_, MomentRule::Plain(rule)) if plain::is_share(rule) => Self::Interval(Interval::default()),
            (_, MomentRule::Plain(_)) => Self::Stateless,
        }
    }

    /// Judges a closed window: the moments found, in order of time, strongest first at each instant, at most
    /// [`MOMENTS_PER_INSTANT_MAX`] per instant.
    pub fn judge(
        &mut self,
        settings: &ChannelSettings,
        allowed: &Allowed,
        window: (i64, i64),
        tally: &mut Tally,
        emotes: &Emotes,
    ) -> Vec<Found> {
        match (self, &settings.rule) {
            (Self::Full(state), MomentRule::Full(rule)) => {
                let mut found = state.judge(rule, allowed, window, &judged(tally), emotes);
                add_media(&mut found, tally);
                found
            }
            (Self::Interval(interval), MomentRule::Plain(rule)) => {
                interval.judge(rule, allowed, window.0, tally, emotes)
            }
            (_, MomentRule::Plain(rule)) => {
                let mut found = plain::judge_counts(rule, allowed, window, &judged(tally), emotes);
                add_media(&mut found, tally);
                found
            }
            (_, MomentRule::Full(_)) => Vec::new(),
        }
    }

    /// Writes the state.
    pub fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
        match self {
            Self::Stateless => {
                writer.u8(STATE_VERSION);
                writer.u8(STATELESS);
            }
            Self::Interval(interval) => {
                writer.u8(STATE_VERSION);
                writer.u8(INTERVAL);
                interval.encode(writer, emotes);
            }
            Self::Full(state) => {
                writer.u8(STATE_VERSION_FULL);
                state.encode(writer, emotes);
            }
        }
    }

    /// Reads a state.
    pub fn decode(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<Self, DecodeError> {
        match reader.u8()? {
            STATE_VERSION => {}
            STATE_VERSION_FULL => {
                return FullState::decode(reader, emotes).map(|state| Self::Full(Box::new(state)));
            }
            version => return Err(DecodeError::Version(version)),
        }
        match reader.u8()? {
            STATELESS => Ok(Self::Stateless),
            INTERVAL => Interval::decode(reader, emotes).map(Self::Interval),
            _ => Err(DecodeError::Field("rule state")),
        }
    }
}

/// What is judged of a window.
fn judged(tally: &mut Tally) -> Vec<Judged> {
    let judged = tally.emotes_mut().iter_mut().map(|emote| Judged {
        emote: emote.emote,
        count: emote.count() - emote.late(),
        reactors: Some(emote.sketch.estimate()),
    });
    judged.collect()
}

fn add_media(found: &mut [Found], tally: &Tally) {
    for found in found {
        let emote = tally.emotes().iter().find(|emote| emote.emote == found.emote);
        found.media_time_ms = emote.and_then(|emote| emote.media_sum_ms.checked_div(emote.media_count));
    }
}

/// Emotes that can make a moment; sorted ids, `None` for all.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Option<Vec<EmoteId>>);

impl Allowed {
    /// The allowed list of settings. Custom emotes are registered; texts that are no emote allow nothing.
    pub fn of(settings: &ChannelSettings, emotes: &Emotes) -> Self {
        Self(settings.allowed_emotes.as_ref().map(|allowed| {
            let resolve = |text: &String| emotes.register_custom(text).or_else(|_| emotes.resolve(text)).ok();
            let mut ids: Vec<EmoteId> = allowed.iter().filter_map(resolve).collect();
            ids.sort_unstable();
            ids
        }))
    }

    fn has(&self, emote: EmoteId) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.binary_search(&emote).is_ok())
    }
}

/// Strongest first, equals by canonical text, the weakest beyond the limit left out.
fn strongest(found: &[Found], emotes: &Emotes) -> Vec<Found> {
    let mut sorted: Vec<Found> =
        sorted_by_text(found, emotes, |found| found.emote).into_iter().map(|index| found[index]).collect();
    sorted.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    sorted.truncate(MOMENTS_PER_INSTANT_MAX);
    sorted
}
