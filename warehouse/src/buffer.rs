//! Columns that grow row by row, and can be cut back to where they were: a value that turns out not
//! to fit leaves nothing behind.
//!
//! Rows that have no value cost nothing as they come: whoever adds the next value first fills up
//! what was passed over, and so does [`Buffer::finish`]. Members of structs are such columns, too,
//! with a row for each of the struct's, and elements of lists with a row for each element. A struct
//! knows which of its members a key of JSON is about.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, TimestampMicrosecondType};
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, BooleanArray, ListArray, PrimitiveArray, StringArray, StructArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer as Bytes, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{FieldRef, Fields};
use columns::Type;

use crate::arrow;
use crate::json::{Broken, Json};

/// A column that grows.
pub(crate) struct Buffer {
    valid: BooleanBufferBuilder,
    pub(crate) values: Values,
}

/// What a column has of each row.
pub(crate) enum Values {
    Text(Texts),
    Json(Texts),
    Boolean(BooleanBufferBuilder),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Double(Vec<f64>),
    Decimal { units: Vec<i128>, precision: u8, scale: u8 },
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Struct(Box<Members>),
    List(Box<Items>),
}

/// Texts, one behind the other.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each begins, and where the last one ends.
    offsets: Vec<i32>,
}

/// The elements of lists, one behind the other.
pub(crate) struct Items {
    field: FieldRef,
    offsets: Vec<i32>,
    pub(crate) element: Buffer,
}

impl Buffer {
    /// A column of a type, without rows.
    pub(crate) fn new(ty: &Type) -> Buffer {
        let values = match ty {
            Type::String => Values::Text(Texts::new()),
            Type::Json => Values::Json(Texts::new()),
            Type::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            Type::Int => Values::Int(Vec::new()),
            Type::Long => Values::Long(Vec::new()),
            Type::Double => Values::Double(Vec::new()),
            Type::Decimal { precision, scale } => {
                Values::Decimal { units: Vec::new(), precision: *precision, scale: *scale }
            }
            Type::Date => Values::Date(Vec::new()),
            Type::Timestamp => Values::Timestamp(Vec::new()),
            Type::Struct(members) => Values::Struct(Box::new(Members::new(members))),
            Type::List(element) => {
                let arrow_schema::DataType::List(field) = arrow::data_type(ty) else {
                    unreachable!("a list is one in Arrow, too")
                };
                let element = Buffer::new(&element.ty);
                Values::List(Box::new(Items { field, offsets: vec![0], element }))
            }
        };
        Buffer { valid: BooleanBufferBuilder::new(0), values }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.valid.len()
    }

    /// Fills up to so many rows with nulls.
    pub(crate) fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        self.valid.append_n(missing, false);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => repeat_last(&mut texts.offsets, rows),
            Values::Boolean(values) => values.append_n(missing, false),
            Values::Int(values) | Values::Date(values) => values.resize(rows, 0),
            Values::Long(values) | Values::Timestamp(values) => values.resize(rows, 0),
            Values::Double(values) => values.resize(rows, 0.0),
            Values::Decimal { units, .. } => units.resize(rows, 0),
            Values::Struct(_) => {}
            Values::List(items) => repeat_last(&mut items.offsets, rows),
        }
    }

    /// Adds an instant, in microseconds.
    pub(crate) fn push_instant(&mut self, micros: i64) {
        if let Values::Timestamp(values) = &mut self.values {
            values.push(micros);
            self.added();
        }
    }

    /// Marks the row whose value was just added.
    pub(crate) fn added(&mut self) {
        self.valid.append(true);
    }

    /// Cuts it back to so many rows, and to whole ones: what a row has half is gone, too.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let rows = rows.min(self.len());
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => {
                texts.offsets.truncate(rows + 1);
                texts.bytes.truncate(end(&texts.offsets));
            }
            Values::Boolean(values) => values.truncate(rows),
            Values::Int(values) | Values::Date(values) => values.truncate(rows),
            Values::Long(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Decimal { units, .. } => units.truncate(rows),
            Values::Struct(members) => members.truncate(rows),
            Values::List(items) => {
                items.offsets.truncate(rows + 1);
                items.element.truncate(end(&items.offsets));
            }
        }
    }

    /// What it has of so many rows, and it is empty again.
    pub(crate) fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        let nulls = Some(NullBuffer::new(self.valid.finish()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.finish(nulls),
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(values) => primitive::<Int32Type>(values, nulls),
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Long(values) => primitive::<Int64Type>(values, nulls),
            Values::Double(values) => primitive::<Float64Type>(values, nulls),
            Values::Timestamp(values) => {
                let array = primitive_of::<TimestampMicrosecondType>(values, nulls);
                Arc::new(array.with_timezone(arrow::UTC))
            }
            Values::Decimal { units, precision, scale } => {
                let array = primitive_of::<Decimal128Type>(units, nulls);
                let typed = array.with_precision_and_scale(*precision, *scale as i8);
                Arc::new(typed.expect("a schema's decimals have 9, 18 or 38 digits"))
            }
            Values::Struct(members) => {
                let (fields, arrays): (Fields, _) = members.finish(rows);
                Arc::new(StructArray::new(fields, arrays, nulls))
            }
            Values::List(items) => {
                let elements = end(&items.offsets);
                let values = items.element.finish(elements);
                let offsets = std::mem::replace(&mut items.offsets, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::new(items.field.clone(), offsets, values, nulls))
            }
        }
    }

    /// The bytes of memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Text(texts) | Values::Json(texts) => {
                texts.bytes.len() + texts.offsets.len() * 4
            }
            Values::Boolean(values) => values.len() / 8,
            Values::Int(values) | Values::Date(values) => values.len() * 4,
            Values::Long(values) | Values::Timestamp(values) => values.len() * 8,
            Values::Double(values) => values.len() * 8,
            Values::Decimal { units, .. } => units.len() * 16,
            Values::Struct(members) => members.bytes(),
            Values::List(items) => items.offsets.len() * 4 + items.element.bytes(),
        };
        values + self.valid.len() / 8
    }
}

impl Texts {
    fn new() -> Texts {
        Texts { bytes: Vec::new(), offsets: vec![0] }
    }

    /// Adds what `write` appends.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        let end = i32::try_from(self.bytes.len());
        self.offsets.push(end.expect("rows are taken out long before they have 2 GiB of a column"));
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = Bytes::from_vec(std::mem::take(&mut self.bytes));
        let array = StringArray::try_new(offsets, bytes, nulls);
        Arc::new(array.expect("made of texts"))
    }
}

impl Items {
    /// How many elements the finished lists have together.
    pub(crate) fn end(&self) -> usize {
        end(&self.offsets)
    }

    /// Ends a list behind so many elements.
    pub(crate) fn close(&mut self, elements: usize) {
        self.offsets.push(offset(elements));
    }

    /// Moves the end of the last list behind so many elements.
    pub(crate) fn extend(&mut self, elements: usize) {
        *self.offsets.last_mut().expect("there is a list") = offset(elements);
    }
}

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

fn offset(elements: usize) -> i32 {
    i32::try_from(elements).expect("rows are taken out long before they have so many elements")
}

fn end(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |end| *end as usize)
}

fn repeat_last(offsets: &mut Vec<i32>, rows: usize) {
    let last = offsets.last().copied().unwrap_or_default();
    offsets.resize(rows + 1, last);
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(primitive_of::<T>(values, nulls))
}

fn primitive_of<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> PrimitiveArray<T> {
    PrimitiveArray::new(ScalarBuffer::from(std::mem::take(values)), nulls)
}
