//! Writes a recorded scenario for `deploy/flink`: the lines that the projector makes of a log, and the windows that
//! Emostream counts in the same log.
//!
//! `conformance DIR SEED ROWS` writes `DIR/<partition>.jsonl` and `DIR/expected.jsonl`, and prints what is in them. The
//! log has phones with wrong clocks, reactions out of order, clients that retry (also with another tapped time, also after
//! the horizon), drained spools that forward records twice, quiet partitions, brokers whose clock steps back, and a
//! projector that restarts and repeats lines.
#![expect(clippy::print_stdout, reason = "what a script reads")]

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    fs,
    path::Path,
    sync::Arc,
};

use emostream_moments::{
    Aggregate, AggregateOutput, StreamParameters,
    event_time::{PartitionClock, event_time_ms, is_late},
};
use emostream_protocol::{
    ChannelName, ChannelSettings, EmoteId, Emotes, ReactionId, frame,
    id::home_partition,
    record::{
        BatchBuilder, LogRecord, NewReaction, ReactionBatch, SettingsChange, SpoolPosition, decode,
        encode_tick,
        projected::{ProjectedReaction, ProjectedTick, Rfc3339},
    },
    row::Row,
    settings::{MomentRule, PlainRule},
};

const PARTITIONS: u32 = 4;
const SPAN_MS: i64 = 600_000;
const FIRST_MS: i64 = 1_795_255_200_000;
/// Reactions of a partition are appended together when they come in the same so many ms.
const BATCH_MS: i64 = 20;
const CHANNELS: [&str; 3] = ["main", "match-1", "b.2"];
const EMOTES: [&str; 6] = ["🔥", "👏", "😂", "❤️", "👨‍👩‍👧‍👦", ":goal:"];
/// Of the plain rule, in all channels.
const THRESHOLD: f64 = 30.0;
/// The partition to which nobody taps, but for retries, in the third quarter of the scenario.
const QUIET: u32 = 2;

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

#[derive(Clone)]
struct Tap {
    channel: usize,
    emote: EmoteId,
    id: ReactionId,
    id_from_client: bool,
    user: String,
    received_ms: i64,
    tapped_ms: Option<i64>,
}

/// A tap that ingest has ready to append at an instant, from its spool or at once.
struct Arrival {
    ready_ms: i64,
    spooled: bool,
    tap: Tap,
}

/// A record of the log.
struct Record {
    partition: u32,
    offset: u64,
    append_ms: i64,
    value: bytes::Bytes,
}

/// What the summary says: `keys` are windows with a channel and an emote, the rest is counted in reactions or as named.
#[derive(Default)]
struct Told {
    reactions: u64,
    repeats: u64,
    beyond_horizon: u64,
    forwarded_twice: u64,
    steps_back: u64,
    repeated_lines: u64,
    keys: usize,
    counted: u64,
    unverified: u64,
    moments: u64,
}

impl Told {
    fn json(&self) -> String {
        let Self {
            reactions,
            repeats,
            beyond_horizon,
            forwarded_twice,
            steps_back,
            repeated_lines,
            keys,
            counted,
            unverified,
            moments,
        } = self;
        format!(
            "\"reactions\":{reactions},\"repeats\":{repeats},\"beyond_horizon\":{beyond_horizon},\
             \"forwarded_twice\":{forwarded_twice},\"steps_back\":{steps_back},\"repeated_lines\":{repeated_lines},\
             \"keys\":{keys},\"counted\":{counted},\"unverified\":{unverified},\"moments\":{moments}"
        )
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, seed, rows] = arguments.as_slice() else {
        return Err("expected three arguments: DIR SEED ROWS".into());
    };
    let (dir, mut dice, rows) = (Path::new(dir), Dice(seed.parse()?), rows.parse()?);
    fs::create_dir_all(dir)?;
    let emotes = Arc::new(Emotes::new());
    let mut told = Told::default();
    let taps = taps(&mut dice, rows, &emotes, &mut told)?;
    let log = lay_out(&mut dice, &taps, &emotes, &mut told)?;
    project(&mut dice, &log, &emotes, dir, &mut told)?;
    expect(&log, &emotes, dir, &mut told)?;
    println!("{{\"seed\":{seed},\"records\":{},\"threshold\":{THRESHOLD},{}}}", log.len(), told.json());
    Ok(())
}

