//! Load on one thread with `epoll`, as cheap as it can be, so that the servers are what is busy.

pub(crate) mod http;
pub(crate) mod viewers;
