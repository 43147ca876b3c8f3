//! How long we wait for what. Every wait is a setting, so that a test needs none of the real ones.

use std::time::Duration;

/// The waits and bounds that hold for the whole process. The defaults are those of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// How many uploads run at once.
    pub uploads: usize,
    /// How long an attempt whose answer was lost must stay absent from complete listings before it is sent again.
    pub ambiguous_wait: Duration,
    /// How long after sending an upload task is first asked for.
    pub poll_first: Duration,
    /// The longest pause between two questions for one task.
    pub poll_max: Duration,
    /// After how long without progress a task counts as stalled.
    pub stalled_after: Duration,
    /// How long an object that we made may be answered by 403 or 404 before that is believed (no read-after-write).
    pub grace: Duration,
    /// The first pause after a failure that may pass.
    pub retry_first: Duration,
    /// The longest pause after failures that may pass.
    pub retry_max: Duration,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a request without a large body may take.
    pub request_timeout: Duration,
    /// How long an upload may stand still without a byte accepted.
    pub stall_timeout: Duration,
    /// How long the answer may take after the last byte of an upload.
    pub answer_timeout: Duration,
    /// How long a root's file system may take to answer before it counts as away.
    pub root_timeout: Duration,
    /// How long running steps may take to finish once the process was asked to stop.
    pub shutdown_timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            uploads: 4,
            ambiguous_wait: Duration::from_secs(90),
            poll_first: Duration::from_secs(2),
            poll_max: Duration::from_secs(30),
            stalled_after: Duration::from_secs(6 * 3600),
            grace: Duration::from_secs(60),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(120),
            root_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}
