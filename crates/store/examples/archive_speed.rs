//! How fast windows go into the archive, and out again: `archive_speed [ROWS] [BATCH] [URL]`, by default a day of one channel into a temporary file.
#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::time::Instant;

use emostream_protocol::{
    ChannelName, Emotes, Epoch, Position,
    position::sequence,
    row::{EmoteCount, Row, WindowRow},
};
use emostream_store::{
    ArchiveBatch, ArchiveQuery, ArchiveSource, Store, StoreError, StoreOptions, WindowRecord,
};

/// Windows of 2 seconds in a day.
const DAY: u32 = 43_200;

/// Windows of one transaction.
const BATCH: u32 = 2_000;

const WINDOW_MS: u32 = 2_000;
const START_MS: i64 = 1_790_000_000_000;

/// A window with ten emotes, as a busy channel has them.
fn window(channel: &ChannelName, emotes: &Emotes, number: u32) -> WindowRecord {
    let window_start_ms = START_MS + i64::from(number) * i64::from(WINDOW_MS);
    let seq = sequence::at(window_start_ms + i64::from(WINDOW_MS));
    let count = |text: &str| {
        let emote = emotes.resolve(text).ok()?;
        Some(EmoteCount { emote, count: 1_000 + u64::from(number % 97), late: 0, reactors: 800 })
    };
    let counts = ["🎉", "👏", "👍", "💯", "🔥", "😂", "😍", "😢", "😮", "🙌"];
    let row = WindowRow {
        channel: channel.clone(),
        seq,
        window_start_ms,
        window_ms: WINDOW_MS,
        emotes: counts.iter().filter_map(|text| count(text)).collect(),
        reactors: 5_000,
        unverified: 0,
    };
    let position = Position { epoch: Epoch([7; 16]), seq };
    WindowRecord { channel: channel.clone(), position, window_start_ms, row: Row::Window(row).encode(emotes) }
}

async fn fill(store: &Store, channel: &ChannelName, rows: u32, batch: u32) -> Result<(), StoreError> {
    let emotes = Emotes::new();
    let source = ArchiveSource { epoch: Epoch([7; 16]), topic: "emote-output".into(), partition: 0 };
    let mut done = 0;
    while done < rows {
        let next = rows.min(done + batch);
        let windows = (done..next).map(|number| window(channel, &emotes, number)).collect();
        let batch = ArchiveBatch { windows, moments: Vec::new() };
        store.archive(&batch, &source, next.into()).await?;
        done = next;
    }
    Ok(())
}

async fn read(store: &Store, channel: &ChannelName) -> Result<usize, StoreError> {
    let mut query = ArchiveQuery { channel, from_ms: 0, to_ms: i64::MAX, after: None, limit: 1_000 };
    let mut rows = 0;
    loop {
        let page = store.windows(&query).await?;
        rows += page.items.len();
        query.after = page.next;
        if query.after.is_none() {
            return Ok(rows);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().map_or(Ok(DAY), |text| text.parse())?;
    let batch = arguments.next().map_or(Ok(BATCH), |text| text.parse())?.max(1);
    let folder = tempfile::tempdir()?;
    let url = arguments.next().unwrap_or_else(|| format!("sqlite://{}/store.db", folder.path().display()));
    let store = Store::open(&url, &StoreOptions::default()).await?;
    let channel = ChannelName::new("main")?;
    let started = Instant::now();
    fill(&store, &channel, rows, batch).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "write rows={rows} batch={batch} seconds={seconds:.2} rows_per_s={:.0}",
        f64::from(rows) / seconds
    );
    let started = Instant::now();
    let found = read(&store, &channel).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("read rows={found} seconds={seconds:.2}");
    store.close().await;
    Ok(())
}
