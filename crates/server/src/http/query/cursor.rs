//! Where a page ended, as clients give it back.

use std::fmt;

use emostream_log::Offset;
use emostream_store::ArchiveCursor;

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor {
    /// In the output log. Written `offset-seq`.
    Log(LogCursor),
    /// In the archive. Written `start.epoch.seq`.
    Archive(ArchiveCursor),
}

/// The next offset to look at, and the newest sequence looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogCursor {
    pub(super) offset: Offset,
    pub(super) seq: u64,
}

impl Cursor {
    /// Reads a cursor of either form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((start, position)) = text.split_once('.') {
            let window_start_ms = start.parse().ok()?;
            let position: emostream_protocol::Position = position.parse().ok()?;
            // Sequences in the store have 63 bits.
            i64::try_from(position.seq).ok()?;
            return Some(Self::Archive(ArchiveCursor { window_start_ms, position }));
        }
        let (offset, seq) = text.split_once('-')?;
        Some(Self::Log(LogCursor { offset: offset.parse().ok()?, seq: seq.parse().ok()? }))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(cursor) => write!(f, "{}-{}", cursor.offset, cursor.seq),
            Self::Archive(cursor) => write!(f, "{}.{}", cursor.window_start_ms, cursor.position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        for text in [
            "12-345",
            "1775502000000.000102030405060708090a0b0c0d0e0f.454528589312000",
            "-5.ffffffffffffffffffffffffffffffff.0",
        ] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        let epoch = "0".repeat(32);
        for bad in
            ["", "x", "0", "-1", "1-", "1.2", &format!("1.{epoch}"), &format!("1.{epoch}.{}", u64::MAX)]
        {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
