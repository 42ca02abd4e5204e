//! Handlers of the control plane: channels and their settings. Logic is in [`crate::control`]; here is its form on the wire.

pub mod accounts;
pub mod channels;
pub mod emotes;
pub mod forward;
pub mod internal;
pub mod paging;
pub mod settings;