/// All taps with the time at which ingest has them ready to append, in that order; a spooled one waits.
fn taps(
    dice: &mut Dice,
    rows: i64,
    emotes: &Emotes,
    told: &mut Told,
) -> Result<Vec<Arrival>, Box<dyn Error>> {
    let known = EMOTES.iter().map(|text| emotes.register_custom(text).or_else(|_| emotes.resolve(text)));
    let known = known.collect::<Result<Vec<_>, _>>()?;
    let mut taps = Vec::new();
    for _ in 0..rows {
        // Every fifth tap belongs to a burst of ten seconds.
        let burst = dice.one_in(5);
        let at_ms = if burst {
            60_000 * dice.between(1, 9) + dice.between(0, 9_999)
        } else {
            dice.between(0, SPAN_MS)
        };
        let received_ms = FIRST_MS + at_ms;
        let tap = tap(dice, received_ms, burst, &known);
        let quiet = (SPAN_MS / 2..SPAN_MS * 3 / 4).contains(&at_ms);
        if quiet && tap.id.partition(CHANNELS[tap.channel], PARTITIONS) == QUIET {
            continue;
        }
        let spooled = dice.one_in(25);
        let ready_ms = received_ms + if spooled { dice.between(600, 45_000) } else { dice.between(0, 60) };
        retries(dice, &tap, received_ms, &mut taps, told);
        taps.push(Arrival { ready_ms, spooled, tap });
    }
    told.reactions = taps.len() as u64;
    taps.sort_by_key(|at| (at.ready_ms, at.spooled, at.tap.id, at.tap.received_ms));
    Ok(taps)
}

fn tap(dice: &mut Dice, received_ms: i64, burst: bool, emotes: &[EmoteId]) -> Tap {
    let mut random = [0; 10];
    random.iter_mut().for_each(|byte| *byte = dice.next() as u8);
    // One phone in ten has a wrong clock, one tap in twenty says no time.
    let tapped_ms = match dice.between(0, 19) {
        0 => None,
        1 => Some(received_ms + dice.between(1, 20_000)),
        2 => Some(received_ms - dice.between(500, 900_000)),
        _ => Some(received_ms - dice.between(0, 700)),
    };
    Tap {
        channel: if burst { 0 } else { dice.between(0, 2) as usize },
        emote: emotes[if burst { 0 } else { dice.between(0, 5) as usize }],
        id: ReactionId::from_parts(received_ms - dice.between(0, 2_000), random),
        id_from_client: !dice.one_in(5),
        user: if dice.one_in(10) { String::new() } else { format!("user-{}", dice.between(0, 5_000)) },
        received_ms,
        tapped_ms,
    }
}

/// What the client of a tap sends again: mostly once and soon, sometimes so late that nobody remembers.
fn retries(dice: &mut Dice, tap: &Tap, received_ms: i64, taps: &mut Vec<Arrival>, told: &mut Told) {
    let again =
        |after_ms: i64, tapped_ms| Tap { received_ms: received_ms + after_ms, tapped_ms, ..tap.clone() };
    if !tap.id_from_client {
        // An id that ingest assigned, given again by a client that had it in an answer.
        if dice.one_in(500) {
            let again = Tap { id_from_client: true, ..again(300, tap.tapped_ms) };
            taps.push(Arrival { ready_ms: again.received_ms, spooled: false, tap: again });
        }
        return;
    }
    while dice.one_in(12) {
        let after_ms = if dice.one_in(3) { dice.between(1_000, 110_000) } else { dice.between(0, 900) };
        let tapped_ms =
            if dice.one_in(3) { Some(received_ms + dice.between(-1_000, 1_000)) } else { tap.tapped_ms };
        let again = again(after_ms, tapped_ms);
        told.repeats += 1;
        taps.push(Arrival { ready_ms: again.received_ms + dice.between(0, 60), spooled: false, tap: again });
    }
    if dice.one_in(150) {
        let again = again(dice.between(180_000, 330_000), tap.tapped_ms);
        told.beyond_horizon += u64::from(again.received_ms - received_ms > 240_000);
        taps.push(Arrival { ready_ms: again.received_ms, spooled: true, tap: again });
    }
}

