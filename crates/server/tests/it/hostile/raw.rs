//! A client that can say anything: bytes on a socket, and the frames of a WebSocket made by hand.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::PATIENCE;

/// A connection without manners.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Said {
    /// The name of the problem and its field, empty where there is none.
    pub(super) fn problem(&self) -> (String, String) {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let name = json["type"].as_str().unwrap_or("").trim_start_matches("/errors/").to_owned();
        assert!(name.is_empty() || json["detail"].as_str().is_some_and(|d| !d.is_empty()), "{self:?}");
        assert!(name.is_empty() || json["status"] == self.status, "{self:?}");
        (name, json["field"].as_str().unwrap_or("").to_owned())
    }
}

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Connects with next to no room for what it will not read.
    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Sends, as far as the server takes it.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        drop(timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server takes nothing"));
    }

    /// Ends the own side.
    pub(super) async fn end(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Reads more; false when the connection has ended.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received));
        read.await.expect("neither an answer nor an end").is_ok_and(|bytes| bytes > 0)
    }

    /// Reads and throws away until the connection has ended.
    pub(super) async fn ended(&mut self) {
        while self.more().await {
            self.received.clear();
        }
    }

    /// Reads one answer; `None` if the connection ends without.
    pub(super) async fn answer(&mut self) -> Option<Said> {
        loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.received[..end]).to_lowercase();
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
                let header =
                    |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let length = header("content-length").map_or(0, |length| length.parse().unwrap());
                let whole = end + 4 + if status == 101 { 0 } else { length };
                if self.received.len() >= whole {
                    let body = String::from_utf8_lossy(&self.received[end + 4..whole]).into_owned();
                    self.received.drain(..whole);
                    return Some(Said { status, head, body });
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads until the head of an answer is there.
    pub(super) async fn head(&mut self) {
        while !self.received.windows(4).any(|four| four == b"\r\n\r\n") && self.more().await {}
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask(address: SocketAddr, request: &[u8]) -> Option<Said> {
        let mut raw = Self::connect(address).await;
        raw.send(request).await;
        raw.answer().await
    }

    /// A viewer of the channel `main`, upgraded.
    pub(super) async fn viewer(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address).await;
        raw.send(upgrade("", "").as_bytes()).await;
        let said = raw.answer().await.unwrap();
        assert_eq!(said.status, 101, "{said:?}");
        raw
    }

    /// The next frame from the server: opcode and payload.
    pub(super) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, from, to)) = frame_in(&self.received) {
                let payload = self.received[from..to].to_vec();
                self.received.drain(..to);
                return Some((opcode, payload));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads frames until the server closes; the code, or `None` for an end without one.
    pub(super) async fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.frame().await? {
                (8, payload) => return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?])),
                _ => continue,
            }
        }
    }

    /// Lets some time pass. False, and at once, when the server says something or ends the connection.
    pub(super) async fn pause(&mut self, time: Duration) -> bool {
        timeout(time, self.stream.read_buf(&mut self.received)).await.is_err()
    }
}

fn frame_in(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (from, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= from + length).then_some((first & 15, from, from + length))
}

/// A request to become a viewer; `query` begins with `?`, `headers` end with a line break.
pub(super) fn upgrade(query: &str, headers: &str) -> String {
    format!(
        "GET /v1/channels/main/stream{query} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
    )
}

/// A frame with this first byte and a masked payload.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, 0x80, payload.len() as u64);
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The beginning of a frame that announces this length.
pub(super) fn header(first: u8, masked: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(masked | length as u8),
        126..65_536 => {
            bytes.push(masked | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}
