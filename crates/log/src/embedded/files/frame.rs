//! One record on disk: a header that proves itself, then the value.
//!
//! ```text
//!  0 magic        u32   "EMOF"
//!  4 length       u32   bytes of the value
//!  8 crc32c       u32   over the segment's salt and everything but magic and itself
//! 12 remaining    u32   records of the same append that follow this one
//! 16 offset       u64
//! 24 append time  i64   ms since the Unix epoch
//! 32 durable      u64   everything below this offset was synced when the frame was written
//! 40 value
//! ```
//! Numbers are little endian. The salt keeps bytes inside a value from posing as a frame when the log looks for
//! whole frames behind a damaged one.

use crate::Offset;

/// Bytes before the value.
pub(crate) const FRAME_HEADER_BYTES: usize = 40;

const MAGIC: [u8; 4] = *b"EMOF";

/// What a frame says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) remaining: u32,
    pub(crate) offset: Offset,
    pub(crate) append_time_ms: i64,
    pub(crate) durable_through: Offset,
}

/// What the bytes at a place turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A frame, with the bytes of its value.
    Whole(FrameHeader, usize),
    /// A frame may be here, if there are this many bytes.
    Incomplete(usize),
    /// No frame.
    Bad(&'static str),
}

/// Bytes of a frame around a value.
pub(crate) fn frame_bytes(value: usize) -> usize {
    FRAME_HEADER_BYTES + value
}

/// Appends a frame to a buffer. The value's length fits 32 bits: the log's record limit is checked before.
pub(crate) fn encode(into: &mut Vec<u8>, salt: u32, header: &FrameHeader, value: &[u8]) {
    let length = u32::try_from(value.len()).expect("the record limit is below 4 GiB");
    let start = into.len();
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&header.remaining.to_le_bytes());
    into.extend_from_slice(&header.offset.to_le_bytes());
    into.extend_from_slice(&header.append_time_ms.to_le_bytes());
    into.extend_from_slice(&header.durable_through.to_le_bytes());
    into.extend_from_slice(value);
    let crc = checksum(salt, &into[start..]);
    into[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame that begins where the bytes begin.
pub(crate) fn decode(bytes: &[u8], salt: u32) -> Decoded {
    let Some(head) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        return Decoded::Incomplete(FRAME_HEADER_BYTES);
    };
    if head[..4] != MAGIC {
        return Decoded::Bad("no frame begins here");
    }
    let length = number(head, 4) as usize;
    let Some(frame) = bytes.get(..frame_bytes(length)) else {
        return Decoded::Incomplete(frame_bytes(length));
    };
    if number(head, 8) != checksum(salt, frame) {
        return Decoded::Bad("checksum does not match");
    }
    let header = FrameHeader {
        remaining: number(head, 12),
        offset: long(head, 16),
        append_time_ms: long(head, 24).cast_signed(),
        durable_through: long(head, 32),
    };
    Decoded::Whole(header, length)
}

/// Where in the bytes the next frame may begin, from `from` on.
pub(crate) fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(MAGIC.len()).position(|window| window == MAGIC).map(|at| from + at)
}

fn checksum(salt: u32, frame: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &frame[4..8]);
    crc32c::crc32c_append(crc, &frame[12..])
}

fn number(head: &[u8; FRAME_HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

fn long(head: &[u8; FRAME_HEADER_BYTES], at: usize) -> u64 {
    u64::from(number(head, at)) | u64::from(number(head, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: FrameHeader =
        FrameHeader { remaining: 2, offset: 7, append_time_ms: -3, durable_through: 5 };

    #[test]
    fn a_frame_reads_back_as_written() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 9, &HEADER, b"value");
        assert_eq!(decode(&bytes, 9), Decoded::Whole(HEADER, 5));
        assert_eq!(decode(&bytes[..39], 9), Decoded::Incomplete(40));
        assert_eq!(decode(&bytes[..44], 9), Decoded::Incomplete(45));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 9, &HEADER, b"value");
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&bytes, 9), Decoded::Whole(..)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_frame_of_another_segment_does_not_pass() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 9, &HEADER, b"value");
        assert!(matches!(decode(&bytes, 10), Decoded::Bad(_)));
    }
}