/// The log of the taps: batches of a partition, ticks where it is silent, spools that forward twice.
fn lay_out(
    dice: &mut Dice,
    taps: &[Arrival],
    emotes: &Emotes,
    told: &mut Told,
) -> Result<Vec<Record>, Box<dyn Error>> {
    let channels = CHANNELS.iter().map(|name| ChannelName::new(name)).collect::<Result<Vec<_>, _>>()?;
    let mut batches: BTreeMap<(i64, u32, bool), BatchBuilder> = BTreeMap::new();
    let last_ms = taps.last().map_or(FIRST_MS, |last| last.ready_ms);
    for Arrival { ready_ms, spooled, tap } in taps {
        let partition = tap.id.partition(&channels[tap.channel], PARTITIONS);
        let batch = batches.entry((ready_ms / BATCH_MS, partition, *spooled)).or_default();
        batch.push(
            &channels[tap.channel],
            &NewReaction {
                emote: tap.emote,
                id: tap.id,
                id_from_client: tap.id_from_client,
                user: &tap.user,
                received_ms: tap.received_ms,
                tapped_ms: tap.tapped_ms,
                media_time_ms: None,
            },
        );
    }
    let mut records: Vec<(i64, u32, bytes::Bytes)> = Vec::new();
    let mut spool_offset = 0;
    for ((slot, partition, spooled), mut batch) in batches {
        let append_ms = (slot + 1) * BATCH_MS;
        spool_offset += u64::from(spooled);
        let spool = spooled.then_some(SpoolPosition { spool: [partition as u8; 16], offset: spool_offset });
        let value = batch.finish(spool, emotes);
        if spooled && dice.one_in(20) {
            told.forwarded_twice += 1;
            records.push((append_ms + dice.between(0, 300_000), partition, value.clone()));
        }
        records.push((append_ms, partition, value));
    }
    // As the owners of partitions do in silence, and one last time when all is over.
    for second in (0..=(last_ms - FIRST_MS) / 1_000 + 310).step_by(2) {
        records.extend(
            (0..PARTITIONS).map(|partition| (FIRST_MS + second * 1_000 + 500, partition, encode_tick())),
        );
    }
    let settings = ChannelSettings {
        rule: MomentRule::Plain(PlainRule { threshold: THRESHOLD, interval: 100 }),
        ..ChannelSettings::default()
    };
    for channel in channels {
        let home = home_partition(&channel, PARTITIONS);
        let change = SettingsChange { channel, settings: settings.clone() };
        records.push((FIRST_MS - 4_000, home, change.encode()));
    }
    records.sort_by_key(|(append_ms, partition, _)| (*append_ms, *partition));
    let mut offsets = [0; PARTITIONS as usize];
    let mut placed = Vec::new();
    for (append_ms, partition, value) in records {
        let offset = &mut offsets[partition as usize];
        // Offsets ascend and are not dense, and a broker's clock may step back.
        *offset += 1 + u64::from(dice.one_in(10));
        let back_ms = if dice.one_in(200) { dice.between(1, 400) } else { 0 };
        told.steps_back += u64::from(back_ms > 0);
        placed.push(Record { partition, offset: *offset, append_ms: append_ms - back_ms, value });
    }
    Ok(placed)
}

