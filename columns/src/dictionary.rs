//! Every column of a table and every field within, in words: for people who ask what there is.

mod html;
mod markdown;

use serde_json::{Value, json};

use crate::atomic;
use crate::family::Family;
use crate::field::{Field, Type};
use crate::names::Kind;
use crate::schema::{Items, Schema};
use crate::table::Table;

pub use html::html;
pub use markdown::markdown;

/// The most examples that are told of one field.
const EXAMPLES: usize = 8;

/// One column, and what is within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column itself.
    pub entry: Entry,
    /// The fields within, in their order, each before its own.
    pub fields: Vec<Entry>,
}

/// A column or a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How one asks for it: `contexts_com_acme_cart_1[].items[].price`, where `[]` is for each
    /// of a list.
    pub path: String,
    /// What it holds. Of what has fields, only what it is.
    pub ty: String,
    /// Whether its schema lets it be absent or null.
    pub nullable: bool,
    /// What it says.
    pub description: Option<String>,
    /// The Iglu URIs of the schemas that have it; none for what every event has.
    pub schemas: Vec<String>,
    /// Values it may have, as JSON.
    pub examples: Vec<String>,
}

/// All columns of a table.
pub fn columns(table: &Table) -> Vec<Column> {
    let always = atomic::always()
        .into_iter()
        .map(|field| Column { entry: entry(&field.name, &field, &[]), fields: Vec::new() });
    always.chain(table.families().flat_map(of_family)).collect()
}

/// The dictionary as JSON: a list of columns, each with its `fields`.
pub fn json(columns: &[Column]) -> Value {
    let one = |entry: &Entry| {
        let examples = entry.examples.iter().map(|text| serde_json::from_str(text));
        json!({
            "path": entry.path,
            "type": entry.ty,
            "nullable": entry.nullable,
            "description": entry.description,
            "schemas": entry.schemas,
            "examples": examples.collect::<Result<Vec<Value>, _>>().unwrap_or_default(),
        })
    };
    let columns = columns.iter().map(|column| {
        let mut document = one(&column.entry);
        document["fields"] = column.fields.iter().map(one).collect();
        document
    });
    columns.collect()
}

/// A schema, and the URI of what it is a part of.
type Part<'a> = (String, &'a Schema);

fn of_family(family: &Family) -> Vec<Column> {
    let all: Vec<Part<'_>> =
        family.versions.iter().map(ToString::to_string).zip(&family.schemas).collect();
    let versions = |own: &dyn Fn(usize) -> bool| -> Vec<Part<'_>> {
        let kept = all.iter().enumerate().filter(|(index, _)| own(*index));
        kept.map(|(_, part)| part.clone()).collect()
    };
    let place = |version| family.versions.iter().position(|key| key.version == version);
    let recovered: Vec<usize> =
        family.recovered.iter().filter_map(|recovered| place(recovered.version)).collect();
    let shared = family.column.iter();
    let shared =
        shared.map(|field| column(family.kind, field, &versions(&|it| !recovered.contains(&it))));
    let own = family.recovered.iter().zip(&recovered);
    let own = own.map(|(it, &index)| column(family.kind, &it.field, &versions(&|at| at == index)));
    shared.chain(own).collect()
}

fn column(kind: Kind, field: &Field, parts: &[Part<'_>]) -> Column {
    let mut fields = Vec::new();
    match (kind, &field.ty) {
        // The list is ours: the schema is that of each of its items.
        (Kind::Entity, Type::List(element)) => {
            within(&format!("{}[]", field.name), &element.ty, parts, &mut fields);
        }
        _ => within(&field.name, &field.ty, parts, &mut fields),
    }
    Column { entry: entry(&field.name, field, parts), fields }
}

/// Adds the fields within a type.
fn within(path: &str, ty: &Type, parts: &[Part<'_>], out: &mut Vec<Entry>) {
    match ty {
        Type::List(element) => {
            let items = parts.iter().filter_map(|(uri, schema)| match &schema.items {
                Some(Items::Each(each)) => Some((uri.clone(), each.as_ref())),
                _ => None,
            });
            within(&format!("{path}[]"), &element.ty, &items.collect::<Vec<_>>(), out);
        }
        Type::Struct(fields) => {
            for field in fields {
                let path = format!("{path}.{}", field.name);
                let parts = members(field, parts);
                out.push(entry(&path, field, &parts));
                within(&path, &field.ty, &parts, out);
            }
        }
        _ => {}
    }
}

/// What schemas say of a field: those that have a property it is read from. What is read from none
/// is of all.
fn members<'a>(field: &Field, parts: &[Part<'a>]) -> Vec<Part<'a>> {
    if field.keys.is_empty() {
        return parts.to_vec();
    }
    let found = parts.iter().flat_map(|(uri, schema)| {
        let properties = field.keys.iter().filter_map(|key| schema.properties.as_ref()?.get(key));
        properties.map(|property| (uri.clone(), property))
    });
    found.collect()
}

fn entry(path: &str, field: &Field, parts: &[Part<'_>]) -> Entry {
    let mut entry = Entry {
        path: path.to_owned(),
        ty: kind_of(&field.ty),
        nullable: field.nullable,
        description: field.description.clone(),
        schemas: Vec::new(),
        examples: Vec::new(),
    };
    for (uri, schema) in parts {
        if !entry.schemas.contains(uri) {
            entry.schemas.push(uri.clone());
        }
        // What is read from no key has no examples of its own.
        let own = schema.examples.iter().filter(|_| !field.keys.is_empty());
        for example in own {
            if entry.examples.len() < EXAMPLES && !entry.examples.contains(example) {
                entry.examples.push(example.clone());
            }
        }
    }
    entry
}

/// The type without the fields within, which have entries of their own.
fn kind_of(ty: &Type) -> String {
    match ty {
        Type::Struct(_) => "struct".to_owned(),
        Type::List(element) => format!("list of {}", kind_of(&element.ty)),
        ty => ty.to_string(),
    }
}
