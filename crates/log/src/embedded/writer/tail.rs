//! The end of one partition, where records are written. A round writes, syncs and publishes; whatever fails in
//! between is cut away or left behind in an abandoned segment, and never acknowledged.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use super::{
    super::{
        config::Chance,
        disk::{DiskFile, write_all},
        files::{
            frame::{self, FrameHeader, frame_bytes},
            index::Place,
            segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader},
        },
        partition::Partition,
    },
    queue::{Append, Room},
};
use crate::{Appended, LogError, Offset, locks};

/// A partition's writing end. Owned by the writer; readers see what it publishes.
pub(crate) struct Tail {
    pub(crate) partition: Arc<Partition>,
    /// Index of its topic in the log.
    pub(crate) topic: usize,
    segment_bytes: u64,
    current: Option<Current>,
    /// Offset of the next record.
    next: Offset,
    /// Everything below it is synced.
    synced: Offset,
    last_time_ms: i64,
    /// A sync has failed and no new segment has been created since.
    poisoned: bool,
    /// The newest append was refused.
    refusing: bool,
    pub(crate) pending: Vec<Append>,
    written: Option<Written>,
}

struct Current {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    position: u64,
}

/// A round's frames, written but not yet synced.
struct Written {
    answers: Vec<Appended>,
    places: Vec<Place>,
    next: Offset,
    position: u64,
    append_time_ms: i64,
}

impl Tail {
    /// Continues a recovered partition; `file` is that of its newest segment if that can be written on.
    pub(crate) fn new(
        partition: Arc<Partition>,
        topic: usize,
        segment_bytes: u64,
        file: Option<Arc<dyn DiskFile>>,
    ) -> Self {
        let newest = locks::read(&partition.segments).last().cloned();
        let end = *partition.end.borrow();
        let last_time_ms = newest.as_ref().map_or(i64::MIN, |segment| segment.last_time_ms());
        let current = newest.zip(file).map(|(segment, file)| {
            let position = segment.end_position();
            Current { segment, file, position }
        });
        Self {
            partition,
            topic,
            segment_bytes,
            current,
            next: end,
            synced: end,
            last_time_ms,
            poisoned: false,
            refusing: false,
            pending: Vec::new(),
            written: None,
        }
    }

    /// Bytes that the pending appends will take.
    pub(crate) fn pending_bytes(&self) -> u64 {
        let values = self.pending.iter().flat_map(|append| &append.values);
        values.map(|value| frame_bytes(value.len()) as u64).sum()
    }

    /// The room that all pending appends may use.
    pub(crate) fn pending_room(&self) -> Room {
        let common = self.pending.iter().any(|append| append.room == Room::Common);
        if common { Room::Common } else { Room::Reserved }
    }

