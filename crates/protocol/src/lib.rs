//! What crosses a wire: reactions, windows, moments and viewer frames, with their codecs and limits.
//!
//! In the order of a reaction's path: [`input`] reads a request body, [`emote`], [`palette`] and [`id`] validate it,
//! [`record`] is its form in the log, [`row`] the form of what is computed from it, [`frame`] what a viewer sees.

pub mod channel;
pub mod codec;
pub mod emote;
pub mod frame;
pub mod id;
pub mod input;
pub mod limits;
pub mod placement;
pub mod position;
pub mod record;
pub mod row;
pub mod settings;
pub mod time;

pub use channel::{ChannelError, ChannelName};
pub use codec::DecodeError;
pub use emote::{EmoteError, EmoteId, Emotes, palette};
pub use frame::close;
pub use id::{IdError, ReactionId};
pub use palette::Palette;
pub use position::{Epoch, Position};
pub use settings::ChannelSettings;
