//! Enriched lines become rows.
//!
//! A line is the event: its columns are texts in every form. Their texts, and the JSON of its
//! entities, are read once, straight into the columns of the table. What fits no column is kept
//! whole in [`columns::MISFITS`], with the reason, so that no event is lost and none
//! has to be bad for the sake of a table.

use std::collections::{BTreeSet, HashMap};

use arrow_schema::SchemaRef;
use columns::{Kind, Type};
use event::{Bump, Field, fields::COUNT, fields::FIELDS};

use crate::atomic;
use crate::batch::{Batch, Column};
use crate::buffer::Buffer;
use crate::envelope::{self, Envelope};
use crate::json::{Broken, Json};
use crate::misfits::{Misfits, Why};
use crate::nested::Nested;
use crate::shapes::Shapes;

/// The columns of entities that rows may have together. Whoever sends events cannot make columns:
/// each takes a schema of a registry.
pub const NESTED_MAX: usize = 2_000;

/// Rows that grow, to be taken out as a batch.
pub struct Rows {
    shapes: Shapes,
    schema: SchemaRef,
    /// By the line's columns; `None` of those that hold entities.
    atomic: Vec<Option<Buffer>>,
    loaded: Buffer,
    misfits: Misfits,
    nested: Vec<Nested>,
    /// By name.
    names: HashMap<String, usize>,
    /// By URI, of events and of entities.
    goals: [HashMap<String, Goal>; 2],
    needs: BTreeSet<String>,
    rows: usize,
}

/// Where data of a schema goes.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// Into that column.
    Column(usize),
    /// There is no column, and never will be while the shapes are these.
    Nowhere,
    /// Nobody has asked yet.
    Unknown,
}

/// Schemas of which it has to be found out which columns they have: their URIs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the columns of {} schemas are not known yet", .0.len())]
pub struct Need(pub Vec<String>);

impl Rows {
    /// None yet.
    pub fn new(shapes: Shapes) -> Rows {
        Rows {
            shapes,
            schema: crate::arrow::schema(&columns::always()),
            atomic: atomic::buffers(),
            loaded: Buffer::new(&Type::Timestamp),
            misfits: Misfits::default(),
            nested: Vec::new(),
            names: HashMap::new(),
            goals: Default::default(),
            needs: BTreeSet::new(),
            rows: 0,
        }
    }

    /// Goes on with other shapes. There must be no rows.
    pub fn set_shapes(&mut self, shapes: &Shapes) {
        assert_eq!(self.rows, 0, "rows have the columns of one snapshot");
        if !self.shapes.is(shapes) {
            *self = Rows::new(shapes.clone());
        }
    }

