//! How destinations are told of, to people: a line for each.

use std::fmt;

use pipeline::divide::Form;

use super::{Access, Destination, Home, Larger, Objects, To};
use crate::sink::kinesis::Key;
use crate::sink::object::Kind;

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} → ", self.route.name())?;
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        write!(f, "{}", self.to)?;
        if self.want.form == Form::Json {
            f.write_str(", as JSON")?;
        }
        if let To::Objects(objects) = &self.to
            && objects.settings.kind == Kind::Table
        {
            f.write_str(", as Parquet")?;
        }
        if let Some(condition) = &self.condition {
            write!(f, ", where {condition}")?;
        }
        if self.implied { f.write_str(" (implied)") } else { Ok(()) }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Stream { settings, access, larger } => {
                write!(f, "stream {}{access}", settings.stream)?;
                if let Key::Columns(fields) = &settings.key {
                    let names: Vec<_> = fields.iter().map(|field| field.name()).collect();
                    write!(f, ", by {}", names.join(" and "))?;
                }
                match larger {
                    Larger::Objects(objects) => write!(f, ", what is too large: {objects}"),
                    Larger::Elsewhere | Larger::None => Ok(()),
                }
            }
            To::Objects(objects) => write!(f, "{objects}"),
            To::Iceberg(table) => write!(f, "{table}"),
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.settings.prefix;
        match &self.home {
            Home::Bucket { name, access, .. } => write!(f, "s3://{name}/{prefix}{access}"),
            Home::Folder(path) if prefix.is_empty() => write!(f, "{}", path.display()),
            Home::Folder(path) => write!(f, "{}", path.join(prefix).display()),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(region) = &self.region {
            write!(f, " in {region}")?;
        }
        if let Some(role) = &self.role {
            write!(f, " as {role}")?;
        }
        Ok(())
    }
}
