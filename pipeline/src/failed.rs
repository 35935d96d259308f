//! An event that failed, with what is known of it then.

use event::reason::Failure;
use event::{Entity, Event, Field, RawEvent};

use super::protection::Masked;

/// An event that failed.
#[derive(Clone, Copy)]
pub(super) struct Failed<'f, 'a> {
    pub(super) failures: &'f [Failure],
    pub(super) event: &'f Event<'a>,
    pub(super) raw: &'f RawEvent<'a>,
    /// Entities that were derived and are valid.
    pub(super) derived: &'f [Entity<'a>],
    /// Columns that no row of events can hold: too long, or not valid.
    pub(super) invalid: &'f [Field],
    /// Columns of JSON that were not found valid.
    pub(super) unproven: &'f [Field],
    /// Whether it was masked and hashed before it failed.
    pub(super) masked: Masked,
}

impl<'f, 'a> Failed<'f, 'a> {
    /// An event that failed before anything derived was validated.
    pub(super) fn new(
        failures: &'f [Failure],
        event: &'f Event<'a>,
        raw: &'f RawEvent<'a>,
    ) -> Failed<'f, 'a> {
        let (derived, invalid, unproven) = (&[], &[], &[]);
        Failed { failures, event, raw, derived, invalid, unproven, masked: Masked::No }
    }
}
