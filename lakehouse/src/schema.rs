//! Columns as tables have them: from fields to a table's schema, and what a table's schema lacks.
//!
//! Every field is optional, nested ones and elements too: a column that is required could not be
//! made optional later, and readers differ on what is required inside of something optional.

use columns::{Field, Type};
use iceberg::spec::{
    LIST_FIELD_NAME, ListType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType,
};
use iceberg::transaction::AddColumn;

use crate::error::{Error, Result};

/// The schema of a table of these columns.
pub(crate) fn schema(fields: &[Field]) -> Result<Schema> {
    let mut ids = Ids(0);
    let fields: Vec<_> = fields.iter().map(|field| ids.field(field)).collect();
    let schema = Schema::builder().with_fields(fields).build();
    schema.map_err(|error| Error::Unusable(format!("the table's columns: {error}")))
}

/// Numbers fields as they come; the library numbers them anew.
struct Ids(i32);

impl Ids {
    fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0
    }

    fn field(&mut self, field: &Field) -> NestedFieldRef {
        let id = self.next();
        let column = NestedField::optional(id, &field.name, self.ty(&field.ty));
        match &field.description {
            Some(description) => column.with_doc(description).into(),
            None => column.into(),
        }
    }

    fn ty(&mut self, ty: &Type) -> iceberg::spec::Type {
        match ty {
            Type::Struct(fields) => {
                let fields = fields.iter().map(|field| self.field(field)).collect();
                iceberg::spec::Type::Struct(StructType::new(fields))
            }
            Type::List(element) => {
                let id = self.next();
                let element = NestedField::list_element(id, self.ty(&element.ty), false);
                iceberg::spec::Type::List(ListType { element_field: element.into() })
            }
            ty => iceberg::spec::Type::Primitive(primitive(ty)),
        }
    }
}

fn primitive(ty: &Type) -> PrimitiveType {
    match ty {
        Type::Boolean => PrimitiveType::Boolean,
        Type::Int => PrimitiveType::Int,
        Type::Long => PrimitiveType::Long,
        Type::Double => PrimitiveType::Double,
        Type::Decimal { precision, scale } => {
            PrimitiveType::Decimal { precision: (*precision).into(), scale: (*scale).into() }
        }
        Type::Date => PrimitiveType::Date,
        Type::Timestamp => PrimitiveType::Timestamptz,
        Type::String | Type::Json => PrimitiveType::String,
        Type::Struct(_) | Type::List(_) => unreachable!("these are of parts"),
    }
}

/// What fields ask of a table that it does not have.
#[derive(Default)]
pub(crate) struct Missing {
    /// Columns to add, outer ones with all that is in them.
    pub(crate) additions: Vec<AddColumn>,
    /// Columns that have another type in the table: the path, the table's type and the field's.
    pub(crate) conflicts: Vec<(String, String, String)>,
}

/// What these fields ask of a table with that schema.
pub(crate) fn missing(schema: &Schema, fields: &[Field]) -> Missing {
    let mut missing = Missing::default();
    missing.compare_fields(None, schema.as_struct().fields(), fields);
    missing
}

impl Missing {
    fn compare_fields(&mut self, parent: Option<&str>, found: &[NestedFieldRef], asked: &[Field]) {
        for field in asked {
            match found.iter().find(|column| column.name == field.name) {
                None => self.additions.push(addition(parent, field)),
                Some(column) => {
                    let path = match parent {
                        None => field.name.clone(),
                        Some(parent) => format!("{parent}.{}", field.name),
                    };
                    self.compare(&path, &column.field_type, &field.ty);
                }
            }
        }
    }

    fn compare(&mut self, path: &str, found: &iceberg::spec::Type, asked: &Type) {
        match (found, asked) {
            (iceberg::spec::Type::Struct(found), Type::Struct(asked)) => {
                self.compare_fields(Some(path), found.fields(), asked);
            }
            (iceberg::spec::Type::List(found), Type::List(asked)) => {
                let path = format!("{path}.{LIST_FIELD_NAME}");
                self.compare(&path, &found.element_field.field_type, &asked.ty);
            }
            (iceberg::spec::Type::Primitive(found), asked)
                if !matches!(asked, Type::Struct(_) | Type::List(_))
                    && *found == primitive(asked) => {}
            (found, asked) => {
                let asked = Ids(0).ty(asked);
                self.conflicts.push((path.to_owned(), found.to_string(), asked.to_string()));
            }
        }
    }
}

fn addition(parent: Option<&str>, field: &Field) -> AddColumn {
    let column = AddColumn::builder().name(&field.name).field_type(Ids(0).ty(&field.ty));
    match (parent, &field.description) {
        (None, None) => column.build(),
        (None, Some(text)) => column.doc(text).build(),
        (Some(parent), None) => column.parent(parent).build(),
        (Some(parent), Some(text)) => column.parent(parent).doc(text).build(),
    }
}
