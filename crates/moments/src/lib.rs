//! Pure stream logic, from log records to windows and moments: no I/O, no clock, no threads, no randomness.
//!
//! In the order of the path: [`event_time`] places a reaction, [`ids`] drops repeats, [`counter`] counts one raw
//! partition into [`tally`]s and sends them on as [`partial`]s, [`merge`] adds them up, closes [`window`]s and judges
//! [`rule`]s. [`aggregate`] is all of it in one value, with its [`snapshot`]; [`step`] is how count and merge speak where
//! they run in different processes. [`sketch`] estimates unique reactors,
//! [`preview`] says what other settings would have found, [`scale`] how many emotes a screen shows for a count.
//!
//! Everything here is a function of the log: the same records give the same rows, whatever the interleaving of
//! partitions, and whether or not the state went through a snapshot in between.

pub mod aggregate;
pub mod counter;
pub mod event_time;
pub mod ids;
pub mod merge;
pub mod parameters;
pub mod partial;
pub mod rule;
pub mod scale;
pub mod sketch;
pub mod snapshot;
pub mod step;
pub mod tally;
pub mod window;

pub use aggregate::{
    Aggregate, AggregateOutput,
    pulses::{PulseBatch, PulseCount},
};
pub use counter::{CountSink, Counter};
pub use merge::Merge;
pub use parameters::{BIN_MS, ParametersError, StreamParameters};
pub use partial::Partial;
pub use rule::preview;
pub use scale::ScaleDown;
pub use step::{MemoryFull, StepCounter, StepMerge, StepOutput, StepPart};
