//! The archive of windows and moments, what can be taken away from it, and reactions out of the log.

mod moment_files;
mod reaction_files;
