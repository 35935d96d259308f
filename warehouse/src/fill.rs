//! JSON into columns, as it is read: no tree of it is made.

use columns::cast;

use crate::buffer::{Buffer, Members, Place, Values};
use crate::json::{Broken, Json, Text};

/// A value does not fit its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// What was expected.
    pub(crate) expected: &'static str,
    /// Where, from the innermost name outwards.
    pub(crate) path: Vec<String>,
}

/// What was read of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whether there was more than the column has room for: members that it does not know.
    pub(crate) more: bool,
}

impl Misfit {
    fn new(expected: &'static str) -> Misfit {
        Misfit { expected, path: Vec::new() }
    }

    /// Whether it is the text that is wrong, and not the value.
    pub(crate) fn is_broken(&self) -> bool {
        self.expected == COMPACT
    }

    fn below(mut self, name: &str) -> Misfit {
        self.path.push(name.to_owned());
        self
    }

    /// Where it is, as a JSON pointer through the names of columns.
    pub(crate) fn pointer(&self) -> String {
        self.path.iter().rev().fold(String::new(), |all, name| all + "/" + name)
    }
}

/// What is expected where a text is no JSON in compact form.
const COMPACT: &str = "JSON in compact form";

impl From<Broken> for Misfit {
    fn from(_: Broken) -> Misfit {
        Misfit::new(COMPACT)
    }
}

/// Reads a value into the next row of a column; null leaves that row to be filled up.
pub(crate) fn value(
    buffer: &mut Buffer,
    nullable: bool,
    json: &mut Json<'_>,
) -> Result<Read, Misfit> {
    // Where null is not what "nothing" is called, it is a value of JSON like others.
    let means_nothing = nullable || !matches!(buffer.values, Values::Json(_));
    if means_nothing && json.peek() == Some(b'n') {
        return if json.eat_text(b"null") { Ok(Read::default()) } else { Err(Broken.into()) };
    }
    let row = buffer.len();
    let read = match &mut buffer.values {
        Values::Struct(members) => object(members, row, json)?,
        Values::List(items) => {
            let start = items.end();
            let (elements, read) = elements(&mut items.element, start, json)?;
            items.close(elements);
            read
        }
        values => scalar(values, json)?,
    };
    buffer.added();
    Ok(read)
}

fn scalar(values: &mut Values, json: &mut Json<'_>) -> Result<Read, Misfit> {
    match values {
        Values::Text(texts) => {
            let text = text(json, "a string")?;
            texts.push_with(|out| text.append_to(out));
        }
        Values::Json(texts) => {
            let value = json.value()?;
            texts.push_with(|out| out.extend_from_slice(value.as_bytes()));
        }
        Values::Boolean(values) => match json.peek() {
            Some(b't') if json.eat_text(b"true") => values.append(true),
            Some(b'f') if json.eat_text(b"false") => values.append(false),
            _ => return Err(Misfit::new("true or false")),
        },
        Values::Int(values) => {
            values.push(number(json, "a whole number of 32 bits", cast::int)?);
        }
        Values::Long(values) => {
            values.push(number(json, "a whole number of 64 bits", cast::long)?);
        }
        Values::Double(values) => values.push(number(json, "a number", cast::double)?),
        Values::Decimal { units, precision, scale } => {
            let read = |text: &str| cast::decimal(text, *precision, *scale);
            units.push(number(json, "a decimal number of the column's digits", read)?);
        }
        Values::Date(values) => values.push(parsed(json, "a date", cast::date)?),
        Values::Timestamp(values) => {
            values.push(parsed(json, "a time with an offset", cast::timestamp)?);
        }
        Values::Struct(_) | Values::List(_) => unreachable!("they are no scalars"),
    }
    Ok(Read::default())
}

fn text<'a>(json: &mut Json<'a>, expected: &'static str) -> Result<Text<'a>, Misfit> {
    match json.peek() {
        Some(b'"') => Ok(json.string()?),
        _ => Err(Misfit::new(expected)),
    }
}

/// A string that stands for something else. Nothing that is meant has escapes.
fn parsed<T>(
    json: &mut Json<'_>,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Misfit> {
    parse(text(json, expected)?.raw).ok_or(Misfit::new(expected))
}

fn number<T>(
    json: &mut Json<'_>,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Misfit> {
    json.number().ok().and_then(parse).ok_or(Misfit::new(expected))
}

fn elements(
    element: &mut Buffer,
    start: usize,
    json: &mut Json<'_>,
) -> Result<(usize, Read), Misfit> {
    if !json.eat(b'[') {
        return Err(Misfit::new("an array"));
    }
    let (mut count, mut all) = (start, Read::default());
    if json.eat(b']') {
        return Ok((count, all));
    }
    loop {
        element.pad(count);
        let read = value(element, true, json);
        let read = read.map_err(|misfit| misfit.below(&(count - start).to_string()))?;
        all.more |= read.more;
        count += 1;
        if !json.eat(b',') {
            json.expect(b']')?;
            return Ok((count, all));
        }
    }
}

/// Reads an object's members into that row of a struct's columns.
pub(crate) fn object(
    members: &mut Members,
    row: usize,
    json: &mut Json<'_>,
) -> Result<Read, Misfit> {
    if !json.eat(b'{') {
        return Err(Misfit::new("an object"));
    }
    let mut all = Read::default();
    if json.eat(b'}') {
        return Ok(all);
    }
    let mut several: Vec<(Place, Json<'_>)> = Vec::new();
    for place in 0.. {
        match members.take_key(json, place)? {
            Some(found) => {
                let member = &mut members.all[found.member as usize];
                if member.several {
                    several.push((found, *json));
                    json.value()?;
                } else if member.buffer.len() > row {
                    // The compact form has no key twice.
                    return Err(Broken.into());
                } else {
                    member.buffer.pad(row);
                    let read = value(&mut member.buffer, member.nullable, json);
                    let read = read.map_err(|misfit| misfit.below(members.name(found.member)))?;
                    all.more |= read.more;
                }
            }
            None => all.more |= !matches!(json.value()?, "null" | "{}"),
        }
        if !json.eat(b',') {
            break;
        }
    }
    json.expect(b'}')?;
    if !several.is_empty() {
        several.sort_unstable_by_key(|(place, _)| *place);
        let read = first_that_fits(members, row, &several)?;
        all.more |= read.more;
    }
    Ok(all)
}

/// Of the values of several keys that are about one member, the first that fits is taken.
fn first_that_fits(
    members: &mut Members,
    row: usize,
    values: &[(Place, Json<'_>)],
) -> Result<Read, Misfit> {
    let mut all = Read::default();
    for same in values.chunk_by(|(a, _), (b, _)| a.member == b.member) {
        let index = same[0].0.member;
        let mut refused = None;
        for (_, at) in same {
            let member = &mut members.all[index as usize];
            if member.buffer.len() > row {
                // What is told by another key, too, has no place.
                all.more |= { *at }.value()? != "null";
                continue;
            }
            member.buffer.pad(row);
            match value(&mut member.buffer, member.nullable, &mut { *at }) {
                Ok(read) => all.more |= read.more,
                Err(misfit) => {
                    member.buffer.truncate(row);
                    refused.get_or_insert(misfit);
                }
            }
        }
        let fits = members.all[index as usize].buffer.len() > row;
        match refused {
            Some(misfit) if !fits => return Err(misfit.below(members.name(index))),
            refused => all.more |= refused.is_some(),
        }
    }
    Ok(all)
}
