//! Batches of reactions in one request each, over a few connections that wait for their answers.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use emostream_log::{Clock, SystemClock};
use emostream_protocol::ReactionId;

/// Reactions in a request, the most that one may hold.
pub(crate) const BATCH: usize = 1_000;

/// Emotes that people send, in turn.
const EMOTES: [&str; 8] = ["🔥", "👏", "😂", "😮", "🎉", "👍", "😍", "😢"];

/// A refused batch is sent again after so long.
const REST: Duration = Duration::from_millis(20);

/// Sends batches of reactions with ids over so many connections until `until`; how many reactions were acknowledged.
pub(crate) fn run(address: SocketAddr, connections: usize, until: Instant) -> Result<u64> {
    std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..connections).map(|number| scope.spawn(move || send(address, number, until))).collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender does not panic")).sum()
    })
}

fn send(address: SocketAddr, connection: usize, until: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(address).context("connect the load")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let (mut acknowledged, mut number) = (0, 0);
    let (mut body, mut request) = (String::new(), Vec::new());
    while Instant::now() < until {
        lines(connection, number, &mut body);
        number += BATCH as u64;
        request.clear();
        write!(
            request,
            "POST /v1/channels/main/reactions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )?;
        request.extend_from_slice(body.as_bytes());
        loop {
            stream.write_all(&request)?;
            let status = answer(&mut stream)?;
            ensure!(matches!(status, 200 | 429 | 503), "a batch was answered {status}");
            if status == 200 {
                acknowledged += BATCH as u64;
                break;
            }
            std::thread::sleep(REST);
        }
    }
    Ok(acknowledged)
}

/// NDJSON of a batch, each reaction with an id and a user.
fn lines(connection: usize, first: u64, body: &mut String) {
    let now_ms = SystemClock.now_ms();
    body.clear();
    for number in first..first + BATCH as u64 {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&number.to_be_bytes());
        random[8..].copy_from_slice(&(connection as u16).to_be_bytes());
        let id = ReactionId::from_parts(now_ms, random);
        let emote = EMOTES[number as usize % EMOTES.len()];
        writeln!(body, r#"{{"emote":"{emote}","id":"{id}","user_id":"user-{}"}}"#, number % 10_000)
            .expect("writing to a String cannot fail");
    }
}

/// The status of the next answer, whose body is read as well.
fn answer(stream: &mut TcpStream) -> Result<u16> {
    let mut received = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = stream.read(&mut buffer).context("read an answer")?;
        ensure!(read > 0, "the server has closed the connection");
        received.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.context("an answer has a length")? {
            let status = head.split(' ').nth(1).context("a status line")?;
            return Ok(status.parse()?);
        }
    }
}
