//! What the node tells its operators: metrics and log lines.

mod logging;
mod metrics;

pub use logging::init as init_logging;
pub use metrics::{Labelled, Metrics};
