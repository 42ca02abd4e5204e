//! A recorded series: rows of a CSV file, put into windows of one length.

use std::{collections::BTreeMap, io::Read};

use emostream_moments::rule::Judged;
use emostream_protocol::{EmoteId, Emotes, time};

/// Name of the one series where no column tells emotes apart.
const ALL: &str = "all";
/// Bins shorter than this are added up.
const BIN_MS_MIN: i64 = 500;
/// Windows of added-up bins are at least as long.
const WINDOW_MS_MIN: i64 = 1_000;
/// Longest bin: one day.
const BIN_MS_MAX: i64 = 86_400_000;
/// Most different emotes in a file.
const EMOTES_MAX: usize = 4_096;
/// Most rows: more than a year of seconds. Bounds the memory, 40 bytes each.
const ROWS_MAX: usize = 40_000_000;
/// Counts beyond this are a mistake, and sums of them would not be exact.
const COUNT_MAX: f64 = 1e12;

/// Why a file is no series: the place, and what was expected there.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {expected}")]
pub(super) struct SeriesError {
    line: u64,
    /// From 1 on, in fields.
    column: usize,
    expected: String,
}

/// Counts per window and emote.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Length of every window.
    pub(super) window_ms: i64,
    /// Names, in order of first appearance.
    pub(super) emotes: Vec<String>,
    first_ms: i64,
    /// By window, then emote, each pair once. A row's time is its window, from 0 on.
    cells: Vec<Row>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: u64,
    reactors: Option<u64>,
}

/// A row, kept small: a file may have millions.
#[derive(Debug)]
struct Row {
    /// In ms, or the number that was written, whose unit shows when all are known. Whole below 2⁵³, hence exact.
    time: f64,
    cell: Cell,
    line: u32,
    emote: u16,
    is_number: bool,
}

/// Places of the columns.
struct Columns {
    time: usize,
    count: usize,
    emote: Option<usize>,
    reactors: Option<usize>,
}

impl Series {
    /// Reads a whole file, row by row; memory is bounded by the rows.
    pub(super) fn read(input: impl Read) -> Result<Self, SeriesError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(input);
        let columns = Columns::find(reader.byte_headers().map_err(|error| no_csv(&error))?)?;
        let (mut rows, mut emotes) = (Vec::new(), Emote::default());
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|error| no_csv(&error))? {
            let line = record.position().map_or(0, csv::Position::line);
            if rows.len() >= ROWS_MAX {
                return Err(SeriesError {
                    line,
                    column: 1,
                    expected: format!("expected at most {ROWS_MAX} rows"),
                });
            }
            rows.push(columns.row(line, &record, &mut emotes)?);
        }
        Self::of(rows, emotes.names)
    }

    fn of(mut rows: Vec<Row>, emotes: Vec<String>) -> Result<Self, SeriesError> {
        numbers_to_ms(&mut rows)?;
        let mut times: Vec<i64> = rows.iter().map(|row| row.time as i64).collect();
        times.sort_unstable();
        times.dedup();
        let Some(first_ms) = times.first().copied() else {
            return Ok(Self { window_ms: 1, ..Self::default() });
        };
        let bin_ms = bin_ms(&times);
        drop(times);
        if bin_ms > BIN_MS_MAX {
            let expected = format!("expected bins of at most a day, the rows are {} s apart", bin_ms / 1_000);
            return Err(SeriesError { line: u64::from(rows[0].line), column: 1, expected });
        }
        let bins = if bin_ms < BIN_MS_MIN { (WINDOW_MS_MIN + bin_ms - 1) / bin_ms } else { 1 };
        // Halves up: a bin whose time is written a little late or early is still that bin.
        let bin = |time_ms: i64| (2 * (time_ms - first_ms) + bin_ms).div_euclid(2 * bin_ms);
        gather(&mut rows, bin, Cell::add);
        if bins > 1 {
            gather(&mut rows, |bin| bin.div_euclid(bins), Cell::widen);
        }
        Ok(Self { window_ms: bin_ms * bins, emotes, first_ms, cells: rows })
    }

    /// Ids for the series' names.
    pub(super) fn register(&self, emotes: &Emotes) -> anyhow::Result<Vec<EmoteId>> {
        let register = |index| emotes.register_custom(&format!(":series-{index}:"));
        Ok((0..self.emotes.len()).map(register).collect::<Result<_, _>>()?)
    }

    /// Start of each window and what is judged in it, ascending. The first is there even if it is empty: from it on
    /// the series was watched.
    pub(super) fn windows(&self, ids: &[EmoteId]) -> impl Iterator<Item = (i64, Vec<Judged>)> {
        self.cells.chunk_by(|a, b| a.time == b.time).map(|rows| {
            let judged = rows.iter().map(|row| Judged {
                emote: ids[usize::from(row.emote)],
                count: row.cell.count,
                reactors: row.cell.reactors,
            });
            (
                self.first_ms + rows[0].time as i64 * self.window_ms,
                judged.filter(|judged| judged.count > 0).collect::<Vec<_>>(),
            )
        })
    }
}

