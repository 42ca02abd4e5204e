//! Calls with JSON bodies and answers, some at once, each connection from an address of its own: limits by address are those of
//! a crowd then, and not of this program.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpSocket, task::JoinSet};

/// Calls of one connection, within what one address may do at once.
const CALLS_PER_CONNECTION: usize = 40;

/// Connections come from the addresses behind this one, which Linux takes for its own.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// One POST.
pub(crate) struct Call {
    pub(crate) path: &'static str,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
    /// The status that is expected; another one is an error.
    pub(crate) status: u16,
}

/// Callers from many addresses of this machine.
pub(crate) struct Callers {
    server: SocketAddr,
    at_once: usize,
    /// Addresses that were used.
    used: AtomicU32,
}

/// Calls that nobody has made yet, with their numbers, and answers by number.
struct Work {
    calls: std::iter::Enumerate<std::vec::IntoIter<Call>>,
    answers: Vec<Value>,
}

impl Callers {
    pub(crate) fn new(server: SocketAddr, at_once: usize) -> Self {
        Self { server, at_once, used: AtomicU32::new(1) }
    }

    /// Makes all calls; the answers in their order.
    pub(crate) fn make(&self, calls: Vec<Call>) -> Result<Vec<Value>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answers = vec![Value::Null; calls.len()];
        let work = Mutex::new(Work { calls: calls.into_iter().enumerate(), answers });
        runtime.block_on(try_join_all((0..self.at_once).map(|_| self.call(&work))))?;
        Ok(work.into_inner().unwrap_or_else(|e| e.into_inner()).answers)
    }

    /// Makes calls as long as there are any, on one connection after the other.
    async fn call(&self, work: &Mutex<Work>) -> Result<()> {
        loop {
            // Taken before it connects, so that nobody connects for nothing.
            let Some(mut next) = locked(work).calls.next() else { return Ok(()) };
            let (mut sender, _connection) = self.connect().await?;
            for made in 1.. {
                let (number, call) = next;
                let answer = self.send(&mut sender, &call).await.with_context(|| call.path)?;
                if let Some(place) = locked(work).answers.get_mut(number) {
                    *place = answer;
                }
                if made == CALLS_PER_CONNECTION {
                    break;
                }
                match locked(work).calls.next() {
                    Some(another) => next = another,
                    None => return Ok(()),
                }
            }
        }
    }

    /// A connection, and what moves its bytes until it is dropped.
    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, JoinSet<()>)> {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        let from = Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + number);
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0))).with_context(|| format!("call from {from}"))?;
        let stream = socket.connect(self.server).await.context("connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut moving = JoinSet::new();
        // Whoever waits for an answer sees how it ended.
        moving.spawn(async move { drop(connection.await) });
        Ok((sender, moving))
    }

    async fn send(&self, sender: &mut SendRequest<Full<Bytes>>, call: &Call) -> Result<Value> {
        let mut request = Request::post(call.path)
            .header(header::HOST, self.server.to_string())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &call.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::from(call.body.to_string()))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status == call.status, "answered {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

fn locked(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(|e| e.into_inner())
}