/// Writes the lines of each partition as the projector does.
fn project(
    dice: &mut Dice,
    log: &[Record],
    emotes: &Emotes,
    dir: &Path,
    told: &mut Told,
) -> Result<(), Box<dyn Error>> {
    for partition in 0..PARTITIONS {
        let mut clock = PartitionClock::new(StreamParameters::default());
        let mut spools: HashMap<[u8; 16], u64> = HashMap::new();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for record in log.iter().filter(|record| record.partition == partition) {
            let now_ms = clock.advance(record.append_ms);
            let before = lines.len();
            if let LogRecord::Reactions(batch) = decode(&record.value, emotes)? {
                let forwarded_before =
                    batch.spool.is_some_and(|at| spools.get(&at.spool) >= Some(&at.offset));
                spools.extend(batch.spool.filter(|_| !forwarded_before).map(|at| (at.spool, at.offset)));
                let place = (partition, record.offset, now_ms, forwarded_before);
                project_batch(&batch, place, emotes, &mut lines)?;
            }
            if lines.len() == before {
                let mut line = Vec::new();
                ProjectedTick::new(now_ms, partition, record.offset).write(&mut line);
                lines.push(line);
            }
        }
        told.repeated_lines += write_lines(dice, &lines, &dir.join(format!("{partition}.jsonl")))?;
    }
    Ok(())
}

fn project_batch(
    batch: &ReactionBatch<'_>,
    (partition, offset, now_ms, forwarded_before): (u32, u64, i64, bool),
    emotes: &Emotes,
    lines: &mut Vec<Vec<u8>>,
) -> Result<(), Box<dyn Error>> {
    let lateness_ms = StreamParameters::default().lateness_ms();
    for (index, reaction) in batch.iter().enumerate() {
        let reaction = reaction?;
        let emote = emotes.name(reaction.emote);
        let mut line = Vec::new();
        ProjectedReaction {
            emote: &emote,
            timestamp: Rfc3339(reaction.tapped_ms),
            channel: batch.channels[reaction.channel],
            id: reaction.id,
            id_from_client: reaction.id_from_client,
            user_id: std::str::from_utf8(reaction.user)?,
            received_at: Rfc3339(reaction.received_ms),
            event_time: Rfc3339(event_time_ms(reaction.tapped_ms, now_ms, lateness_ms)),
            append_time: Rfc3339(now_ms),
            partition,
            offset,
            index,
            late: is_late(reaction.received_ms, now_ms, lateness_ms),
            forwarded_before,
        }
        .write(&mut line);
        lines.push(line);
    }
    Ok(())
}

/// Writes lines, now and then from a place before, as a projector does that was killed: how many come again.
fn write_lines(dice: &mut Dice, lines: &[Vec<u8>], file: &Path) -> Result<u64, Box<dyn Error>> {
    let (mut text, mut at, mut repeated) = (Vec::new(), 0, 0);
    while at < lines.len() {
        text.extend_from_slice(&lines[at]);
        text.push(b'\n');
        at += 1;
        if dice.one_in(4_000) {
            let back = dice.between(0, at.min(900) as i64);
            at -= back as usize;
            repeated += back as u64;
        }
    }
    fs::write(file, text)?;
    Ok(repeated)
}

/// Counts the log and writes its windows and moments as lines, as `emostream log cat` shows them.
fn expect(log: &[Record], emotes: &Arc<Emotes>, dir: &Path, told: &mut Told) -> Result<(), Box<dyn Error>> {
    let mut aggregate =
        Aggregate::new(StreamParameters::default(), PARTITIONS as usize, emotes.clone(), 0x5eed);
    let mut output = AggregateOutput::default();
    for record in log {
        let decoded = decode(&record.value, emotes)?;
        aggregate.observe(record.partition as usize, record.append_ms, &decoded, &mut output)?;
    }
    if aggregate.has_open_windows() {
        return Err("windows are open at the scenario's end".into());
    }
    let mut lines = Vec::new();
    for row in &output.rows {
        let (kind, json) = match row {
            Row::Window(window) => {
                told.keys += window.emotes.len();
                told.counted += window.total();
                told.unverified += window.unverified;
                ("window", frame::encode_window_item(window, emotes))
            }
            Row::Moment(moment) => {
                told.moments += 1;
                ("moment", frame::encode_moment_item(moment, emotes))
            }
            Row::Settings(_) => continue,
        };
        let json = String::from_utf8(json)?;
        let fields = json.strip_prefix('{').ok_or("expected an object")?;
        lines.push(format!("{{\"type\":\"{kind}\",\"channel\":\"{}\",{fields}\n", row.channel()));
    }
    Ok(fs::write(dir.join("expected.jsonl"), lines.concat())?)
}
