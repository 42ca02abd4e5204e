//! Steps: what count and merge tell each other where they run in different processes.
//!
//! Whatever one raw record makes final is one step: partials of the windows that its append time closes, the
//! closed-through mark, a change of settings. A step goes to merge as an ordered list of items for each output
//! partition, cut into [`part`]s of limited size. [`count`] makes them, [`merge`] applies them.
//!
//! A step is a function of the log, so that whoever counts a raw partition, and however often, writes the same items
//! under the same places. Merge applies an item only where its place is the next one: repeats after a restart, those of a
//! counter that has lost its partition without knowing, and parts that overtook others are told by their place alone. The
//! one thing that count owes is that the log holds all items in order once it has gone on without them: between them
//! there may be anything.

pub mod count;
pub mod memory_full;
pub mod merge;
pub mod part;

pub use count::{StepCounter, StepOutput};
pub use memory_full::MemoryFull;
pub use merge::{StepMerge, Taken};
pub use part::{StepItem, StepPart};
