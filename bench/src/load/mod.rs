//! Load: on one thread with `epoll`, as cheap as it can be, so that the servers are what is busy; and batches, on a few threads.

pub(crate) mod batches;
pub(crate) mod callers;
pub(crate) mod crowd;
pub(crate) mod http;
pub(crate) mod viewers;
