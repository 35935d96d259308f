//! What look-ups ask with: columns of the event, and values inside its entities.
//!
//! An input is found or it is absent; what that means, and what text or number becomes of a value,
//! is for each look-up to say. A field or a path that does not exist is a mistake of the
//! configuration: found when it is read, or, where a peer would let such a configuration pass and
//! fail every event, with each event.

use event::{Entity, Event, Field};

use crate::criterion::Criterion;
use crate::path::Path;
use crate::reader::Node;

/// An input by its name: a key, or the number of a placeholder.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// What it is called where it is used.
    pub(crate) name: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// A column; none where there is none of that name.
    Column(Option<Field>),
    Json {
        place: In,
        criterion: Criterion,
        path: Result<Path, String>,
    },
}

/// Where entities are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Contexts,
    Derived,
    Unstruct,
}

/// What a look-up sees of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p, 'a> {
    /// Its columns so far.
    pub(crate) event: &'p Event<'a>,
    /// The entities that came with it.
    pub(crate) contexts: &'p [Entity<'a>],
    /// The self-describing event, if it is one.
    pub(crate) unstruct: Option<&'p Entity<'a>>,
    /// The entities derived so far, in the order in which they are written.
    pub(crate) derived: &'p [Entity<'a>],
}

/// What an input comes to for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given<'a> {
    /// A column without a value, or no entity that satisfies the criterion.
    Absent,
    /// The text of a column.
    Column(Field, &'a str),
    /// What a path found in an entity, each compact JSON; perhaps nothing.
    Json(Vec<&'a str>),
}

/// What is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong<'i> {
    /// It names a column that does not exist.
    Column,
    /// Its path cannot be followed, for this reason.
    Path(&'i str),
}

impl Input {
    /// Reads an input with the name that stands in the field `name`. A column that does not exist
    /// and a path that cannot be followed are noted if `strict`.
    pub(crate) fn read(node: &Node<'_>, name: String, strict: bool) -> Option<Input> {
        let (pojo, json) = (node.field("pojo"), node.field("json"));
        let source = match (pojo.clone().present(), json.clone().present()) {
            (Some(pojo), None) => {
                pojo.only(&["field"])?;
                let field = pojo.field("field");
                let column = Field::from_name(&field.text()?);
                if column.is_none() && strict {
                    field.wrong("a column of the event");
                }
                Source::Column(column)
            }
            (None, Some(json)) => {
                json.only(&["field", "schemaCriterion", "jsonPath"])?;
                let place = json.field("field").choice(&[
                    ("contexts", In::Contexts),
                    ("derived_contexts", In::Derived),
                    ("unstruct_event", In::Unstruct),
                ]);
                let criterion = Criterion::read(&json.field("schemaCriterion"));
                let path = read_path(&json.field("jsonPath"), strict);
                Source::Json { place: place?, criterion: criterion?, path: path? }
            }
            _ => {
                node.wrong("either pojo or json");
                return None;
            }
        };
        Some(Input { name, source })
    }

    /// What it comes to for an event.
    pub(crate) fn given<'p, 'a: 'p>(&self, place: &Place<'p, 'a>) -> Result<Given<'a>, Wrong<'_>> {
        match &self.source {
            Source::Column(None) => Err(Wrong::Column),
            Source::Column(Some(field)) => Ok(match place.event.get(*field) {
                Some(text) => Given::Column(*field, text),
                None => Given::Absent,
            }),
            Source::Json { path: Err(why), .. } => Err(Wrong::Path(why)),
            Source::Json { place: within, criterion, path: Ok(path) } => {
                let mut entities = match within {
                    In::Contexts => place.contexts.iter(),
                    In::Derived => place.derived.iter(),
                    In::Unstruct => {
                        place.unstruct.map(std::slice::from_ref).unwrap_or_default().iter()
                    }
                };
                let entity = entities.find(|entity| criterion.matches_entity(entity));
                Ok(entity.map_or(Given::Absent, |entity| Given::Json(path.values(entity.data))))
            }
        }
    }

    /// Whether it looks at what enrichments derived.
    pub(crate) fn is_derived(&self) -> bool {
        matches!(self.source, Source::Json { place: In::Derived, .. })
    }
}

/// Reads a path. One that cannot be followed is a mistake if `strict`, else part of what was read.
pub(crate) fn read_path(node: &Node<'_>, strict: bool) -> Option<Result<Path, String>> {
    let path = Path::plain(&node.text()?);
    if let (Err(why), true) = (&path, strict) {
        node.wrong(&format!("a path that can be followed ({why})"));
    }
    Some(path)
}
