//! The addresses of `listen`: free, ours, or taken by somebody else.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use serde_json::Value;

use super::report::Report;
use crate::{config::Config, node::listen_addresses};

/// An answer from this machine must be there after so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Looks at every address that the node would bind.
pub(super) fn listen(config: &Config, report: &mut Report) {
    for (address, is_required) in listen_addresses(config) {
        one(&format!("address {address}"), address, is_required, report);
    }
    if let Some(address) = config.internal.listen {
        one(&format!("internal address {address}"), address, true, report);
    }
}

fn one(check: &str, address: SocketAddr, is_required: bool, report: &mut Report) {
    let error = match TcpListener::bind(address) {
        Ok(_) => return report.fine(check, "free"),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::AddrInUse
        && let Some(health) = health(address)
    {
        let status = health["status"].as_str().unwrap_or("?");
        let viewers = &health["viewers"];
        return match status {
            "ok" => report.fine(check, &format!("served by a node of Emostream, {viewers} viewers")),
            status => report.doubt(
                check,
                &format!("served by a node of Emostream that is {status}"),
                &format!("curl http://{address}/readyz says what it waits for"),
            ),
        };
    }
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there: stop it, or give another address with --listen"
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address: give another with --listen",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: give another with --listen"
        }
        _ => "give another address with --listen",
    };
    if is_required {
        report.wrong(check, &error.to_string(), advice);
    } else {
        report.doubt(check, &error.to_string(), "the node goes on without this second port");
    }
}

/// What a node says of itself at an address, if it is one.
fn health(address: SocketAddr) -> Option<Value> {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let mut stream = TcpStream::connect_timeout(&reachable, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let request = format!("GET /health HTTP/1.1\r\nhost: {reachable}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let health: Value = serde_json::from_str(body.trim()).ok()?;
    // Fields that no other program's health has together.
    (health.get("buffer_size").is_some() && health.get("viewers").is_some()).then_some(health)
}
