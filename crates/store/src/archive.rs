//! Windows and moments for good, filled from the log's output so that a crash anywhere neither loses nor doubles a row.

mod moments;

use bytes::Bytes;
use emostream_protocol::{ChannelName, Epoch, Position, limits::RECORD_BYTES_MAX};

pub use moments::{MomentEdit, MomentRecord};

use crate::{
    Page, Store, StoreError,
    channels::read_name,
    database::{Area, many},
    limits::{ARCHIVE_BATCH_ROWS_MAX, TOPIC_CHARS_MAX, check_line},
    page::Limit,
    sql::{Row, Statement, Value, sql, wide},
};

/// A window in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRecord {
    /// Channel.
    pub channel: ChannelName,
    /// Epoch and sequence: with the channel, what the row is known by.
    pub position: Position,
    /// First event time in the window, ms since the Unix epoch.
    pub window_start_ms: i64,
    /// The encoded row of the output, at most [`RECORD_BYTES_MAX`] bytes; the store does not look into it.
    pub row: Bytes,
}

/// Rows to be archived together, at most [`ARCHIVE_BATCH_ROWS_MAX`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArchiveBatch {
    /// Windows.
    pub windows: Vec<WindowRecord>,
    /// Moments.
    pub moments: Vec<MomentRecord>,
}

/// How many rows of a batch were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Archived {
    /// Windows.
    pub windows: u64,
    /// Moments.
    pub moments: u64,
}

/// What an archive is filled from: one partition of a log's output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArchiveSource {
    /// Which log.
    pub epoch: Epoch,
    /// Topic, at most [`TOPIC_CHARS_MAX`] characters.
    pub topic: String,
    /// Partition.
    pub partition: u32,
}

/// Which way a page goes through rows, which stand in the order of (window start, epoch, sequence).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// Which rows of a channel to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveQuery<'a> {
    /// Channel.
    pub channel: &'a ChannelName,
    /// First window start, ms since the Unix epoch.
    pub from_ms: i64,
    /// Window start behind the last one.
    pub to_ms: i64,
    /// Which of them come first.
    pub order: Order,
    /// Where the previous page ended; rows behind it in `order` follow.
    pub after: Option<ArchiveCursor>,
    /// Rows of a page, 1 to [`crate::PAGE_LIMIT_MAX`].
    pub limit: u32,
}

/// A place in the order of archived rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveCursor {
    /// Window start of the last row seen.
    pub window_start_ms: i64,
    /// Its epoch and sequence.
    pub position: Position,
}

impl Store {
    /// Adds rows and moves the source's position to `next_offset`, in one transaction. A row that is there already stays
    /// as it is, the position never goes back: repeating a batch, whole or in part, is harmless.
    pub async fn archive(
        &self,
        batch: &ArchiveBatch,
        source: &ArchiveSource,
        next_offset: u64,
    ) -> Result<Archived, StoreError> {
        if batch.windows.len() + batch.moments.len() > ARCHIVE_BATCH_ROWS_MAX {
            return Err(StoreError::invalid("batch", format!("at most {ARCHIVE_BATCH_ROWS_MAX} rows")));
        }
        let windows = batch.windows.iter().map(window_values).collect::<Result<Vec<_>, _>>()?;
        let moments = batch.moments.iter().map(moments::values).collect::<Result<Vec<_>, _>>()?;
        let position = move_position(source, next_offset)?;
        let mut change = self.database.change(Area::Archive).await?;
        let windows = many::insert(&mut change, WINDOW_COLUMNS, windows).await?;
        let moments = many::insert(&mut change, moments::COLUMNS, moments).await?;
        change.execute(position).await?;
        change.commit().await?;
        Ok(Archived { windows, moments })
    }

