//! Viewers that count the frames they receive and do nothing else.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::poll::Poll;

/// How long a server may take to answer an upgrade.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);

/// A crowd of viewers of one server.
pub(crate) struct Viewers {
    poll: Poll,
    viewers: Vec<Viewer>,
    ready: Vec<usize>,
    buffer: Vec<u8>,
}

struct Viewer {
    stream: TcpStream,
    frames: Frames,
}

/// What viewers have received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Frames of any kind.
    pub(crate) frames: u64,
    /// Their bytes, heads included.
    pub(crate) bytes: u64,
}

impl Viewers {
    /// Connects so many viewers, one after the other.
    pub(crate) fn connect(address: SocketAddr, number: usize) -> Result<Self> {
        let mut viewers =
            Self { poll: Poll::new()?, viewers: Vec::new(), ready: Vec::new(), buffer: vec![0; 65_536] };
        let mut received = Received::default();
        for place in 0..number {
            let (stream, rest) = upgrade(address).with_context(|| format!("connect viewer {place}"))?;
            stream.set_nonblocking(true)?;
            viewers.poll.watch(&stream, place)?;
            let mut viewer = Viewer { stream, frames: Frames::default() };
            viewer.frames.count(&rest, &mut received)?;
            viewers.viewers.push(viewer);
        }
        Ok(viewers)
    }

    /// Reads for a time; what arrived in it.
    pub(crate) fn read_for(&mut self, duration: Duration) -> Result<Received> {
        self.read_until(Instant::now() + duration)
    }

    /// Reads until a time; what arrived until then.
    pub(crate) fn read_until(&mut self, end: Instant) -> Result<Received> {
        let mut received = Received::default();
        while Instant::now() < end {
            self.poll.wait(end, &mut self.ready)?;
            for number in &self.ready {
                let viewer = &mut self.viewers[*number];
                match viewer.stream.read(&mut self.buffer) {
                    Ok(0) => bail!("the server has closed viewer {number}"),
                    Ok(read) => viewer.frames.count(&self.buffer[..read], &mut received)?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(received)
    }
}

/// Asks for a stream; the socket, and the first bytes behind the answer.
fn upgrade(address: SocketAddr) -> Result<(TcpStream, Vec<u8>)> {
    const REQUEST: &str = "GET /v1/channels/main/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: emostream.v1\r\n\r\n";
    const END: &[u8] = b"\r\n\r\n";
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(UPGRADE_PATIENCE))?;
    stream.write_all(REQUEST.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer)? {
            0 => bail!("the server has closed the connection"),
            read => answer.extend_from_slice(&buffer[..read]),
        }
        if let Some(head) = answer.windows(END.len()).position(|window| window == END) {
            ensure!(
                answer.starts_with(b"HTTP/1.1 101 "),
                "not upgraded: {}",
                String::from_utf8_lossy(&answer)
            );
            return Ok((stream, answer.split_off(head + END.len())));
        }
    }
}

/// Finds the frames in a stream of bytes (RFC 6455 §5.2; frames from servers are not masked).
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the current frame's payload that are still to come.
    payload_left: u64,
    /// A head that is not whole.
    head: Vec<u8>,
}

impl Frames {
    fn count(&mut self, mut bytes: &[u8], received: &mut Received) -> Result<()> {
        received.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let here = bytes.len().min(usize::try_from(self.payload_left)?);
                self.payload_left -= here as u64;
                bytes = &bytes[here..];
            } else {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                if let Some(payload) = payload_of(&self.head)? {
                    self.payload_left = payload;
                    self.head.clear();
                    received.frames += 1;
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a frame's payload, once its head is whole.
fn payload_of(head: &[u8]) -> Result<Option<u64>> {
    const CLOSE: u8 = 0x88;
    ensure!(head[0] != CLOSE, "the server has closed a viewer");
    Ok(match head {
        [_, short @ 0..=125] => Some(u64::from(*short)),
        [_, 126, high, low] => Some(u64::from(u16::from_be_bytes([*high, *low]))),
        [_, 127, length @ ..] => length.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Frames, Received};

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut stream = vec![0x81, 3, b'a', b'b', b'c', 0x81, 126, 0, 200];
        stream.extend([b'x'; 200]);
        stream.extend([0x89, 0, 0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend([b'y'; 65_536]);
        for piece in [1, 2, 7, 1_000, stream.len()] {
            let (mut frames, mut received) = (Frames::default(), Received::default());
            for bytes in stream.chunks(piece) {
                frames.count(bytes, &mut received).unwrap();
            }
            assert_eq!(received, Received { frames: 4, bytes: stream.len() as u64 });
        }
    }
}
