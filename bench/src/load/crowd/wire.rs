//! What a viewer says and hears: one request with its answer, and a WebSocket's frames.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Bytes of an answer's head at most, and of a frame's payload.
const BYTES_MAX: usize = 1 << 20;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// An answer to a request.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Connects from an address of this machine, so that limits by address are those of a crowd.
async fn connect(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0))).with_context(|| format!("connect from {from}"))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends JSON on a connection of its own.
pub(super) async fn post(
    from: Ipv4Addr,
    to: SocketAddr,
    path: &str,
    token: Option<&str>,
    json: &str,
) -> Result<Answer> {
    let mut stream = connect(from, to).await?;
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let length = json.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/json\r\n{token}\
         content-length: {length}\r\n\r\n{json}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    stream.take(BYTES_MAX as u64).read_to_end(&mut received).await?;
    let end = find_end(&received).context("an answer has a head")?;
    let head = std::str::from_utf8(&received[..end]).context("a head is text")?;
    let retry_after = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("retry-after").then(|| value.trim().parse().ok())?
    });
    let status = status_of(head)?;
    Ok(Answer { status, retry_after, body: received.split_off(end) })
}

fn status_of(head: &str) -> Result<u16> {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.with_context(|| format!("no status: {head}"))
}

/// The place behind a head.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    Some(at + HEAD_END.len())
}

/// A WebSocket of a viewer.
pub(super) struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of `received` that were taken.
    taken: usize,
}

/// What an upgrade came to.
pub(super) enum Upgraded {
    Open(Socket),
    Refused(u16),
}

impl Socket {
    /// Asks for a stream.
    pub(super) async fn open(from: Ipv4Addr, to: SocketAddr, path: &str) -> Result<Upgraded> {
        let mut stream = connect(from, to).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: emostream.json.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self { stream, received: Vec::new(), taken: 0 };
        loop {
            if let Some(end) = find_end(&socket.received) {
                socket.taken = end;
                let status = status_of(&String::from_utf8_lossy(&socket.received[..end]))?;
                return Ok(if status == 101 { Upgraded::Open(socket) } else { Upgraded::Refused(status) });
            }
            ensure!(socket.fill().await?, "closed before an answer");
        }
    }

    /// Reads what is there; `false` at the end.
    async fn fill(&mut self) -> Result<bool> {
        if self.taken > 0 {
            self.received.drain(..self.taken);
            self.taken = 0;
        }
        ensure!(self.received.len() < BYTES_MAX, "a frame is too long");
        Ok(self.stream.read_buf(&mut self.received).await? > 0)
    }

    /// The next text; `None` when the server has said that it closes, an error when it has not. Pings are answered.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>> {
        const TEXT: u8 = 0x81;
        const CLOSE: u8 = 0x88;
        const PING: u8 = 0x89;
        loop {
            let Some((kind, payload)) = frame(&self.received[self.taken..])? else {
                ensure!(self.fill().await?, "closed without a word");
                continue;
            };
            let payload = self.taken + payload.start..self.taken + payload.end;
            self.taken = payload.end;
            match kind {
                TEXT => return Ok(Some(&self.received[payload])),
                CLOSE => return Ok(None),
                PING => {
                    let pong = pong(&self.received[payload])?;
                    self.stream.write_all(&pong).await?;
                }
                _ => bail!("a frame that no server sends: {kind:#x}"),
            }
        }
    }
}

/// First byte of the first frame, and where its payload is, once it is whole (RFC 6455 §5.2; frames of servers are not
/// masked).
fn frame(bytes: &[u8]) -> Result<Option<(u8, Range<usize>)>> {
    let (head, payload) = match bytes {
        [_, short @ 0..=125, ..] => (2, u64::from(*short)),
        [_, 126, high, low, ..] => (4, u64::from(u16::from_be_bytes([*high, *low]))),
        [_, 127, rest @ ..] => match rest.first_chunk() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        [_, 128..=255, ..] => bail!("a frame of a server is masked"),
        _ => return Ok(None),
    };
    let end = head + usize::try_from(payload)?;
    Ok((bytes.len() >= end).then_some((bytes[0], head..end)))
}

/// The answer to a ping, masked with zeros.
fn pong(payload: &[u8]) -> Result<Vec<u8>> {
    const PONG: u8 = 0x8a;
    const MASKED: u8 = 0x80;
    let length = u8::try_from(payload.len())?;
    ensure!(length < 126, "a ping of {length} bytes");
    let mut pong = vec![PONG, MASKED | length, 0, 0, 0, 0];
    pong.extend_from_slice(payload);
    Ok(pong)
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_frame_is_taken_with_its_last_byte() {
        let short = [0x81, 3, b'a', b'b', b'c'];
        let mut long = vec![0x81, 126, 1, 0];
        long.extend([b'x'; 256]);
        let mut longest = vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        longest.extend([b'y'; 65_536]);
        for (bytes, head) in [(&short[..], 2), (&long, 4), (&longest, 10)] {
            for end in 0..bytes.len() {
                assert!(frame(&bytes[..end]).unwrap().is_none(), "{end}");
            }
            assert_eq!(frame(bytes).unwrap().unwrap(), (0x81, head..bytes.len()));
        }
        assert!(frame(&[0x81, 0x83, 0, 0, 0, 0]).is_err());
    }
}
