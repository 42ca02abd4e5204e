//! The names of our own topics. On the embedded log there are only the first three.

/// Raw reactions, ticks and settings.
pub const RAW_TOPIC: &str = "emote-log";

/// Windows, moments and settings in sequence.
pub const OUTPUT_TOPIC: &str = "emote-output";

/// What could not be processed, with reason and place.
pub const DEAD_LETTER_TOPIC: &str = "dead-letter";

/// What counting nodes tell merging ones.
pub const PARTIALS_TOPIC: &str = "emote-partials";

/// Snapshots of counting and merging, and the log's generation.
pub const STATE_TOPIC: &str = "emote-state";

/// What counting nodes tell edges of this moment.
pub const PULSES_TOPIC: &str = "emote-pulses";

/// What holds for each channel.
pub const SETTINGS_TOPIC: &str = "settings";
