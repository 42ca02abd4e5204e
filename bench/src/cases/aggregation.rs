//! Rows per CPU-second of counting, on one thread: from encoded records of the log, and from JSON.

use std::{
    fs,
    io::{ErrorKind, Write},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, Emotes, ReactionId,
    input::{Body, parse_body},
    palette::{FEATURED_BY_DEFAULT, Palette},
    record::{BatchBuilder, decode},
    time::format_ms,
};
use serde::Deserialize;

use super::Bench;
use crate::{
    measure::processor::thread_s,
    report::{Figure, Row, Series},
    say,
};

const ROWS: u64 = 10_000_000;
const BATCH: u64 = 1_000;
/// Batches made at a time, so that what is not measured does not fill the memory.
const CHUNK: u64 = 500;
const USERS: u64 = 200_000;
const CHANNELS: usize = 8;
/// In every second batch, one row in so many repeats an id of the batch before, of the same channel: 5 % of all.
const REPEAT_EVERY: u64 = 10;
const ROUNDS: usize = 3;

/// What `deploy/flink/bench.sh` leaves in the scratch folder.
const FLINK_FILE: &str = "flink.json";
/// Rows per CPU-second of Flink SQL in millions, without its start, where nobody measured it on this machine: the lowest and the
/// highest that were measured elsewhere, on shorter lines.
const FLINK_REFERENCE: [f64; 2] = [0.44, 0.60];

/// Batches as clients sent them, and as the log has them.
struct Input {
    emotes: Arc<Emotes>,
    palette: Palette,
    channels: Vec<ChannelName>,
    users: Vec<String>,
    before: Vec<ReactionId>,
    dice: u64,
}

/// One batch of one channel.
struct Batch {
    channel: usize,
    append_ms: i64,
    json: Vec<u8>,
}

/// What Emostream is compared with.
struct Flink {
    against: String,
    series: Series,
    /// Millions of rows per CPU-second to compare with.
    m_rows: f64,
    /// How many rows it counted.
    counted: Option<u64>,
}

/// The file that `deploy/flink/bench.sh` writes.
#[derive(Deserialize)]
struct FlinkRuns {
    version: String,
    query: String,
    rows: u64,
    counted: u64,
    /// Of each run, without what a run without rows costs.
    cpu_s: Vec<f64>,
}

/// Processor seconds for all rows.
#[derive(Default)]
struct Spent {
    counting: f64,
    from_json: f64,
    counted: u64,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let rows = if bench.quick { ROWS / 10 } else { ROWS };
    let flink = flink(bench, rows)?;
    let (mut counting, mut from_json) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(ROUNDS) {
        let spent = measure(rows)?;
        say(&format!("  counted {} of {rows} rows, repeats dropped", spent.counted));
        let counted = flink.counted.unwrap_or(spent.counted);
        ensure!(
            counted == spent.counted,
            "expected Flink to count {} of these rows too, got {counted}",
            spent.counted
        );
        counting.push(rows as f64 / spent.counting / 1e6);
        from_json.push(rows as f64 / spent.from_json / 1e6);
    }
    Ok(vec![
        row("count and merge, from records of the log", 20.0, counting, &flink),
        row("parse, validate, encode, count and merge, from JSON", 8.0, from_json, &flink),
    ])
}

fn row(what: &str, aim: f64, runs: Vec<f64>, flink: &Flink) -> Row {
    let series = Series::new("Emostream, one thread", "M rows/CPU-s", runs);
    let ratio = series.median / flink.m_rows;
    Row {
        what: what.to_owned(),
        against: flink.against.clone(),
        aim: format!("≥ {aim} ×"),
        result: Figure::times(ratio),
        met: Some(ratio >= aim),
        series: vec![series, flink.series.clone()],
        notes: vec![format!(
            "{} M rows in batches of {BATCH}, {CHANNELS} channels, user ids of 36 bytes, ids of clients, 5 % repeats \
             that are dropped, one partition.",
            ROWS / 1_000_000
        )],
    }
}

/// Flink's runs on this machine and these rows, else the reference.
fn flink(bench: &Bench, rows: u64) -> Result<Flink> {
    let file = bench.scratch.join(FLINK_FILE);
    let measured = match fs::read(&file) {
        Ok(text) => {
            Some(serde_json::from_slice::<FlinkRuns>(&text).with_context(|| file.display().to_string())?)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| file.display().to_string()),
    };
    let Some(runs) = measured.filter(|runs| runs.rows == rows) else {
        let [low, high] = FLINK_REFERENCE;
        return Ok(Flink {
            against: format!(
                "reference figure {low}–{high} M rows/CPU-s of Flink SQL, not measured here (deploy/flink/bench.sh does); \
                 compared with {high} M"
            ),
            series: Series::new(
                "Flink SQL (reference, not run here)",
                "M rows/CPU-s",
                FLINK_REFERENCE.to_vec(),
            ),
            m_rows: high,
            counted: None,
        });
    };
    let m_rows = runs.cpu_s.iter().map(|cpu_s| rows as f64 / cpu_s / 1e6).collect();
    let series = Series::new("Flink SQL, parallelism 1, without its start", "M rows/CPU-s", m_rows);
    Ok(Flink {
        against: format!(
            "Flink SQL {}, {}.sql, the same rows from Kafka, without its start",
            runs.version, runs.query
        ),
        m_rows: series.median,
        series,
        counted: Some(runs.counted),
    })
}