    /// Whether there are records that no sync has covered.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.next
    }

    /// Refuses the pending appends of writers that have been fenced.
    pub(crate) fn refuse_fenced(&mut self) {
        for append in std::mem::take(&mut self.pending) {
            match append.claim.as_ref().map_or(Ok(()), |claim| claim.check()) {
                Ok(()) => self.pending.push(append),
                Err(error) => append.answer(Err(error)),
            }
        }
    }

    /// Refuses all pending appends.
    pub(crate) fn refuse(&mut self, error: &LogError) {
        self.begins_to_refuse(error);
        for append in self.pending.drain(..) {
            append.answer(Err(error.clone()));
        }
    }

    /// Refuses the pending appends that may not use the reserve.
    pub(crate) fn refuse_common(&mut self, error: &LogError) {
        self.begins_to_refuse(error);
        for append in self.pending.extract_if(.., |append| append.room == Room::Common) {
            append.answer(Err(error.clone()));
        }
    }

    /// Said once, not for every append: there may be thousands a second.
    fn begins_to_refuse(&mut self, error: &LogError) {
        if !std::mem::replace(&mut self.refusing, true) {
            tracing::warn!(partition = %self.partition.name, %error, "appends are refused");
        }
    }

    /// Writes the pending appends behind the durable end.
    pub(crate) fn write(
        &mut self,
        now_ms: i64,
        chance: &mut Chance,
        buffer: &mut Vec<u8>,
    ) -> Result<(), LogError> {
        let append_time_ms = now_ms.max(self.last_time_ms);
        self.make_room(append_time_ms, chance)?;
        let Some(current) = &self.current else { return Err(LogError::Closed) };
        buffer.clear();
        let written = encode(current, &self.pending, (self.next, self.synced), append_time_ms, buffer);
        if let Err(error) = write_all(&*current.file, buffer, current.position) {
            let error = LogError::io("append to", &current.segment.path, &error);
            self.cut_back();
            return Err(error);
        }
        self.written = Some(written);
        Ok(())
    }

    /// Makes the written frames durable. After a failure this file is never synced again: the kernel may have
    /// dropped what it could not write, and would say that all is well.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        let Some(current) = &self.current else { return Ok(()) };
        match current.file.sync_data() {
            Ok(()) => {
                self.synced = self.written.as_ref().map_or(self.next, |written| written.next);
                Ok(())
            }
            Err(error) => {
                let error = LogError::io("sync", &current.segment.path, &error);
                self.abandon();
                Err(error)
            }
        }
    }

    /// Shows the written frames to readers and answers their appends.
    pub(crate) fn publish(&mut self) {
        let (Some(written), Some(current)) = (self.written.take(), &mut self.current) else { return };
        current.segment.publish(&written.places, written.next, written.position, written.append_time_ms);
        self.partition.bytes.fetch_add(written.position - current.position, Ordering::SeqCst);
        current.position = written.position;
        self.next = written.next;
        self.last_time_ms = written.append_time_ms;
        self.partition.end.send_replace(written.next);
        // Records in the reserve say nothing about whether others are taken again.
        if self.pending_room() == Room::Common && std::mem::take(&mut self.refusing) {
            tracing::info!(partition = %self.partition.name, "appends are taken again");
        }
        for (append, answer) in self.pending.drain(..).zip(written.answers) {
            append.answer(Ok(answer));
        }
    }

    /// Ends the newest segment: it can be deleted from now on, and the next append begins another.
    pub(crate) fn seal(&mut self) {
        // What a later segment follows must be durable, or its loss would look like damage.
        if self.is_dirty() && self.sync().is_err() {
            tracing::error!(partition = %self.partition.name, "sync failed while sealing a segment");
        }
        if let Some(current) = self.current.take() {
            current.segment.seal(&*self.partition.disk);
        }
    }

    /// For a graceful stop: all durable, and the index as proof of how far.
    pub(crate) fn finish(&mut self) -> Result<(), LogError> {
        if self.is_dirty() {
            self.sync()?;
        }
        if let Some(current) = &self.current {
            current.segment.save_index(&*self.partition.disk);
        }
        Ok(())
    }

    /// Seals a segment that would grow too large and creates one where there is none.
    fn make_room(&mut self, append_time_ms: i64, chance: &mut Chance) -> Result<(), LogError> {
        let bytes = self.pending_bytes();
        let full = |current: &Current| {
            current.position > SEGMENT_HEADER_BYTES && current.position + bytes > self.segment_bytes
        };
        if self.current.as_ref().is_some_and(full) {
            self.seal();
        }
        if self.current.is_some() {
            return Ok(());
        }
        let base_time_ms = if self.last_time_ms == i64::MIN { append_time_ms } else { self.last_time_ms };
        let header = SegmentHeader { salt: chance.salt(), base: self.next, base_time_ms };
        let segment = match Segment::create(&*self.partition.disk, &self.partition.dir, header) {
            Ok(segment) => Arc::new(segment),
            // Neither the old file nor a new one can be trusted.
            Err(error @ LogError::Io { .. }) if self.poisoned => {
                return Err(LogError::Failed(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let file = segment.file(&*self.partition.disk);
        let file = file.map_err(|error| LogError::io("open", &segment.path, &error))?;
        let mut segments = locks::write(&self.partition.segments);
        // An abandoned segment without durable records had the same base, and the new file has taken its name.
        let replaced = segments.pop_if(|last| last.header.base == header.base);
        segments.push(Arc::clone(&segment));
        drop(segments);
        if replaced.is_none() {
            self.partition.bytes.fetch_add(SEGMENT_HEADER_BYTES, Ordering::SeqCst);
        }
        self.current = Some(Current { segment, file, position: SEGMENT_HEADER_BYTES });
        self.poisoned = false;
        Ok(())
    }

    /// Removes what a failed write left behind. Synced, because later frames in its place could otherwise be
    /// followed by its remains after a crash.
    fn cut_back(&mut self) {
        let Some(current) = &self.current else { return };
        match current.file.truncate(current.position).and_then(|()| current.file.sync_data()) {
            Ok(()) => self.synced = self.next,
            Err(error) => {
                tracing::error!(partition = %self.partition.name, %error, "failed write not cut back");
                self.abandon();
            }
        }
    }

    /// Leaves the segment at its durable end. The base of the next one tells recovery to ignore what may lie
    /// behind it.
    fn abandon(&mut self) {
        self.written = None;
        self.poisoned = true;
        // What was acknowledged without a sync stays acknowledged.
        self.synced = self.next;
        if let Some(current) = self.current.take() {
            let path: &PathBuf = &current.segment.path;
            tracing::error!(file = %path.display(), "segment abandoned after a failed sync");
            current.segment.seal(&*self.partition.disk);
        }
    }
}

/// Puts the appends' frames into the buffer.
fn encode(
    current: &Current,
    appends: &[Append],
    (first, durable_through): (Offset, Offset),
    append_time_ms: i64,
    buffer: &mut Vec<u8>,
) -> Written {
    let mut offset = first;
    let mut answers = Vec::with_capacity(appends.len());
    let mut places = Vec::new();
    let mut marked = None;
    for append in appends {
        answers.push(Appended { first_offset: offset, append_time_ms });
        let count = u32::try_from(append.values.len()).expect("the queue's byte limit keeps appends small");
        for (value, remaining) in append.values.iter().zip((0..count).rev()) {
            let position = current.position + buffer.len() as u64;
            // Much finer than the index keeps them would only be thrown away.
            if marked.is_none_or(|marked| position >= marked + 4096) {
                places.push(Place { offset, position, append_time_ms });
                marked = Some(position);
            }
            let header = FrameHeader { remaining, offset, append_time_ms, durable_through };
            frame::encode(buffer, current.segment.header.salt, &header, value);
            offset += 1;
        }
    }
    Written {
        answers,
        places,
        next: offset,
        position: current.position + buffer.len() as u64,
        append_time_ms,
    }
}