    /// The offset of a source from which on rows have not been archived; `None` if none has been.
    pub async fn archive_position(&self, source: &ArchiveSource) -> Result<Option<u64>, StoreError> {
        let query = sql("SELECT next_offset FROM archive_positions
             WHERE epoch = $1 AND log_topic = $2 AND log_partition = $3");
        let query = query.bind(source.epoch.0).bind(source.topic.as_str()).bind(i64::from(source.partition));
        self.database.row(query).await?.map(|row| row.int("next_offset")).transpose()
    }

    /// A page of archived windows.
    pub async fn windows(
        &self,
        query: &ArchiveQuery<'_>,
    ) -> Result<Page<WindowRecord, ArchiveCursor>, StoreError> {
        let limit = Limit::new(query.limit)?;
        let select = Statement::composed(format!(
            "SELECT channel, epoch, seq, window_start_ms, data FROM archived_windows
             WHERE channel = $1 AND {} ORDER BY {} LIMIT $6",
            query.order.range(),
            query.order.columns(),
        ));
        let rows = self.database.rows(query.bind(select, limit)?).await?;
        let windows = rows.iter().map(read_window).collect::<Result<_, _>>()?;
        Ok(limit.page(windows, |row: &WindowRecord| ArchiveCursor {
            window_start_ms: row.window_start_ms,
            position: row.position,
        }))
    }
}

impl Order {
    /// The condition that takes a page's first place as `$2` to `$4` and the other end of the range as `$5`.
    fn range(self) -> &'static str {
        match self {
            Self::Ascending => "(window_start_ms, epoch, seq) > ($2, $3, $4) AND window_start_ms < $5",
            Self::Descending => "(window_start_ms, epoch, seq) < ($2, $3, $4) AND window_start_ms >= $5",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Ascending => "window_start_ms, epoch, seq",
            Self::Descending => "window_start_ms DESC, epoch DESC, seq DESC",
        }
    }
}

impl ArchiveQuery<'_> {
    /// Binds channel, place, the range's other end and limit, in this order, as `$1` to `$6`.
    fn bind(&self, statement: Statement, limit: Limit) -> Result<Statement, StoreError> {
        // Before every row that begins then: behind the rows of the range for those who come from later ones.
        let edge = |start_ms: i64| (start_ms, [0; 16], -1);
        let after = match self.after {
            Some(ArchiveCursor { window_start_ms, position }) => {
                Some((window_start_ms, position.epoch.0, wide("after", position.seq)?))
            }
            None => None,
        };
        let ((start, epoch, seq), end) = match self.order {
            Order::Ascending => {
                let begin = edge(self.from_ms);
                (after.map_or(begin, |after| begin.max(after)), self.to_ms)
            }
            Order::Descending => {
                let begin = edge(self.to_ms);
                (after.map_or(begin, |after| begin.min(after)), self.from_ms)
            }
        };
        Ok(statement
            .bind(self.channel.as_str())
            .bind(start)
            .bind(epoch)
            .bind(seq)
            .bind(end)
            .bind(limit.fetch()))
    }
}

const WINDOW_COLUMNS: many::Target = many::Target {
    table: "archived_windows",
    columns: &["channel", "epoch", "seq", "window_start_ms", "data"],
    on_conflict: "DO NOTHING",
};

fn window_values(window: &WindowRecord) -> Result<Vec<Value>, StoreError> {
    if window.row.len() > RECORD_BYTES_MAX {
        return Err(StoreError::invalid("row", format!("at most {RECORD_BYTES_MAX} bytes")));
    }
    Ok(vec![
        window.channel.as_str().into(),
        window.position.epoch.0.into(),
        wide("seq", window.position.seq)?.into(),
        window.window_start_ms.into(),
        window.row.as_ref().into(),
    ])
}

fn move_position(source: &ArchiveSource, next_offset: u64) -> Result<Statement, StoreError> {
    check_line("topic", &source.topic, TOPIC_CHARS_MAX)?;
    let statement = sql(
        "INSERT INTO archive_positions (epoch, log_topic, log_partition, next_offset) VALUES ($1, $2, $3, $4)
         ON CONFLICT (epoch, log_topic, log_partition) DO UPDATE SET next_offset = excluded.next_offset
         WHERE excluded.next_offset > archive_positions.next_offset",
    );
    Ok(statement
        .bind(source.epoch.0)
        .bind(source.topic.as_str())
        .bind(i64::from(source.partition))
        .bind(wide("next_offset", next_offset)?))
}

fn read_position(row: &Row) -> Result<Position, StoreError> {
    Ok(Position { epoch: Epoch(row.id("epoch")?), seq: row.int("seq")? })
}

fn read_window(row: &Row) -> Result<WindowRecord, StoreError> {
    Ok(WindowRecord {
        channel: read_name(row, "channel")?,
        position: read_position(row)?,
        window_start_ms: row.get("window_start_ms")?,
        row: row.get::<Vec<u8>>("data")?.into(),
    })
}
