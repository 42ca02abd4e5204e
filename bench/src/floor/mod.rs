//! The floors: what does the least that the task allows, on the same libraries and settings as Emostream.

pub(crate) mod door;
pub(crate) mod fanout;
pub(crate) mod hashes;
pub(crate) mod http;
pub(crate) mod leases;
pub(crate) mod rows;

use std::net::SocketAddr;

/// Tells the parent process where the server is.
#[expect(clippy::print_stdout, reason = "the ready line is how the parent learns the address")]
fn say_ready(address: SocketAddr) {
    println!("ready http://{address}");
}
