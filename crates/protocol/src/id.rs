//! Reaction ids: UUIDv7 (RFC 9562) in server time, the idempotency key of a reaction.

use std::fmt;

use uuid::{Uuid, Variant};

use crate::limits::{ID_AGE_MS_MAX, ID_AHEAD_MS_MAX};

/// A UUIDv7: 48 bits of milliseconds, 74 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReactionId([u8; 16]);

/// Why an id was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID of version 7.
    #[error("expected a UUID of version 7, such as 01890a5d-ac96-774b-bcce-b302099a8057")]
    NotUuid7,
    /// The time inside is too far from the server's.
    #[error("the time in the id is {0} ms from the server's; allowed is from -120000 to +5000")]
    OutOfRange(i64),
}

impl ReactionId {
    /// Reads a UUIDv7 in its hyphenated or plain hexadecimal form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let uuid = match text.len() {
            36 | 32 => Uuid::try_parse(text).map_err(|_| IdError::NotUuid7)?,
            _ => return Err(IdError::NotUuid7),
        };
        if uuid.get_version_num() != 7 || uuid.get_variant() != Variant::RFC4122 {
            return Err(IdError::NotUuid7);
        }
        Ok(Self(uuid.into_bytes()))
    }

    /// Makes an id of a time and randomness, of which 74 bits are used.
    pub fn from_parts(unix_ms: i64, random: [u8; 10]) -> Self {
        let ms = u64::try_from(unix_ms).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid().into_bytes())
    }

    /// Takes sixteen bytes as they are: for decoding what was validated before it was written.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes, in network order.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The time inside, milliseconds since the Unix epoch.
    pub fn unix_ms(&self) -> i64 {
        let b = &self.0;
        i64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// Refuses an id whose time is outside [received − 2 min, received + 5 s]: within it, remembering ids for the
    /// horizon is enough to find every repeat.
    pub fn check_range(&self, received_ms: i64) -> Result<(), IdError> {
        let ahead = self.unix_ms() - received_ms;
        if (-ID_AGE_MS_MAX..=ID_AHEAD_MS_MAX).contains(&ahead) {
            Ok(())
        } else {
            Err(IdError::OutOfRange(ahead))
        }
    }

    /// The partition that holds this id in a channel: a fixed hash, so that twins meet whichever node they reach.
    pub fn partition(&self, channel: &str, partitions: u32) -> u32 {
        if partitions <= 1 {
            return 0;
        }
        let mut keyed = [0u8; 16 + crate::limits::CHANNEL_NAME_BYTES_MAX];
        let name = &channel.as_bytes()[..channel.len().min(crate::limits::CHANNEL_NAME_BYTES_MAX)];
        keyed[..16].copy_from_slice(&self.0);
        keyed[16..16 + name.len()].copy_from_slice(name);
        spread(rapidhash::v3::rapidhash_v3(&keyed[..16 + name.len()]), partitions)
    }
}

/// The partition that holds a channel's settings: its home partition.
pub fn home_partition(channel: &str, partitions: u32) -> u32 {
    if partitions <= 1 { 0 } else { spread(rapidhash::v3::rapidhash_v3(channel.as_bytes()), partitions) }
}

/// Maps a hash to 0..n by its high bits (Lemire's multiply-shift).
fn spread(hash: u64, n: u32) -> u32 {
    u32::try_from((u128::from(hash) * u128::from(n)) >> 64).unwrap_or(0)
}

impl fmt::Display for ReactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
    }
}

impl fmt::Debug for ReactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{IdError, ReactionId, home_partition};

    #[test]
    fn only_version_7_is_taken() {
        assert!(ReactionId::parse("01890a5d-ac96-774b-bcce-b302099a8057").is_ok());
        for bad in [
            "",
            "01890a5d-ac96-474b-bcce-b302099a8057",
            "01890a5d-ac96-774b-ccce-b302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert_eq!(ReactionId::parse(bad), Err(IdError::NotUuid7), "{bad}");
        }
    }

    #[test]
    fn the_range_is_inclusive() {
        let id = ReactionId::from_parts(1_000_000, [7; 10]);
        assert!(id.check_range(1_000_000 + 120_000).is_ok());
        assert!(id.check_range(1_000_000 - 5_000).is_ok());
        assert_eq!(id.check_range(1_120_001), Err(IdError::OutOfRange(-120_001)));
        assert_eq!(id.check_range(994_999), Err(IdError::OutOfRange(5_001)));
    }

    #[test]
    fn partitions_are_stable_across_releases() {
        let id = ReactionId::parse("01890a5d-ac96-774b-bcce-b302099a8057").expect("valid");
        let found: Vec<u32> = [1, 4, 16, 1000].iter().map(|n| id.partition("main", *n)).collect();
        assert_eq!((found, home_partition("main", 16)), (STABLE.0.to_vec(), STABLE.1));
    }
    const STABLE: ([u32; 4], u32) = ([0, 3, 13, 837], 7);

    proptest::proptest! {
        #[test]
        fn ids_keep_their_time_and_text(ms in 0i64..(1 << 48), random: [u8; 10]) {
            let id = ReactionId::from_parts(ms, random);
            proptest::prop_assert_eq!(id.unix_ms(), ms);
            proptest::prop_assert_eq!(ReactionId::parse(&id.to_string()), Ok(id));
        }
    }
}