/// Puts every row where `place` says for its time, and joins those that meet there.
fn gather(rows: &mut Vec<Row>, place: impl Fn(i64) -> i64, join: impl Fn(&mut Cell, Cell)) {
    rows.iter_mut().for_each(|row| row.time = place(row.time as i64) as f64);
    rows.sort_unstable_by_key(|row| (row.time as i64, row.emote));
    rows.dedup_by(|row, kept| {
        let meet = (row.time, row.emote) == (kept.time, kept.emote);
        if meet {
            join(&mut kept.cell, row.cell);
        }
        meet
    });
}

impl Cell {
    /// Adds a row of the same bin.
    fn add(&mut self, row: Self) {
        self.count = self.count.saturating_add(row.count);
        self.reactors = match (self.reactors, row.reactors) {
            (Some(reactors), Some(more)) => Some(reactors.saturating_add(more)),
            (reactors, more) => reactors.or(more),
        };
    }

    /// Adds a neighbouring bin. Nobody knows how many of its users were there before: the larger number is certain.
    fn widen(&mut self, bin: Self) {
        self.count = self.count.saturating_add(bin.count);
        self.reactors = self.reactors.max(bin.reactors);
    }
}

#[derive(Default)]
struct Emote {
    names: Vec<String>,
    known: BTreeMap<String, u16>,
}

impl Emote {
    fn index(&mut self, name: &str) -> Option<u16> {
        if let Some(index) = self.known.get(name) {
            return Some(*index);
        }
        if self.names.len() >= EMOTES_MAX {
            return None;
        }
        let index = u16::try_from(self.names.len()).ok()?;
        self.known.insert(name.to_owned(), index);
        self.names.push(name.to_owned());
        Some(index)
    }
}

impl Columns {
    fn find(header: &csv::ByteRecord) -> Result<Self, SeriesError> {
        let find = |name: &str| header.iter().position(|field| field.eq_ignore_ascii_case(name.as_bytes()));
        let needed = |name: &str| {
            let names: Vec<_> = header.iter().take(8).map(|field| String::from_utf8_lossy(field)).collect();
            let got: String = names.join(",").chars().take(80).collect();
            let expected = "expected a first line that names the columns, one of them";
            let expected = format!("{expected} `{name}`; got {got:?}, separated by commas");
            find(name).ok_or(SeriesError { line: 1, column: 1, expected })
        };
        for (index, field) in header.iter().enumerate() {
            let repeated = find(&String::from_utf8_lossy(field)).is_some_and(|first| first != index);
            if repeated
                && ["time", "count", "emote", "reactors"]
                    .iter()
                    .any(|name| find(name).is_some_and(|first| header[first].eq_ignore_ascii_case(field)))
            {
                let expected = format!("expected the column `{}` once", String::from_utf8_lossy(field));
                return Err(SeriesError { line: 1, column: index + 1, expected });
            }
        }
        Ok(Self {
            time: needed("time")?,
            count: needed("count")?,
            emote: find("emote"),
            reactors: find("reactors"),
        })
    }

