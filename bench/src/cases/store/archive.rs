//! A day of windows into the archive and out again, beside the same rows with nothing but sqlx between them and SQLite.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use emostream_moments::preview::preview;
use emostream_protocol::{ChannelName, ChannelSettings, Emotes, Epoch, Position, row};
use emostream_store::{
    ArchiveBatch, ArchiveQuery, ArchiveSource, Order, PAGE_LIMIT_MAX, Store, StoreOptions, WindowRecord,
};
use tokio::runtime::Builder;

use crate::{
    cases::{
        Bench,
        past::{DAY, EMOTES, busy},
    },
    floor::rows::{BARE_TABLE, RawRows, STORE_TABLE},
    measure::processor::process_s,
    report::{Figure, Row, Series},
};

const ROUNDS: usize = 5;
/// Windows of one transaction, as a server that has fallen behind archives them.
const BATCH: usize = 2_000;
const EPOCH: Epoch = Epoch([7; 16]);
/// Processor time that a preview of a day may take, with reading it.
const PREVIEW_MS_MAX: f64 = 1_000.0;

/// Processor and wall time of one run.
#[derive(Debug, Clone, Copy)]
struct Spent {
    cpu_s: f64,
    wall_s: f64,
}

/// The runs of all sides.
#[derive(Default)]
struct Runs {
    written: Vec<Spent>,
    written_raw: Vec<Spent>,
    written_bare: Vec<Spent>,
    read: Vec<Spent>,
    read_raw: Vec<Spent>,
    previewed: Vec<Spent>,
    file_bytes: u64,
    moments: usize,
}

/// What is archived.
struct Day {
    emotes: Emotes,
    channel: ChannelName,
    batches: Vec<ArchiveBatch>,
    rows: usize,
    bytes: usize,
}

pub(in crate::cases) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let day = Day::of(if bench.quick { DAY / 10 } else { DAY })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut runs = Runs::default();
    for _ in 0..bench.rounds(ROUNDS) {
        runtime.block_on(round(bench, &day, &mut runs))?;
    }
    Ok(vec![written(&day, &runs), read(&day, &runs), previewed(&day, &runs)])
}

impl Day {
    fn of(windows: u32) -> Result<Self> {
        let emotes = Emotes::new();
        let record = |window: row::WindowRow| WindowRecord {
            channel: window.channel.clone(),
            position: Position { epoch: EPOCH, seq: window.seq },
            window_start_ms: window.window_start_ms,
            row: row::Row::Window(window).encode(&emotes),
        };
        let records: Vec<_> = busy(windows, EMOTES, &emotes)?.into_iter().map(record).collect();
        let batches = records
            .chunks(BATCH)
            .map(|windows| ArchiveBatch { windows: windows.to_vec(), moments: Vec::new() });
        Ok(Self {
            channel: records.first().context("a day has windows")?.channel.clone(),
            batches: batches.collect(),
            rows: records.len(),
            bytes: records.iter().map(|record| record.row.len()).sum(),
            emotes,
        })
    }
}