    /// Adds lines of events, processed at that time in milliseconds since the epoch. Where columns
    /// have to be found out first, none of the lines was added.
    pub fn extend<'l>(
        &mut self,
        lines: impl IntoIterator<Item = &'l str>,
        now_ms: i64,
    ) -> Result<(), Need> {
        let start = self.rows;
        for line in lines {
            self.push(line, now_ms);
        }
        if self.needs.is_empty() {
            return Ok(());
        }
        self.truncate(start);
        self.goals.iter_mut().for_each(|goals| goals.retain(|_, goal| !goal.is_unknown()));
        Err(Need(std::mem::take(&mut self.needs).into_iter().collect()))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        let atomic = self.atomic.iter().flatten().map(Buffer::bytes);
        let nested = self.nested.iter().map(Nested::bytes);
        atomic.chain(nested).sum::<usize>() + self.rows * 8
    }

    /// How many values fit no column, in all rows since the beginning.
    pub fn misfits(&self) -> u64 {
        self.misfits.count()
    }

    /// The rows, and there are none any more. Columns of events and entities are those that occur,
    /// by name.
    pub fn finish(&mut self) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        let always = self.atomic.iter_mut().flatten().map(|buffer| buffer.finish(rows));
        let mut values: Vec<_> = always.collect();
        values.push(self.loaded.finish(rows));
        values.push(self.misfits.finish(rows));
        let fields = self.schema.fields().iter().cloned();
        let always = fields.zip(values).map(|(field, values)| Column { field, values, at: None });
        let mut columns: Vec<Column> = always.collect();
        let mut nested: Vec<&mut Nested> =
            self.nested.iter_mut().filter(|nested| !nested.is_empty()).collect();
        nested.sort_unstable_by(|a, b| a.field.name().cmp(b.field.name()));
        columns.extend(nested.into_iter().map(|nested| nested.finish(rows)));
        Batch::new(rows, columns)
    }

    fn push(&mut self, line: &str, now_ms: i64) {
        let row = self.rows;
        let columns = event::tsv::columns(line).expect("an enriched line has all columns");
        let read = envelope::COLUMNS.map(|(field, kind)| {
            let text = columns[field as usize];
            (!text.is_empty()).then_some((kind, text))
        });
        if read.into_iter().flatten().any(|(kind, text)| self.json(kind, text).is_err()) {
            // Scripts may write what is JSON in another form.
            self.truncate(row);
            for (field, kind) in envelope::COLUMNS {
                let text = columns[field as usize];
                if !text.is_empty() {
                    self.careful(field, kind, text);
                }
            }
        }
        for ((field, buffer), text) in FIELDS.into_iter().zip(&mut self.atomic).zip(columns) {
            let Some(buffer) = buffer.as_mut().filter(|_| !text.is_empty()) else { continue };
            buffer.pad(row);
            if let Err(expected) = atomic::push(buffer, text) {
                self.misfits.add_text(row, field.name(), text, expected);
            }
        }
        self.loaded.pad(row);
        self.loaded.push_instant(now_ms.saturating_mul(1000));
        self.misfits.end(row);
        self.rows += 1;
    }

    /// Reads a column that may be in any form, or no JSON at all, which then is a misfit.
    fn careful(&mut self, field: Field, kind: Kind, text: &str) {
        let arena = Bump::new();
        let compact = event::json::compact(text, &arena).ok();
        let sound = compact.filter(|text| Envelope::check(text, kind).is_ok());
        let read = sound.map(|text| self.json(kind, text));
        if read != Some(Ok(())) {
            self.misfits.add_text(self.rows, field.name(), text, "self-describing JSON");
        }
    }

    /// Reads what an envelope holds.
    fn json(&mut self, kind: Kind, text: &str) -> Result<(), Broken> {
        let mut envelope = Envelope::open(text, kind)?;
        while let Some(uri) = envelope.next()? {
            self.entity(kind, uri, &mut envelope.json)?;
            envelope.close()?;
        }
        envelope.end()
    }

    /// Reads the data of an event or an entity.
    fn entity(&mut self, kind: Kind, uri: &str, json: &mut Json<'_>) -> Result<(), Broken> {
        let (row, start) = (self.rows, *json);
        let why = match self.goal(kind, uri) {
            Goal::Column(column) => match self.nested[column].read(row, uri, json) {
                Ok(read) if read.more => Why::More,
                Ok(_) => return Ok(()),
                Err(misfit) if misfit.is_broken() => return Err(Broken),
                Err(misfit) => Why::Misfit(misfit),
            },
            Goal::Nowhere => Why::NoColumn,
            Goal::Unknown => Why::NotYet,
        };
        *json = start;
        let data = json.value()?;
        if matches!((&why, data), (Why::NoColumn, "{}")) {
            // A schema that cannot say anything has no column, and nothing is lost.
            return Ok(());
        }
        let column = match self.goal(kind, uri) {
            Goal::Column(column) => Some(self.nested[column].field.name().as_str()),
            Goal::Nowhere | Goal::Unknown => None,
        };
        self.misfits.add(row, column, uri, data, &why);
        Ok(())
    }

    fn goal(&mut self, kind: Kind, uri: &str) -> Goal {
        if let Some(goal) = self.goals[kind as usize].get(uri) {
            return *goal;
        }
        let goal = match self.shapes.get(uri) {
            None => {
                self.needs.insert(uri.to_owned());
                Goal::Unknown
            }
            Some(None) => Goal::Nowhere,
            Some(Some(shape)) => {
                let Some(field) = shape.column(kind) else { return Goal::Nowhere };
                let known = self.names.get(&field.name).copied();
                match known {
                    Some(column) => Goal::Column(column),
                    None if self.nested.len() >= NESTED_MAX => Goal::Nowhere,
                    None => {
                        self.nested.push(Nested::new(field, kind));
                        self.names.insert(field.name.clone(), self.nested.len() - 1);
                        Goal::Column(self.nested.len() - 1)
                    }
                }
            }
        };
        self.goals[kind as usize].insert(uri.to_owned(), goal);
        goal
    }

    fn truncate(&mut self, rows: usize) {
        self.rows = rows;
        self.atomic.iter_mut().flatten().for_each(|buffer| buffer.truncate(rows));
        self.loaded.truncate(rows);
        self.misfits.truncate(rows);
        self.nested.iter_mut().for_each(|nested| nested.truncate(rows));
    }
}

impl Goal {
    fn is_unknown(self) -> bool {
        matches!(self, Goal::Unknown)
    }
}

const _: () = assert!(COUNT == 131, "an event has the columns that the documents tell");
