//! Fan-out: processor time for each frame that a viewer receives, against one `write` of one shared frame for each.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Bench;
use crate::{
    load::viewers::{Received, Viewers},
    measure::process::Server,
    report::{Figure, Row, Series},
    say,
};

const VIEWERS: [usize; 2] = [1_000, 4_000];
const RATIO_MAX: f64 = 1.15;
const ROUNDS: usize = 5;
/// From one pulse to the next.
const PULSE: Duration = Duration::from_millis(100);
/// Emotes that everybody sees moving, so that a pulse has 200 to 300 bytes.
const EMOTES: [&str; 7] = ["🔥", "👏", "😂", "😮", "🎉", "👍", "😢"];

/// One server's runs.
#[derive(Default)]
struct Side {
    /// Microseconds of processor time for each frame received.
    cpu_us: Vec<f64>,
    frame_bytes: Vec<f64>,
    frames_per_viewer_s: Vec<f64>,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    VIEWERS.into_iter().map(|viewers| compare(bench, viewers)).collect()
}

fn compare(bench: &Bench, number: usize) -> Result<Row> {
    let mut sides = [Side::default(), Side::default()];
    for _ in 0..bench.rounds(ROUNDS) {
        let ours = bench.emostream(&[])?;
        let mut taps = Taps::open(ours.address)?;
        measure(bench, &ours, number, Some(&mut taps), &mut sides[0])?;
        drop(ours);
        let bytes = sides[0].frame_bytes.last().copied().unwrap_or(250.0).round().to_string();
        let period = PULSE.as_millis().to_string();
        let bare = bench.floor(&["bare-fanout", "--frame-bytes", &bytes, "--period-ms", &period])?;
        measure(bench, &bare, number, None, &mut sides[1])?;
    }
    let mut series = Vec::new();
    let mut context = Vec::new();
    for (name, side) in ["Emostream", "one write a viewer"].into_iter().zip(sides) {
        series.push(Series::new(name, "µs CPU a frame", side.cpu_us));
        context.push(Series::new(name, "bytes a frame", side.frame_bytes));
        context.push(Series::new(name, "frames a viewer and second", side.frames_per_viewer_s));
    }
    let ratio = series[0].median / series[1].median;
    series.extend(context);
    say(&format!("  {number} viewers: {ratio:.3} ×"));
    Ok(Row {
        what: format!("pulses to {number} viewers, 10 a second"),
        against: "bare server that writes one encoded frame of as many bytes to each; CPU a frame received".to_owned(),
        aim: format!("≤ {RATIO_MAX} ×"),
        result: Figure::times(ratio),
        met: Some(ratio <= RATIO_MAX),
        series,
        notes: vec![
            "Plain TCP, WebSocket. Emostream's figure includes taking, storing and counting the taps that make the \
             pulses (ten batches of 20 a second), and its windows."
                .to_owned(),
        ],
    })
}

fn measure(
    bench: &Bench,
    server: &Server,
    number: usize,
    mut taps: Option<&mut Taps>,
    side: &mut Side,
) -> Result<()> {
    let mut viewers = Viewers::connect(server.address, number)?;
    read(&mut viewers, bench.seconds(1.0), &mut taps)?;
    let (began, before) = (Instant::now(), server.cpu_s()?);
    let received = read(&mut viewers, bench.seconds(4.0), &mut taps)?;
    let (cpu_s, wall_s) = (server.cpu_s()? - before, began.elapsed().as_secs_f64());
    ensure!(received.frames > 0, "viewers have received nothing");
    let frames = received.frames as f64;
    side.cpu_us.push(cpu_s * 1e6 / frames);
    side.frame_bytes.push(received.bytes as f64 / frames);
    side.frames_per_viewer_s.push(frames / number as f64 / wall_s);
    Ok(())
}

/// Reads for a time, and taps once a pulse.
fn read(viewers: &mut Viewers, duration: Duration, taps: &mut Option<&mut Taps>) -> Result<Received> {
    let end = Instant::now() + duration;
    let mut received = Received::default();
    while Instant::now() < end {
        if let Some(taps) = taps {
            taps.send()?;
        }
        let now = viewers.read_until((Instant::now() + PULSE).min(end))?;
        received.frames += now.frames;
        received.bytes += now.bytes;
    }
    Ok(received)
}

/// A connection that sends a batch of taps and does not wait for the answer.
struct Taps {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Taps {
    fn open(address: SocketAddr) -> Result<Self> {
        let taps: Vec<_> = (0..20)
            .map(|n| format!(r#"{{"emote":"{}","user_id":"user-{n}"}}"#, EMOTES[n % EMOTES.len()]))
            .collect();
        let body = format!("[{}]", taps.join(","));
        let request = format!(
            "POST /v1/channels/main/reactions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, request: request.into_bytes() })
    }

    fn send(&mut self) -> Result<()> {
        let mut answers = [0; 4_096];
        // The answers to earlier batches; the last of them may be bad, which nobody would see otherwise.
        while let Ok(read) = self.stream.read(&mut answers) {
            ensure!(answers[..read].starts_with(b"HTTP/1.1 200 "), "a batch of taps was not taken");
        }
        Ok(self.stream.write_all(&self.request)?)
    }
}
