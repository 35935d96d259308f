//! The three columns of a line that hold JSON: an envelope, and in it one event or some entities.

use columns::Kind;
use event::Field;

use crate::json::{Broken, Json};

/// The columns, and what they hold.
pub(crate) const COLUMNS: [(Field, Kind); 3] = [
    (Field::Contexts, Kind::Entity),
    (Field::UnstructEvent, Kind::Event),
    (Field::DerivedContexts, Kind::Entity),
];

/// An envelope that is read step by step.
pub(crate) struct Envelope<'a> {
    /// Stands before the data of an entity while that is to be read.
    pub(crate) json: Json<'a>,
    kind: Kind,
    first: bool,
}

impl<'a> Envelope<'a> {
    /// Reads up to what it holds.
    pub(crate) fn open(text: &'a str, kind: Kind) -> Result<Envelope<'a>, Broken> {
        let mut envelope = Envelope { json: Json::new(text), kind, first: true };
        envelope.describing()?;
        if kind == Kind::Entity {
            envelope.json.expect(b'[')?;
        }
        Ok(envelope)
    }

    /// Reads up to the data of the next entity, and returns the URI of its schema.
    pub(crate) fn next(&mut self) -> Result<Option<&'a str>, Broken> {
        let first = std::mem::replace(&mut self.first, false);
        if self.kind == Kind::Event {
            return if first { self.describing().map(Some) } else { Ok(None) };
        }
        if self.json.eat(b']') {
            return Ok(None);
        }
        if !first {
            self.json.expect(b',')?;
        }
        self.describing().map(Some)
    }

    /// Reads what comes behind the data of an entity.
    pub(crate) fn close(&mut self) -> Result<(), Broken> {
        self.json.expect(b'}')
    }

    /// Reads its end.
    pub(crate) fn end(mut self) -> Result<(), Broken> {
        self.json.expect(b'}')?;
        if self.json.is_at_end() { Ok(()) } else { Err(Broken) }
    }

    /// Whether a text is one from its beginning to its end.
    pub(crate) fn check(text: &str, kind: Kind) -> Result<(), Broken> {
        let mut envelope = Envelope::open(text, kind)?;
        while envelope.next()?.is_some() {
            envelope.json.value()?;
            envelope.close()?;
        }
        envelope.end()
    }

    /// Reads a self-describing JSON up to its data, and returns the URI of its schema.
    fn describing(&mut self) -> Result<&'a str, Broken> {
        if !self.json.eat_text(b"{\"schema\":") {
            return Err(Broken);
        }
        let uri = self.json.string()?;
        if uri.escaped || !self.json.eat_text(b",\"data\":") {
            return Err(Broken);
        }
        Ok(uri.raw)
    }
}
