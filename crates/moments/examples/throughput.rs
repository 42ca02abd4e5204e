//! Reactions per CPU-second of counting and merging, from encoded records: `cargo run --profile quick --example throughput`.
//!
//! A million reactions a second of log time, in batches of a thousand, with user ids of 36 bytes. Arguments: reactions
//! in millions (default 20), channels (1), partitions (1).
#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, EmoteId, Emotes, ReactionId,
    palette::FEATURED_BY_DEFAULT,
    record::{BatchBuilder, NewReaction, decode},
};

const BATCH: u64 = 1_000;
const USERS: u64 = 200_000;
/// Records made at a time: more would need memory, fewer would cool the caches more often.
const CHUNK: u64 = 2_000;

struct Load {
    emotes: Arc<Emotes>,
    palette: Vec<EmoteId>,
    users: Vec<String>,
    channels: Vec<ChannelName>,
    partitions: u64,
    client_ids: bool,
    dice: u64,
}

impl Load {
    fn next(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice ^ (self.dice >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn record(&mut self, batch: u64) -> (usize, i64, Bytes) {
        let append_ms = 1_700_000_000_000 + batch as i64;
        let mut builder = BatchBuilder::new();
        for _ in 0..BATCH {
            let (chance, low, high) = (self.next() >> 20, self.next(), self.next());
            let mut random = [0; 10];
            random[..8].copy_from_slice(&low.to_le_bytes());
            random[8..].copy_from_slice(&high.to_le_bytes()[6..]);
            let received_ms = append_ms - 2;
            let tapped_ms = received_ms - (chance % 80) as i64;
            let emote = (chance / 7 % 144) as f64;
            let reaction = NewReaction {
                emote: self.palette[emote.sqrt() as usize],
                id: ReactionId::from_parts(tapped_ms, random),
                id_from_client: self.client_ids,
                user: &self.users[(high >> 20) as usize % self.users.len()],
                received_ms,
                tapped_ms: Some(tapped_ms),
                media_time_ms: None,
            };
            builder.push(&self.channels[(low >> 30) as usize % self.channels.len()], &reaction);
        }
        ((batch % self.partitions) as usize, append_ms, builder.finish(None, &self.emotes))
    }
}

/// Nanoseconds that this thread has spent on a processor.
fn cpu_ns(started: Instant) -> u64 {
    let own = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let own = own.and_then(|text| text.split(' ').next()?.parse().ok());
    own.unwrap_or_else(|| started.elapsed().as_nanos() as u64)
}

fn measure(millions: u64, load: &mut Load) {
    let started = Instant::now();
    let emotes = load.emotes.clone();
    let mut aggregate =
        Aggregate::new(StreamParameters::default(), load.partitions as usize, emotes.clone(), 0x5eed);
    let mut output = AggregateOutput::default();
    let (mut spent_ns, mut rows) = (0, 0);
    let records = millions * 1_000_000 / BATCH;
    for chunk in 0..records.div_ceil(CHUNK) {
        let log: Vec<_> =
            (chunk * CHUNK..((chunk + 1) * CHUNK).min(records)).map(|batch| load.record(batch)).collect();
        let before_ns = cpu_ns(started);
        for (partition, append_ms, bytes) in &log {
            output.clear();
            let record = decode(bytes, &emotes).expect("made above");
            aggregate.observe(*partition, *append_ms, &record, &mut output).expect("made above");
            rows += output.rows.len();
        }
        spent_ns += cpu_ns(started) - before_ns;
    }
    println!(
        "client ids: {:5}  {:.1} M reactions/CPU-s  {:.1} ns each  rows {rows}  ids {} M in {} MiB",
        load.client_ids,
        millions as f64 * 1e9 / spent_ns as f64,
        spent_ns as f64 / (millions as f64 * 1e6),
        aggregate.remembered_ids() / 1_000_000,
        aggregate.remembered_bytes() >> 20,
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let millions = arguments.next().unwrap_or(20);
    let channels = arguments.next().unwrap_or(1);
    let partitions = arguments.next().unwrap_or(1);
    let emotes = Arc::new(Emotes::new());
    let mut load = Load {
        palette: FEATURED_BY_DEFAULT.iter().map(|text| emotes.resolve(text).expect("an emoji")).collect(),
        emotes,
        users: (0..USERS)
            .map(|n| format!("{:08x}-0000-4000-8000-{:012x}", n * 2_654_435_761 % (1 << 32), n))
            .collect(),
        channels: (0..channels).map(|n| ChannelName::new(&format!("channel-{n}")).expect("valid")).collect(),
        partitions,
        client_ids: false,
        dice: 1,
    };
    for client_ids in [false, true] {
        load.client_ids = client_ids;
        measure(millions, &mut load);
    }
}
