//! A bare fan-out: one `write` of one frame, encoded beforehand, for each viewer and pulse, on one thread.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::poll::Poll;

/// Answer to a viewer's upgrade; the load does not check its key.
const UPGRADED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Serves until killed: a text frame of `frame_bytes` in all, every `period`, for every viewer.
pub(crate) fn serve(frame_bytes: usize, period: Duration) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 4_096)?;
    listener.set_nonblocking(true)?;
    super::say_ready(listener.local_addr()?);
    let frame = frame(frame_bytes)?;
    let mut viewers = Vec::new();
    let (mut poll, mut ready) = (Poll::new()?, Vec::new());
    poll.watch(&listener, 0)?;
    let mut due = Instant::now();
    loop {
        while Instant::now() < due {
            poll.wait(due, &mut ready)?;
            while let Ok((stream, _)) = listener.accept() {
                viewers.push(upgrade(stream)?);
            }
        }
        viewers.retain_mut(|viewer: &mut TcpStream| match viewer.write(&frame) {
            Ok(written) => written == frame.len(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        due += period;
    }
}

fn upgrade(mut stream: TcpStream) -> Result<TcpStream> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    let mut buffer = [0; 1_024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => bail!("a viewer left before its request was whole"),
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    stream.write_all(UPGRADED)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// A frame from the server to a viewer: a text of so many bytes, head included.
fn frame(bytes: usize) -> Result<Vec<u8>> {
    const TEXT: u8 = 0x81;
    let mut frame = match bytes {
        2..=127 => vec![TEXT, u8::try_from(bytes - 2)?],
        130..=65_539 => {
            let [high, low] = u16::try_from(bytes - 4)?.to_be_bytes();
            vec![TEXT, 126, high, low]
        }
        _ => bail!("expected a frame of 2 to 127 or 130 to 65539 bytes, not {bytes}"),
    };
    frame.resize(bytes, b'x');
    Ok(frame)
}