/// Writes the rows of this benchmark as the lines that Flink reads, with no more in them than its query needs.
pub(crate) fn write_lines(rows: u64, mut out: impl Write) -> Result<()> {
    let mut input = Input::new()?;
    for number in 0..rows / BATCH {
        let batch = input.batch(number)?;
        let Body::Many(reactions) =
            parse_body(&batch.json, false).map_err(|error| anyhow!("made here: {error:?}"))?
        else {
            return Err(anyhow!("expected an array"));
        };
        let (channel, time) = (&input.channels[batch.channel], format_ms(batch.append_ms));
        for reaction in reactions {
            let reaction = reaction.map_err(|error| anyhow!("made here: {error:?}"))?;
            let (emote, id) = (reaction.emote.0, reaction.id.context("every row has one")?.0);
            writeln!(
                out,
                r#"{{"emote":"{emote}","channel":"{channel}","id":"{id}","event_time":"{time}","append_time":"{time}"}}"#
            )?;
        }
    }
    Ok(out.flush()?)
}

fn measure(rows: u64) -> Result<Spent> {
    let mut input = Input::new()?;
    let mut spent = Spent::default();
    let mut aggregates = [input.aggregate(), input.aggregate()];
    let batches = rows / BATCH;
    for first in (0..batches).step_by(usize::try_from(CHUNK)?) {
        let chunk: Vec<_> =
            (first..batches.min(first + CHUNK)).map(|n| input.batch(n)).collect::<Result<_>>()?;
        let records: Vec<_> = chunk.iter().map(|batch| input.encode(batch)).collect::<Result<_>>()?;
        let before = thread_s();
        for (batch, record) in chunk.iter().zip(&records) {
            spent.counted += input.count(&mut aggregates[0], batch.append_ms, record)?;
        }
        let between = thread_s();
        for batch in &chunk {
            let record = input.encode(batch)?;
            input.count(&mut aggregates[1], batch.append_ms, &record)?;
        }
        spent.counting += between - before;
        spent.from_json += thread_s() - between;
    }
    Ok(spent)
}

impl Input {
    fn new() -> Result<Self> {
        let emotes = Arc::new(Emotes::new());
        Ok(Self {
            palette: Palette::every_emoji(&emotes),
            emotes,
            channels: (0..CHANNELS)
                .map(|n| ChannelName::new(&format!("channel-{n}")))
                .collect::<Result<_, _>>()?,
            users: (0..USERS)
                .map(|n| format!("{:08x}-0000-4000-8000-{n:012x}", n * 2_654_435_761 % (1 << 32)))
                .collect(),
            before: Vec::new(),
            dice: 1,
        })
    }

    fn aggregate(&self) -> Aggregate {
        Aggregate::new(StreamParameters::default(), 1, self.emotes.clone(), 0x5eed)
    }

    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice ^ (self.dice >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    /// A batch as a client sends it: an array. A million reactions a second of the log's time.
    fn batch(&mut self, number: u64) -> Result<Batch> {
        let append_ms = 1_700_000_000_000 + i64::try_from(number)?;
        let mut json = b"[".to_vec();
        let mut ids = Vec::new();
        for place in 0..BATCH {
            let (chance, low, high) = (self.roll(), self.roll(), self.roll());
            let mut random = [0; 10];
            random[..8].copy_from_slice(&low.to_le_bytes());
            random[8..].copy_from_slice(&high.to_le_bytes()[6..]);
            let own = ReactionId::from_parts(append_ms - i64::try_from(chance % 80)?, random);
            let repeats = number % 2 == 1 && place % REPEAT_EVERY == 0;
            let repeated = self.before.get(usize::try_from(place)?).filter(|_| repeats);
            let id = *repeated.unwrap_or(&own);
            ids.push(own);
            let emote = FEATURED_BY_DEFAULT[usize::try_from(chance >> 20)? % FEATURED_BY_DEFAULT.len()];
            let user = &self.users[usize::try_from(high >> 20)? % self.users.len()];
            let comma = if place == 0 { "" } else { "," };
            json.extend(
                format!(r#"{comma}{{"emote":"{emote}","id":"{id}","user_id":"{user}"}}"#).into_bytes(),
            );
        }
        json.push(b']');
        self.before = ids;
        Ok(Batch { channel: usize::try_from(number / 2)? % CHANNELS, append_ms, json })
    }

    /// Parses, checks and encodes a batch, as ingest does.
    fn encode(&self, batch: &Batch) -> Result<Bytes> {
        let wrong = |error| anyhow!("made here and yet wrong: {error:?}");
        let Body::Many(inputs) = parse_body(&batch.json, false).map_err(wrong)? else {
            return Err(anyhow!("expected an array"));
        };
        let mut builder = BatchBuilder::new();
        for input in &inputs {
            let input = input.as_ref().map_err(|error| wrong(error.clone()))?;
            let reaction =
                input.validate(&self.palette, &self.emotes, batch.append_ms, || [0; 10]).map_err(wrong)?;
            builder.push(&self.channels[batch.channel], &reaction);
        }
        Ok(builder.finish(None, &self.emotes))
    }

    /// Counts a record; new reactions in it.
    fn count(&self, aggregate: &mut Aggregate, append_ms: i64, record: &Bytes) -> Result<u64> {
        let mut output = AggregateOutput::default();
        let record = decode(record, &self.emotes).context("made here")?;
        aggregate.observe(0, append_ms, &record, &mut output).context("made here")?;
        Ok(output.pulses.iter().map(|pulse| u64::from(pulse.count)).sum())
    }
}
