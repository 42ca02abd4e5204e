//! The few primitives that all binary records are made of: fixed integers, LEB128 varints, zigzag, length-prefixed bytes.

/// Why bytes are no record of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("record ends early")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("record has {0} bytes too many")]
    Trailing(usize),
    /// The record was written by a newer version.
    #[error("record version {0} is unknown: written by a newer release")]
    Version(u8),
    /// The kind of record is unknown.
    #[error("record kind {0} is unknown: written by a newer release")]
    Kind(u8),
    /// A field has a value that is never written.
    #[error("record field {0} is invalid")]
    Field(&'static str),
    /// No more custom emotes can be registered.
    #[error("record names a custom emote beyond the limit of this process")]
    TooManyCustomEmotes,
}

/// Appends fields to a buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A double as its eight bytes, little endian.
    pub fn f64(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// An unsigned LEB128 varint, one byte below 128.
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A length as varint.
    pub fn len(&mut self, value: usize) {
        self.varint(value as u64);
    }

    /// A signed varint, small for values near zero.
    #[inline]
    pub fn zigzag(&mut self, value: i64) {
        self.varint((value.wrapping_shl(1) ^ (value >> 63)) as u64);
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.raw(bytes);
    }

    /// Bytes written so far.
    pub fn written(&self) -> usize {
        self.0.len()
    }

    /// The bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Empties the buffer and keeps its room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Takes fields off the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    /// Two bytes, little endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// A double.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_le_bytes)
    }

    /// A fixed number of bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    /// An unsigned varint of at most 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(DecodeError::Field("varint"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Field("varint"))
    }

    /// A length of at most `max`.
    pub fn len(&mut self, max: usize) -> Result<usize, DecodeError> {
        let value = self.varint()?;
        usize::try_from(value).ok().filter(|len| *len <= max).ok_or(DecodeError::Field("length"))
    }

    /// A signed varint.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// So many bytes.
    #[inline]
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    /// Bytes with their length before them, at most `max`.
    #[inline]
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.len(max)?;
        self.raw(len)
    }

    /// Text with its length before it, at most `max` bytes.
    pub fn text(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| DecodeError::Field("text"))
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};

    proptest::proptest! {
        #[test]
        fn numbers_survive(unsigned: u64, signed: i64, double: f64, text in ".{0,20}") {
            let mut writer = Writer::new();
            writer.varint(unsigned);
            writer.zigzag(signed);
            writer.f64(double);
            writer.bytes(text.as_bytes());
            let bytes = writer.into_vec();
            let mut reader = Reader::new(&bytes);
            proptest::prop_assert_eq!(reader.varint(), Ok(unsigned));
            proptest::prop_assert_eq!(reader.zigzag(), Ok(signed));
            proptest::prop_assert_eq!(reader.f64().map(f64::to_bits), Ok(double.to_bits()));
            proptest::prop_assert_eq!(reader.text(100), Ok(text.as_str()));
            proptest::prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().and_then(|_| reader.zigzag()).and_then(|_| reader.text(8)).is_ok() {}
        }
    }
}
