//! What the node tells its operators: metrics and log lines.

mod logging;
mod metrics;
mod throttle;

pub use logging::init as init_logging;
pub use metrics::{Labelled, Metrics};
pub use throttle::LogThrottle;