    fn row(&self, line: u64, record: &csv::ByteRecord, emotes: &mut Emote) -> Result<Row, SeriesError> {
        let wrong = |place: usize, expected: String| SeriesError { line, column: place + 1, expected };
        let text = |place: usize| {
            let field = record
                .get(place)
                .ok_or_else(|| wrong(place, "expected a value, the line ends before it".into()))?;
            std::str::from_utf8(field).map_err(|_| wrong(place, "expected UTF-8".into()))
        };
        let number = |place: usize| {
            let field = text(place)?;
            let value = field.parse::<f64>().ok().filter(|value| (0.0..=COUNT_MAX).contains(value));
            let expected = || format!("expected a number from 0 to {COUNT_MAX}, got {field:?}");
            value.map(|value| value.round() as u64).ok_or_else(|| wrong(place, expected()))
        };
        let time = text(self.time)?;
        let (time, is_number) = match time.parse::<f64>() {
            Ok(number) if number.is_finite() => (number, true),
            _ => time::parse_ms(time).map(|ms| (ms as f64, false)).map_err(|_| {
                let expected = "expected an RFC 3339 time such as 2026-04-06T10:32:11Z, or Unix seconds";
                wrong(self.time, format!("{expected}, got {time:?}"))
            })?,
        };
        let name = self.emote.map_or(Ok(ALL), |place| record.get(place).map_or(Ok(ALL), |_| text(place)))?;
        let name = if name.is_empty() { ALL } else { name };
        let emote = emotes.index(name).ok_or_else(|| {
            wrong(self.emote.unwrap_or(0), format!("expected at most {EMOTES_MAX} different emotes"))
        })?;
        let reactors = match self.reactors {
            Some(place) if record.get(place).is_some_and(|field| !field.is_empty()) => Some(number(place)?),
            _ => None,
        };
        let cell = Cell { count: number(self.count)?, reactors };
        Ok(Row { time, cell, line: u32::try_from(line).unwrap_or(u32::MAX), emote, is_number })
    }
}

fn no_csv(error: &csv::Error) -> SeriesError {
    let line = error.position().map_or(1, csv::Position::line);
    let what = if error.is_io_error() { "a file that can be read" } else { "CSV" };
    SeriesError { line, column: 1, expected: format!("expected {what}: {error}") }
}

/// Makes all times ms. Numbers are Unix seconds unless they are so large that this would be after the year 5000.
fn numbers_to_ms(rows: &mut [Row]) -> Result<(), SeriesError> {
    let numbers = rows.iter().filter(|row| row.is_number);
    let to_ms = match numbers.map(|row| row.time.abs()).fold(0.0, f64::max) {
        largest if largest < 1e11 => 1e3,
        largest if largest < 1e14 => 1.0,
        largest if largest < 1e17 => 1e-3,
        _ => 1e-6,
    };
    for row in rows.iter_mut().filter(|row| row.is_number) {
        row.time = (row.time * to_ms).round();
        // 2⁵² ms: the same distance below the limit of exact numbers keeps differences exact.
        if row.time.abs() >= 4.5e15 {
            let expected = "expected a time between the years 0 and 9999".to_owned();
            return Err(SeriesError { line: u64::from(row.line), column: 1, expected });
        }
    }
    Ok(())
}

/// The length of a bin, from different times that ascend: the most common distance of neighbouring times if the others are multiples of it (empty bins
/// were left out), else what all are multiples of, if that is not tiny (most bins were left out), else again the most
/// common one (times are not exact).
fn bin_ms(sorted: &[i64]) -> i64 {
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in sorted.windows(2) {
        *distances.entry(pair[1] - pair[0]).or_default() += 1;
    }
    let Some((common, _)) = distances.iter().max_by_key(|(distance, times)| (**times, -**distance)) else {
        return WINDOW_MS_MIN;
    };
    let divisor = distances.keys().fold(0, |a, b| greatest_common_divisor(a, *b));
    if divisor * 20 >= *common { divisor } else { *common }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
