//! The canonical event: one text per [`Field`].
//!
//! A field holds its final text, exactly as it will stand in the enriched line; whoever sets it
//! has already cleaned and formatted it. Texts are borrowed from the record or the arena.

use crate::fields::{COUNT, FIELDS, Field};

/// An event on its way through the pipeline.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    values: [Option<&'a str>; COUNT],
}

impl<'a> Event<'a> {
    /// An event with every field unset.
    pub const fn new() -> Event<'a> {
        Event { values: [None; COUNT] }
    }

    /// The text of a field.
    pub const fn get(&self, field: Field) -> Option<&'a str> {
        self.values[field as usize]
    }

    /// Sets a field, or clears it.
    pub const fn set(&mut self, field: Field, value: Option<&'a str>) {
        self.values[field as usize] = value;
    }

    /// Every field with its text, in output order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Option<&'a str>)> + '_ {
        FIELDS.iter().copied().zip(self.values.iter().copied())
    }
}

impl Default for Event<'_> {
    fn default() -> Self {
        Event::new()
    }
}
