//! A closed loop of single reactions over many connections: each sends its next request when the last was answered.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use emostream_log::{Clock, SystemClock};
use emostream_protocol::ReactionId;

use crate::poll::Poll;

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 2_048;

/// Emotes that people send, in turn.
const EMOTES: [&str; 8] = ["🔥", "👏", "😂", "😮", "🎉", "👍", "😍", "😢"];

/// What a request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A reaction with an id of the client.
    WithId,
    /// A reaction without.
    WithoutId,
}

/// The connections and what they have done.
pub(crate) struct HttpLoad {
    poll: Poll,
    connections: Vec<Connection>,
    requests: Requests,
    ready: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// Makes requests, each reaction with another id and user.
struct Requests {
    content: Content,
    clock: SystemClock,
    sent: u64,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl HttpLoad {
    /// Connects and sends the first request on every connection.
    pub(crate) fn open(address: SocketAddr, connections: usize, content: Content) -> Result<Self> {
        let requests =
            Requests { content, clock: SystemClock, sent: 0, body: Vec::new(), request: Vec::new() };
        let poll = Poll::new()?;
        let mut load = Self { poll, connections: Vec::new(), requests, ready: Vec::new() };
        for number in 0..connections {
            let stream = TcpStream::connect(address).context("connect the load")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            load.poll.watch(&stream, number)?;
            load.connections.push(Connection { stream, received: Vec::with_capacity(ANSWER_BYTES_MAX) });
        }
        for connection in &mut load.connections {
            connection.stream.write_all(load.requests.next()?)?;
        }
        Ok(load)
    }

    /// Goes on for a time; how many requests were answered in it.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<u64> {
        let end = Instant::now() + duration;
        let mut answered = 0;
        while Instant::now() < end {
            self.poll.wait(end, &mut self.ready)?;
            for number in &self.ready {
                let connection = &mut self.connections[*number];
                if connection.receive()? {
                    answered += 1;
                    connection.stream.write_all(self.requests.next()?)?;
                }
            }
        }
        Ok(answered)
    }

    /// Bytes of the newest body.
    pub(crate) fn body_bytes(&self) -> usize {
        self.requests.body.len()
    }
}

impl Connection {
    /// Reads what is there; `true` when an answer is whole, which must be good.
    fn receive(&mut self) -> Result<bool> {
        let before = self.received.len();
        self.received.resize(ANSWER_BYTES_MAX, 0);
        let read = match self.stream.read(&mut self.received[before..]) {
            Ok(0) => bail!("the server has closed a connection"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        self.received.truncate(before + read);
        let whole = is_whole(&self.received)?;
        if whole {
            self.received.clear();
        }
        Ok(whole)
    }
}

/// Whether an answer is whole; a bad one is an error.
fn is_whole(answer: &[u8]) -> Result<bool> {
    const END: &[u8] = b"\r\n\r\n";
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let Some(head) = find(answer, END) else {
        ensure!(answer.len() < ANSWER_BYTES_MAX, "the head of an answer is too long");
        return Ok(false);
    };
    let text = || String::from_utf8_lossy(answer);
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "expected status 200: {}", text());
    let at = find(&answer[..head], LENGTH).with_context(|| format!("no length: {}", text()))? + LENGTH.len();
    let digits = answer[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    ensure!(answer.len() <= head + END.len() + length, "more than one answer: {}", text());
    Ok(answer.len() == head + END.len() + length)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

impl Requests {
    fn next(&mut self) -> Result<&[u8]> {
        self.sent += 1;
        let n = self.sent;
        let emote = EMOTES[usize::try_from(n % EMOTES.len() as u64)?];
        // Scattered as users are, and as many as a large audience has.
        let user = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        self.body.clear();
        write!(self.body, r#"{{"emote":"{emote}","user_id":"6f1c{user:04x}-2b7e-4d51-9a3c-{user:012x}""#)?;
        if self.content == Content::WithId {
            write!(self.body, r#","id":"{}""#, self.id(n))?;
        }
        write!(self.body, r#","media_time_ms":{}}}"#, 5_000_000 + n / 64)?;
        self.request.clear();
        write!(
            self.request,
            "POST /v1/channels/main/reactions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.body.len()
        )?;
        self.request.extend_from_slice(&self.body);
        Ok(&self.request)
    }

    fn id(&self, n: u64) -> ReactionId {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&n.to_be_bytes());
        ReactionId::from_parts(self.clock.now_ms(), random)
    }
}

/// Asks once, on a connection of its own; the body of the answer, which must be good.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

/// Sends JSON once, on a connection of its own; the body of the answer, which must be good.
pub(crate) fn post(address: SocketAddr, path: &str, json: &str) -> Result<String> {
    let length = json.len();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{json}"
        ),
    )
}

fn ask(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read an answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "answered {answer}");
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ndate: x\r\n\r\n{ }";
        for end in 0..answer.len() {
            assert!(!is_whole(&answer[..end]).unwrap());
        }
        assert!(is_whole(answer).unwrap());
        assert!(is_whole(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
    }
}
