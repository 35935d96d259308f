//! What an adapter yields: the parameters of one event, not yet typed, and where they came from.

use crate::payload::CollectorPayload;
pub use crate::payload::Parameter;

/// One event as the tracker protocol names its parts.
#[derive(Clone, Debug)]
pub struct RawEvent<'a> {
    /// The payload this event came in (vendor and version of the endpoint, headers, address, …).
    pub payload: &'a CollectorPayload<'a>,
    /// Name and value of each parameter. Names are unique: of duplicates the adapter kept the last.
    pub parameters: &'a [Parameter<'a>],
}

impl<'a> RawEvent<'a> {
    /// The value of a parameter that has one.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(n, _)| *n == name).and_then(|(_, value)| *value)
    }
}
