//! Opening: brokers are reached, topics made or checked, the generation found, the clock asked.

pub(super) mod generation;
pub(super) mod reach;
pub(super) mod topics;
