//! The members of a struct as columns, and the finding of the one that a key of JSON is about.

use arrow_array::ArrayRef;
use arrow_schema::Fields;

use crate::arrow;
use crate::buffer::Buffer;
use crate::json::{Broken, Json};

/// The columns of a struct's members.
pub(crate) struct Members {
    fields: Fields,
    pub(crate) all: Vec<Member>,
    /// By key, quoted and with its colon: the member, and the key's rank where it has several.
    keys: Vec<(Box<[u8]>, Place)>,
    /// Which key stood in that place of the last object: the next object is mostly like it.
    guesses: Vec<u32>,
}

/// One member.
pub(crate) struct Member {
    pub(crate) buffer: Buffer,
    /// Whether its schema knows null.
    pub(crate) nullable: bool,
    /// Whether several keys are about it.
    pub(crate) several: bool,
}

/// What a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) member: u32,
    pub(crate) rank: u32,
}

/// Places further behind are not worth guessing.
const GUESSES: usize = 64;

impl Members {
    pub(crate) fn new(fields: &[columns::Field]) -> Members {
        let mut keys = Vec::new();
        for (member, field) in (0..).zip(fields) {
            for (rank, key) in (0..).zip(&field.keys) {
                let mut quoted = Vec::with_capacity(key.len() + 3);
                event::json::write_string(key, &mut quoted);
                quoted.push(b':');
                keys.push((quoted.into_boxed_slice(), Place { member, rank }));
            }
        }
        let member = |field: &columns::Field| Member {
            buffer: Buffer::new(&field.ty),
            nullable: field.nullable,
            several: field.keys.len() > 1,
        };
        Members {
            fields: fields.iter().map(arrow::field).collect(),
            all: fields.iter().map(member).collect(),
            keys,
            guesses: Vec::new(),
        }
    }

    /// Takes a key and its colon, which stands in that place of its object. `None` if no member is
    /// about it.
    pub(crate) fn take_key(
        &mut self,
        json: &mut Json<'_>,
        place: usize,
    ) -> Result<Option<Place>, Broken> {
        if let Some(guess) = self.guesses.get(place)
            && let Some((key, found)) = self.keys.get(*guess as usize)
            && json.eat_text(key)
        {
            return Ok(Some(*found));
        }
        if let Some(index) = self.keys.iter().position(|(key, _)| json.eat_text(key)) {
            if place < GUESSES {
                self.guesses.resize(self.guesses.len().max(place + 1), 0);
                self.guesses[place] = index as u32;
            }
            return Ok(Some(self.keys[index].1));
        }
        json.string()?;
        json.expect(b':')?;
        Ok(None)
    }

    /// The member of that name, where it has one.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    /// What a member is called.
    pub(crate) fn name(&self, member: u32) -> &str {
        self.fields[member as usize].name()
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.all.iter_mut().for_each(|member| member.buffer.truncate(rows));
    }

    pub(crate) fn finish(&mut self, rows: usize) -> (Fields, Vec<ArrayRef>) {
        let arrays = self.all.iter_mut().map(|member| member.buffer.finish(rows)).collect();
        (self.fields.clone(), arrays)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.all.iter().map(|member| member.buffer.bytes()).sum()
    }
}
