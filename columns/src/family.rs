//! A family: the versions of one major of one schema, as events or as entities, and the columns
//! that hold them.

use event::{SchemaKey, SchemaVer};

use crate::field::{Element, Field, Type};
use crate::merge::{Breaking, merge};
use crate::names::{self, Kind};
use crate::schema::Schema;
use crate::shape::{Shape, shape};

/// The field that leads each entity: the version of its schema, `1-0-2`. It is read from no key.
pub const SCHEMA_VERSION: &str = "_schema_version";

/// The columns of the versions of one major.
#[derive(Clone, Debug)]
pub struct Family {
    /// Whether they are events or entities.
    pub kind: Kind,
    /// The column that holds all versions that do not break with those before them; none while
    /// there is nothing to hold, which is so for events that cannot say anything.
    pub column: Option<Field>,
    /// The other versions, each with its column.
    pub recovered: Vec<Recovered>,
    /// The versions, in order.
    pub versions: Vec<SchemaKey>,
    /// Their schemas as columns follow them, for examples.
    pub(crate) schemas: Vec<Schema>,
    name: String,
}

/// A version with a column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The version that broke.
    pub version: SchemaVer,
    /// Its column.
    pub field: Field,
    /// What breaks with the versions before it.
    pub why: Breaking,
}

impl Family {
    /// The family of schemas of one vendor, name and major, each with its text, in any order; none
    /// of no schemas.
    pub fn of(kind: Kind, schemas: &[(SchemaKey, &str)]) -> Option<Family> {
        let mut schemas: Vec<_> = schemas.iter().collect();
        schemas.sort_by(|(a, _), (b, _)| (a.version, a).cmp(&(b.version, b)));
        let (first, _) = schemas.first()?;
        let mut family = Family {
            kind,
            column: None,
            recovered: Vec::new(),
            versions: Vec::new(),
            schemas: Vec::new(),
            name: names::column(kind, &first.vendor, &first.name, first.version.model),
        };
        schemas.into_iter().for_each(|(key, text)| family.add(key, text));
        Some(family)
    }

    /// Adds a version that is newer than all there are.
    pub fn add(&mut self, key: &SchemaKey, text: &str) {
        let schema = Schema::read(text);
        if let Some(field) = self.field(&schema) {
            match &self.column {
                None => self.column = Some(field),
                Some(column) => match merge(column, &field) {
                    Ok(merged) => self.column = Some(merged),
                    Err(why) => self.recover(key.version, field, why),
                },
            }
        }
        self.versions.push(key.clone());
        self.schemas.push(crate::normal::normal(&schema));
    }

    fn recover(&mut self, version: SchemaVer, field: Field, why: Breaking) {
        let name = names::recovered(&field.name, version, &field.ty.to_string());
        self.recovered.push(Recovered { version, field: Field { name, ..field }, why });
    }

    /// The name of its column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The column that a version's values go to.
    pub fn of_version(&self, version: SchemaVer) -> Option<&Field> {
        let own = self.recovered.iter().find(|recovered| recovered.version == version);
        own.map(|recovered| &recovered.field).or(self.column.as_ref())
    }

    /// All its columns.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.column.iter().chain(self.recovered.iter().map(|recovered| &recovered.field))
    }

    /// The column of one version alone.
    fn field(&self, schema: &Schema) -> Option<Field> {
        let shape = shape(schema);
        let description = shape.as_ref().and_then(|shape| shape.description.clone());
        let ty = match self.kind {
            Kind::Event => shape?.ty,
            Kind::Entity => Type::List(Box::new(entity(shape))),
        };
        Some(Field { name: self.name.clone(), ty, nullable: true, keys: Vec::new(), description })
    }
}

/// What the list of an entity holds: with the version in front where there are members, which is
/// all there is for an entity that cannot say anything but that it is there.
fn entity(shape: Option<Shape>) -> Element {
    let version = Field {
        name: SCHEMA_VERSION.to_owned(),
        ty: Type::String,
        nullable: false,
        keys: Vec::new(),
        description: Some("The version of the schema that this entity follows.".to_owned()),
    };
    match shape {
        None => Element { ty: Type::Struct(vec![version]), nullable: false },
        Some(Shape { ty: Type::Struct(fields), nullable, .. }) => {
            let own = fields.into_iter().filter(|field| field.name != SCHEMA_VERSION);
            let fields = std::iter::once(version).chain(own).collect();
            Element { ty: Type::Struct(fields), nullable }
        }
        Some(Shape { ty, nullable, .. }) => Element { ty, nullable },
    }
}