/// All sides once, each on files of its own, which are gone afterwards.
async fn round(bench: &Bench, day: &Day, runs: &mut Runs) -> Result<()> {
    let folder = bench.scratch.join("archive");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (ours, raw, bare) = (folder.join("store.db"), folder.join("raw.db"), folder.join("bare.db"));
    let store = open(&ours).await?;
    runs.written.push(timed(write(&store, day)).await?.1);
    store.close().await;
    runs.file_bytes = fs::metadata(&ours)?.len();

    // The store makes its tables, so that they cannot differ; the rows come without it.
    open(&raw).await?.close().await;
    runs.written_raw.push(write_raw(&raw, STORE_TABLE, day).await?);
    runs.written_bare.push(write_raw(&bare, BARE_TABLE, day).await?);

    let store = open(&ours).await?;
    let (found, spent) = timed(read_pages(&store, day)).await?;
    runs.read.push(spent);
    let mut rows = RawRows::open(&ours).await?;
    let (raw_found, spent) = timed(rows.read(day.channel.as_str())).await?;
    runs.read_raw.push(spent);
    rows.close().await?;
    ensure!(found == (day.rows, day.bytes) && raw_found == found, "not all rows came back: {found:?}");
    let (moments, spent) = timed(read_and_judge(&store, day)).await?;
    runs.previewed.push(spent);
    runs.moments = moments;
    store.close().await;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn open(path: &Path) -> Result<Store> {
    Ok(Store::open(&format!("sqlite://{}", path.display()), &StoreOptions::default()).await?)
}

async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(T, Spent)> {
    // SQLite works on threads of its own: the whole process counts, which does nothing else meanwhile.
    let (cpu_s, began) = (process_s(), Instant::now());
    let done = work.await?;
    Ok((done, Spent { cpu_s: process_s() - cpu_s, wall_s: began.elapsed().as_secs_f64() }))
}

async fn write(store: &Store, day: &Day) -> Result<()> {
    let source = ArchiveSource { epoch: EPOCH, topic: "emote-output".into(), partition: 0 };
    let mut next = 0;
    for batch in &day.batches {
        next += batch.windows.len() as u64;
        store.archive(batch, &source, next).await?;
    }
    Ok(())
}

async fn write_raw(path: &Path, table: &'static str, day: &Day) -> Result<Spent> {
    let mut rows = RawRows::open(path).await?;
    if table == BARE_TABLE {
        rows.create_bare().await?;
    }
    let insert = async {
        for batch in &day.batches {
            rows.insert(table, &batch.windows).await?;
        }
        Ok(())
    };
    let ((), spent) = timed(insert).await?;
    rows.close().await?;
    Ok(spent)
}

/// Reads the archive page by page and shows every window.
async fn pages(store: &Store, day: &Day, mut show: impl FnMut(&WindowRecord) -> Result<()>) -> Result<()> {
    let mut query = ArchiveQuery {
        channel: &day.channel,
        from_ms: 0,
        to_ms: i64::MAX,
        order: Order::Ascending,
        after: None,
        limit: PAGE_LIMIT_MAX,
    };
    loop {
        let page = store.windows(&query).await?;
        page.items.iter().try_for_each(&mut show)?;
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

/// The rows in all pages, and their bytes.
async fn read_pages(store: &Store, day: &Day) -> Result<(usize, usize)> {
    let (mut rows, mut bytes) = (0, 0);
    let add = |window: &WindowRecord| {
        rows += 1;
        bytes += window.row.len();
        Ok(())
    };
    pages(store, day, add).await?;
    Ok((rows, bytes))
}

/// What a preview does: reads the pages, decodes the rows, judges them. The moments found.
async fn read_and_judge(store: &Store, day: &Day) -> Result<usize> {
    let mut windows = Vec::new();
    let decode = |window: &WindowRecord| {
        match row::Row::decode(&window.row, &day.emotes)? {
            row::Row::Window(window) => windows.push(window),
            _ => bail!("expected windows alone"),
        }
        Ok(())
    };
    pages(store, day, decode).await?;
    let found = preview(&windows, &ChannelSettings::default(), &day.emotes);
    Ok(found.context("windows are enough for the full rule")?.len())
}

/// Microseconds of processor time a row.
fn each_us(name: &str, day: &Day, runs: &[Spent]) -> Series {
    let each = runs.iter().map(|spent| spent.cpu_s * 1e6 / day.rows as f64);
    Series::new(name, "µs CPU a row", each.collect())
}

/// Thousands of rows per second of what `of` says.
fn rate(name: &str, unit: &str, day: &Day, runs: &[Spent], of: impl Fn(&Spent) -> f64) -> Series {
    Series::new(name, unit, runs.iter().map(|spent| day.rows as f64 / of(spent) / 1e3).collect())
}

fn written(day: &Day, runs: &Runs) -> Row {
    let series = vec![
        each_us("store", day, &runs.written),
        each_us("sqlx, same tables", day, &runs.written_raw),
        each_us("sqlx, no key and no index", day, &runs.written_bare),
        rate("store", "k rows/CPU-s", day, &runs.written, |spent| spent.cpu_s),
        rate("sqlx, same tables", "k rows/CPU-s", day, &runs.written_raw, |spent| spent.cpu_s),
        rate("sqlx, no key and no index", "k rows/CPU-s", day, &runs.written_bare, |spent| spent.cpu_s),
        rate("store", "k rows/s", day, &runs.written, |spent| spent.wall_s),
        rate("sqlx, same tables", "k rows/s", day, &runs.written_raw, |spent| spent.wall_s),
    ];
    let above_bare = series[0].median / series[2].median;
    Row {
        what: format!("{} windows with {EMOTES} emotes into the archive, SQLite", day.rows),
        against: "the same rows into the same tables through sqlx alone; CPU a row".to_owned(),
        aim: String::new(),
        result: Figure::times(series[0].median / series[1].median),
        met: None,
        series,
        notes: vec![format!(
            "Transactions of {BATCH} rows, statements of 64, WAL, `synchronous = FULL`, all threads and the kernel's part \
             counted. A row has {:.0} bytes, {:.0} in the file with its keys. Against a table without key and index the \
             ratio is {above_bare:.2} ×.",
            day.bytes as f64 / day.rows as f64,
            runs.file_bytes as f64 / day.rows as f64,
        )],
    }
}

fn read(day: &Day, runs: &Runs) -> Row {
    let series = vec![
        each_us("store, pages", day, &runs.read),
        each_us("sqlx, one statement", day, &runs.read_raw),
        rate("store, pages", "k rows/CPU-s", day, &runs.read, |spent| spent.cpu_s),
        rate("sqlx, one statement", "k rows/CPU-s", day, &runs.read_raw, |spent| spent.cpu_s),
    ];
    Row {
        what: format!("{} windows out of the archive, page by page", day.rows),
        against: "one statement that reads the same rows through sqlx alone; CPU a row".to_owned(),
        aim: String::new(),
        result: Figure::times(series[0].median / series[1].median),
        met: None,
        series,
        notes: vec![format!("Pages of {PAGE_LIMIT_MAX}, the file in the kernel's cache.")],
    }
}

fn previewed(day: &Day, runs: &Runs) -> Row {
    let cpu = runs.previewed.iter().map(|spent| spent.cpu_s * 1e3).collect();
    let series = vec![
        Series::new("read, decode, judge", "ms CPU", cpu),
        rate("read, decode, judge", "k windows/CPU-s", day, &runs.previewed, |spent| spent.cpu_s),
    ];
    Row {
        what: format!("preview of {} windows out of the archive", day.rows),
        against: "the full rule, all pages".to_owned(),
        aim: format!("< {PREVIEW_MS_MAX} ms CPU"),
        result: Figure::of(series[0].median, "ms CPU"),
        met: Some(series[0].median < PREVIEW_MS_MAX),
        series,
        notes: vec![format!("{} moments.", runs.moments)],
    }
}
