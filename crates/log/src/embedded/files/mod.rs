//! The bytes on disk: frames, the segments that hold them, their indexes, and the small files beside them.

pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod stored;
