//! One column for two versions of a schema, or the reason why there cannot be one.

use crate::field::{Element, Field, Type};

/// Where two versions cannot share a column: types are never converted, not even to wider ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} is {old} and would become {new}")]
pub struct Breaking {
    /// The names of fields on the way to it, `/cart/items/[]/price`.
    pub path: String,
    /// Its type so far.
    pub old: Type,
    /// The type that the other version wants.
    pub new: Type,
}

/// A column for all that `old` or `new` hold. Fields of `old` come first, in their order, then
/// those that only `new` has; what either lacks or lets be null is nullable.
///
/// The column is `old`'s with more at its end, so a table that has `old` only has to add fields.
pub fn merge(old: &Field, new: &Field) -> Result<Field, Breaking> {
    merge_at(&mut Vec::new(), old, new)
}

fn merge_at<'a>(
    path: &mut Vec<&'a str>,
    old: &'a Field,
    new: &'a Field,
) -> Result<Field, Breaking> {
    let mut keys = old.keys.clone();
    keys.extend(new.keys.iter().filter(|key| !old.keys.contains(key)).cloned());
    keys.sort();
    Ok(Field {
        name: old.name.clone(),
        ty: merge_types(path, &old.ty, &new.ty)?,
        nullable: old.nullable || new.nullable,
        keys,
        description: new.description.clone().or_else(|| old.description.clone()),
    })
}

fn merge_types<'a>(
    path: &mut Vec<&'a str>,
    old: &'a Type,
    new: &'a Type,
) -> Result<Type, Breaking> {
    match (old, new) {
        (Type::Struct(olds), Type::Struct(news)) => {
            merge_fields(path, olds, news).map(Type::Struct)
        }
        (Type::List(old), Type::List(new)) => {
            path.push("[]");
            let ty = merge_types(path, &old.ty, &new.ty)?;
            path.pop();
            let nullable = old.nullable || new.nullable;
            Ok(Type::List(Box::new(Element { ty, nullable })))
        }
        (old, new) if old == new => Ok(old.clone()),
        (old, new) => {
            let path = path.iter().map(|name| format!("/{name}")).collect();
            Err(Breaking { path, old: old.clone(), new: new.clone() })
        }
    }
}

fn merge_fields<'a>(
    path: &mut Vec<&'a str>,
    olds: &'a [Field],
    news: &'a [Field],
) -> Result<Vec<Field>, Breaking> {
    let alone = |field: &Field| Field { nullable: true, ..field.clone() };
    let mut merged = Vec::with_capacity(olds.len().max(news.len()));
    for old in olds {
        merged.push(match news.iter().find(|new| new.name == old.name) {
            None => alone(old),
            Some(new) => {
                path.push(&old.name);
                let field = merge_at(path, old, new)?;
                path.pop();
                field
            }
        });
    }
    let known = |new: &&Field| olds.iter().any(|old| old.name == new.name);
    merged.extend(news.iter().filter(|new| !known(new)).map(alone));
    Ok(merged)
}
