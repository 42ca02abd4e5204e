//! Reads a segment from its first frame to its last and tells a torn tail from damage.
//!
//! Bytes that make no frame are a torn tail when nothing behind them proves that they were once acknowledged.
//! The proof is a whole frame further on that was written when the missing offset was durable already, a later
//! segment, or an index written when the log was closed.

use std::io;

use super::{
    super::disk::{DiskFile, read_full},
    frame::{self, Decoded, FRAME_HEADER_BYTES, FrameHeader, frame_bytes},
    index::{Extent, Place, SparseIndex},
    segment::{SEGMENT_HEADER_BYTES, SegmentHeader},
};
use crate::Offset;

/// Bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What the scan should hold the file against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// A later segment begins at this offset, so everything below it was durable.
    Sealed(Offset),
    /// The newest segment; everything below this offset is known to have been durable.
    Newest(Offset),
}

/// A hole in what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) offset: Offset,
    pub(crate) position: u64,
    pub(crate) detail: String,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) extent: Extent,
    pub(crate) records: u64,
    pub(crate) holes: Vec<Hole>,
    /// A place before which everything is known to have been durable.
    pub(crate) proven: Place,
    /// Bytes after the last frame that counts.
    pub(crate) torn_bytes: u64,
    /// The records at the end are lost, so nothing can be written behind them in this file.
    pub(crate) end_lost: bool,
}

/// Scans a segment whose header is known.
pub(crate) fn scan(file: &dyn DiskFile, header: &SegmentHeader, expect: Expect) -> io::Result<Scan> {
    let mut window = Window { file, len: file.len()?, start: 0, bytes: Vec::new() };
    let mut walk = Walk::new(header);
    loop {
        if matches!(expect, Expect::Sealed(end) if walk.offset == end) {
            break;
        }
        match window.frame(walk.position, header.salt)? {
            Ok((frame, length)) => match walk.refusal(&frame) {
                None => walk.take(&frame, length, false),
                Some(detail) => {
                    if !walk.hole(&mut window, header.salt, expect, detail)? {
                        break;
                    }
                }
            },
            Err(_) if walk.position == window.len && walk.all_there(expect) => break,
            Err(detail) => {
                if !walk.hole(&mut window, header.salt, expect, detail)? {
                    break;
                }
            }
        }
    }
    if matches!(expect, Expect::Newest(_)) {
        walk.drop_unfinished_append();
    }
    Ok(walk.finish(window.len))
}

/// The state of a scan between two frames.
struct Walk {
    offset: Offset,
    position: u64,
    last_time_ms: i64,
    remaining: u32,
    /// Where the append of the last frame began: offset, position, and the time before it.
    append_start: Place,
    index: SparseIndex,
    records: u64,
    holes: Vec<Hole>,
    proven: Offset,
    proven_place: Place,
    end_lost: bool,
}

impl Walk {
    fn new(header: &SegmentHeader) -> Self {
        let start = Place {
            offset: header.base,
            position: SEGMENT_HEADER_BYTES,
            append_time_ms: header.base_time_ms,
        };
        Self {
            offset: start.offset,
            position: start.position,
            last_time_ms: start.append_time_ms,
            remaining: 0,
            append_start: start,
            index: SparseIndex::default(),
            records: 0,
            holes: Vec::new(),
            proven: header.base,
            proven_place: start,
            end_lost: false,
        }
    }

