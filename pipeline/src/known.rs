//! What is known beforehand of what a batch mentions.

use enrichments::lookup::Answers;
use validator::Schemas;

/// What is known beforehand: schemas, and answers to look-ups.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// The snapshot of schemas.
    pub schemas: &'k Schemas,
    /// The answers that are there; none where there is nobody to ask.
    pub answers: Option<&'k dyn Answers>,
}

impl<'k> From<&'k Schemas> for Known<'k> {
    fn from(schemas: &'k Schemas) -> Known<'k> {
        Known { schemas, answers: None }
    }
}
