//! What steps have in common: the moments they are told, and what they give.

use event::Failure;

/// The moments an event carries, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `collector_tstamp`.
    pub collector: i64,
    /// `dvce_created_tstamp`.
    pub created: Option<i64>,
    /// `dvce_sent_tstamp`.
    pub sent: Option<i64>,
    /// `true_tstamp`.
    pub true_time: Option<i64>,
}

/// What a step gives, or its failure, which is boxed because it is large and rare.
pub(crate) type Step<T> = Result<T, Box<Failure>>;