    /// Why a whole frame cannot be the next one.
    fn refusal(&self, frame: &FrameHeader) -> Option<&'static str> {
        if frame.offset != self.offset {
            Some("frame has another offset")
        } else if self.remaining > 0 && frame.remaining != self.remaining - 1 {
            Some("frame is of another append")
        } else {
            None
        }
    }

    fn take(&mut self, frame: &FrameHeader, length: usize, after_hole: bool) {
        let place =
            Place { offset: frame.offset, position: self.position, append_time_ms: self.last_time_ms };
        if self.remaining == 0 || after_hole {
            self.append_start = place;
        }
        if frame.durable_through > self.proven {
            self.proven = frame.durable_through;
            if frame.offset == frame.durable_through {
                self.proven_place = place;
            }
        }
        self.index.note(Place { append_time_ms: frame.append_time_ms, ..place }, after_hole);
        self.last_time_ms = self.last_time_ms.max(frame.append_time_ms);
        self.remaining = frame.remaining;
        self.records += 1;
        self.offset = frame.offset + 1;
        self.position += frame_bytes(length) as u64;
    }

    /// Everything that must be in the file has been seen.
    fn all_there(&self, expect: Expect) -> bool {
        match expect {
            Expect::Sealed(end) => self.offset >= end,
            Expect::Newest(floor) => self.offset >= floor,
        }
    }

    /// Handles bytes that are not the next frame. `false` when the scan ends here.
    fn hole(&mut self, window: &mut Window, salt: u32, expect: Expect, detail: &str) -> io::Result<bool> {
        let (mut proven, limit) = match expect {
            Expect::Sealed(end) => (end, end),
            Expect::Newest(floor) => (floor, Offset::MAX),
        };
        // The frame at this very place may be whole and wrong, so the search begins one byte on.
        let mut next = None;
        let mut from = self.position + 1;
        while let Some((position, frame, length)) = window.find(from, salt)? {
            if frame.offset > self.offset && frame.offset < limit {
                next.get_or_insert((position, frame, length));
                proven = proven.max(frame.durable_through);
            }
            from = position + frame_bytes(length) as u64;
        }
        if proven <= self.offset {
            return Ok(false);
        }
        self.holes.push(Hole { offset: self.offset, position: self.position, detail: detail.to_owned() });
        match next {
            Some((position, frame, length)) => {
                self.position = position;
                self.take(&frame, length, true);
                Ok(true)
            }
            None => {
                self.offset = proven;
                self.end_lost = true;
                Ok(false)
            }
        }
    }

    /// An append is there as a whole or not at all.
    fn drop_unfinished_append(&mut self) {
        if self.remaining > 0 && self.append_start.offset >= self.proven && !self.end_lost {
            self.records -= self.offset - self.append_start.offset;
            self.offset = self.append_start.offset;
            self.position = self.append_start.position;
            self.last_time_ms = self.append_start.append_time_ms;
            self.index.cut(self.offset);
        }
    }

    fn finish(self, file_len: u64) -> Scan {
        let end = Place { offset: self.offset, position: self.position, append_time_ms: self.last_time_ms };
        Scan {
            extent: Extent {
                end_offset: end.offset,
                end_position: end.position,
                last_time_ms: end.append_time_ms,
                index: self.index,
            },
            records: self.records,
            holes: self.holes,
            proven: if self.proven_place.position < end.position { self.proven_place } else { end },
            torn_bytes: file_len.saturating_sub(end.position),
            end_lost: self.end_lost,
        }
    }
}

/// A piece of the file in memory that moves along with the scan.
struct Window<'a> {
    file: &'a dyn DiskFile,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes from a position on, at least `need` of them unless the file ends before.
    fn at(&mut self, position: u64, need: usize) -> io::Result<&[u8]> {
        let held = self.start + self.bytes.len() as u64;
        let enough = held.min(self.len) >= (position + need as u64).min(self.len);
        if position < self.start || position > held || !enough {
            let rest = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
            self.bytes.resize(need.max(WINDOW_BYTES).min(rest), 0);
            let filled = read_full(self.file, &mut self.bytes, position)?;
            self.bytes.truncate(filled);
            self.start = position;
        }
        let skip = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    /// The frame at a position and the bytes of its value, or why there is none.
    fn frame(&mut self, position: u64, salt: u32) -> io::Result<Result<(FrameHeader, usize), &'static str>> {
        let mut need = FRAME_HEADER_BYTES;
        loop {
            if position + need as u64 > self.len {
                return Ok(Err("the file ends within the frame"));
            }
            match frame::decode(self.at(position, need)?, salt) {
                Decoded::Whole(header, length) => return Ok(Ok((header, length))),
                Decoded::Bad(detail) => return Ok(Err(detail)),
                // The file became shorter while it was read.
                Decoded::Incomplete(more) if more == need => {
                    return Ok(Err("the file ends within the frame"));
                }
                Decoded::Incomplete(more) => need = more,
            }
        }
    }

    /// The next whole frame at or after a position.
    fn find(&mut self, mut from: u64, salt: u32) -> io::Result<Option<(u64, FrameHeader, usize)>> {
        while from + FRAME_HEADER_BYTES as u64 <= self.len {
            let bytes = self.at(from, FRAME_HEADER_BYTES)?;
            let held = bytes.len();
            match frame::find_magic(bytes, 0) {
                Some(at) => {
                    let position = from + at as u64;
                    if let Ok((header, length)) = self.frame(position, salt)? {
                        return Ok(Some((position, header, length)));
                    }
                    from = position + 1;
                }
                // The magic may lie across the edge of the window.
                None => from += held.saturating_sub(3).max(1) as u64,
            }
        }
        Ok(None)
    }
}
