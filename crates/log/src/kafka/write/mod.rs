//! Writing: appends that must not be lost, values that are worth something only now, and writers that can be fenced.

mod fenced;
mod lane;
mod publish;
mod writer;

pub(super) use fenced::Transactions;
pub(super) use publish::Publisher;
pub(super) use writer::{Value, Writer};
