//! What a counting node says when it can remember no more ids, on its way to the nodes that take reactions.
//!
//! ```text
//! version (2, of the topic's records), node: text, remembered: varint, limit: varint
//! ```

use emostream_protocol::{
    DecodeError,
    codec::{Reader, Writer},
};

/// First byte of these records: of the topic of pulses, on which they travel, 1 begins a batch of pulses.
pub const MEMORY_FULL_VERSION: u8 = 2;

/// Bytes of a node's name.
const NODE_BYTES_MAX: usize = 255;

/// A node that counts remembers as many ids as it may. Said again and again while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFull {
    /// Its name.
    pub node: String,
    /// Ids that it remembers.
    pub remembered: u64,
    /// Ids that it may remember.
    pub limit: u64,
}

impl MemoryFull {
    /// Whether a record of the topic of pulses is one of these.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.first() == Some(&MEMORY_FULL_VERSION)
    }

    /// Encodes it; of a name that is too long its beginning.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.node.len() + 20);
        writer.u8(MEMORY_FULL_VERSION);
        writer.bytes(&self.node.as_bytes()[..self.node.floor_char_boundary(NODE_BYTES_MAX)]);
        writer.varint(self.remembered);
        writer.varint(self.limit);
        writer.into_vec()
    }

    /// Decodes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            MEMORY_FULL_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        let node = reader.text(NODE_BYTES_MAX)?.to_owned();
        let (remembered, limit) = (reader.varint()?, reader.varint()?);
        reader.finish()?;
        Ok(Self { node, remembered, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryFull;

    #[test]
    fn it_is_read_as_it_was_written() {
        let said = MemoryFull { node: "count-ä".into(), remembered: 20_000_001, limit: 20_000_000 };
        let bytes = said.encode();
        assert!(MemoryFull::is_one(&bytes));
        assert_eq!(MemoryFull::decode(&bytes).unwrap(), said);
        for end in 0..bytes.len() {
            assert!(MemoryFull::decode(&bytes[..end]).is_err());
        }
        let long = MemoryFull { node: "ä".repeat(200), ..said };
        assert_eq!(MemoryFull::decode(&long.encode()).unwrap().node, "ä".repeat(127));
    }

    #[test]
    fn the_format_is_that_of_the_first_release() {
        let said = MemoryFull { node: "a".into(), remembered: 300, limit: 200 };
        assert_eq!(said.encode(), [2, 1, b'a', 0xac, 2, 0xc8, 1]);
    }
}
