//! Every limit of the wire, in one place, with its unit and reason.

/// Reactions in one request: a phone that was offline sends far fewer, a server-side client batches this many.
pub const REACTIONS_PER_REQUEST_MAX: usize = 1_000;

/// Bytes of one request body with reactions; 1,000 reactions of 200 bytes fit.
pub const REQUEST_BODY_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an emote as given. The longest emoji (a family with skin tones) has 35; checked before any lookup.
pub const EMOTE_BYTES_MAX: usize = 40;

/// Bytes of a custom emote's name between its colons.
pub const CUSTOM_EMOTE_NAME_BYTES_MAX: usize = 32;

/// Custom emotes that one process may know: bounds the interner, which never forgets.
pub const CUSTOM_EMOTES_MAX: usize = 16_384;

/// Bytes of a channel's name.
pub const CHANNEL_NAME_BYTES_MAX: usize = 64;

/// Bytes of a user's id; a UUID has 36.
pub const USER_ID_BYTES_MAX: usize = 64;

/// A client's reaction id may be this much older than its receipt: the time a client keeps retrying.
pub const ID_AGE_MS_MAX: i64 = 120_000;

/// A client's reaction id may be this much ahead of its receipt: clock error after the server's time is known.
pub const ID_AHEAD_MS_MAX: i64 = 5_000;

/// Media positions up to 30 days, in milliseconds: endless streams restart their clock earlier.
pub const MEDIA_TIME_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// Bytes of one frame or message that a viewer sends; a `react` has about 100.
pub const VIEWER_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Reactions in one log record. At 64 bytes each the record stays far below [`RECORD_BYTES_MAX`].
pub const REACTIONS_PER_RECORD_MAX: usize = 4_096;

/// Bytes of one log record; Apache Kafka's default `max.message.bytes` is 1 MiB and covers its own framing.
pub const RECORD_BYTES_MAX: usize = 1_000_000;

/// Different channels in one log record.
pub const CHANNELS_PER_RECORD_MAX: usize = 1_024;

/// Moments that one channel can emit at one instant of event time, strongest first: a sequence has room for 256 rows
/// in a millisecond, and the window and a settings row need theirs.
pub const MOMENTS_PER_INSTANT_MAX: usize = 200;

/// Emotes that a palette offers as buttons.
pub const PALETTE_FEATURED_MAX: usize = 64;

/// Channels of one node. Each costs the memory of its newest frames; a cluster holds more by having more nodes.
pub const CHANNELS_MAX: usize = 1_024;

/// Emoji that a palette names as accepted; there are about 1,900 without skin tones.
pub const ACCEPTED_EMOTES_MAX: usize = 2_048;

/// Emotes of a channel's own.
pub const CUSTOM_EMOTES_PER_CHANNEL_MAX: usize = 256;

/// Emotes that a pulse or window frame names, most frequent first; the rest are one number. One sender who uses every emoji
/// would else cost each viewer 40 KB a frame.
pub const EMOTES_PER_FRAME_MAX: usize = 48;

const _: () = assert!(CHANNELS_MAX <= CHANNELS_PER_RECORD_MAX, "a record can name every channel of a node");
const _: () = assert!(REACTIONS_PER_REQUEST_MAX <= REACTIONS_PER_RECORD_MAX);
const _: () = assert!(MOMENTS_PER_INSTANT_MAX < 254);
const _: () = assert!(
    REACTIONS_PER_RECORD_MAX * 160 + CHANNELS_PER_RECORD_MAX * (CHANNEL_NAME_BYTES_MAX + 2)
        < RECORD_BYTES_MAX,
    "a full record with the longest users and channels must fit"
);
