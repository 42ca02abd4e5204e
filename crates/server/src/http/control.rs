//! Handlers of the control plane: accounts, channels and their settings, places. Logic is in [`crate::control`]; here is its form on the wire.

pub mod accounts;
pub mod channels;
pub mod clusters;
pub mod emotes;
pub mod forward;
pub mod internal;
pub mod paging;
pub mod placements;
pub mod settings;
