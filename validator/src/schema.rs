//! One schema, compiled, and the check of data against it.
//!
//! [`Schema::check`] first walks the bytes of the data, which allocates nothing and says yes or
//! "not surely". Only then is a tree built and walked for the report; the tree's word is final,
//! and both walks follow one table of rules. A schema that is not valid itself is a `Schema` too:
//! its check says so.

pub(crate) mod compile;
mod distinct;
mod loops;
mod names;
pub(crate) mod report;
mod scan;
pub(crate) mod table;

use std::sync::LazyLock;

use event::SchemaVer;
use event::reason::{ClientError, SchemaIssue, Violation};

use crate::document::{self, ParseError, Value};
use table::Table;

/// How deep schemas and data may be; the root is the first level, and scalars count as one.
pub(crate) const DEPTH_LIMIT: u32 = 40;

const TOO_DEEP: &str = "Maximum allowed JSON depth exceeded";

/// The values of `$schema` that the peer knows.
const DIALECTS: [&str; 2] = [
    "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
    "https://json-schema.org/draft-04/schema",
];

/// The rules that a schema must follow, as a schema.
const METASCHEMA: &str = include_str!("schema/metaschema.json");

static METATABLE: LazyLock<Table> = LazyLock::new(|| {
    let metaschema = document::parse(METASCHEMA, DEPTH_LIMIT).expect("the metaschema is JSON");
    compile::compile(&metaschema)
});

/// A compiled schema, or the knowledge that a schema is not valid itself.
#[derive(Debug)]
pub struct Schema {
    superseded_by: Option<SchemaVer>,
    rules: Result<Table, Vec<SchemaIssue>>,
}

impl Schema {
    /// Compiles the text of a schema. A text that is no valid schema makes a `Schema` whose
    /// [`Schema::check`] says so of any data.
    pub fn compile(text: &str) -> Schema {
        let rules = match document::parse(text, DEPTH_LIMIT) {
            Ok(value) => examine(&value).map(|()| compile::compile(&value)),
            Err(ParseError::TooDeep) => Err(vec![issue("/", TOO_DEEP)]),
            Err(ParseError::Syntax(at)) => {
                let (line, column) = document::line_and_column(text, at);
                let message = format!("not JSON, as seen at line {line}, column {column}");
                Err(vec![issue("/", &message)])
            }
        };
        Schema { superseded_by: None, rules }
    }

    /// The same schema, as what another version that it superseded is checked against.
    pub fn superseding(mut self, version: SchemaVer) -> Schema {
        self.superseded_by = Some(version);
        self
    }

    /// The version that superseded the one asked for; this schema is then that version's.
    pub fn superseded_by(&self) -> Option<SchemaVer> {
        self.superseded_by
    }

    /// Everything wrong with the data; else what is wrong with the schema.
    pub(crate) fn findings(
        &self,
        value: &Value<'_>,
    ) -> Result<Vec<report::Finding>, Vec<SchemaIssue>> {
        let table = self.rules.as_ref().map_err(Clone::clone)?;
        report::findings(table, value).map_err(|fault| vec![issue(&fault.path, &fault.message)])
    }

    /// Whether a rule of it mentions a member of that name.
    pub fn mentions(&self, name: &str) -> bool {
        self.rules.as_ref().is_ok_and(|table| table.mentions(name))
    }

    /// What is wrong with the schema itself, if anything is.
    pub fn issues(&self) -> &[SchemaIssue] {
        self.rules.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// Validates JSON text in compact form. White space is harmless, but slower.
    pub fn check(&self, json: &str) -> Result<(), Box<ClientError>> {
        let table = match &self.rules {
            Ok(table) => table,
            Err(issues) => return Err(self.bad_schema(issues.clone())),
        };
        if scan::accepts(table, json, DEPTH_LIMIT) {
            return Ok(());
        }
        self.verdict(table, json)
    }

    /// The length of the value that compact JSON text begins with, if the value is surely valid
    /// where it stands, so many levels down. `None` says nothing: [`Schema::check`] does.
    pub fn accepts_start(&self, json: &str, levels: u32) -> Option<usize> {
        scan::accepts_start(self.rules.as_ref().ok()?, json, DEPTH_LIMIT.checked_sub(levels)?)
    }

    /// Whether it describes objects with `schema` and `data` and accepts any data in them, so that
    /// the verdict on `{"schema":"…","data":…}` is the same for all data of bearable depth.
    pub fn is_envelope_of_one(&self) -> bool {
        self.rules.as_ref().is_ok_and(|table| table.ignores("data", 0))
    }

    /// Whether it describes lists of such objects, each judged by itself.
    pub fn is_envelope_of_many(&self) -> bool {
        let rules = self.rules.as_ref().ok();
        rules
            .and_then(|table| Some((table, table.only_item()?)))
            .is_some_and(|(table, item)| table.ignores("data", item))
    }

    /// Whether [`Schema::check`] would accept the data, by the tree alone. For comparing the two.
    #[cfg(test)]
    pub(crate) fn check_tree(&self, json: &str) -> Result<(), Box<ClientError>> {
        match &self.rules {
            Ok(table) => self.verdict(table, json),
            Err(issues) => Err(self.bad_schema(issues.clone())),
        }
    }

    /// Whether the walk over bytes alone accepts the data. For comparing the two.
    #[cfg(test)]
    pub(crate) fn check_bytes(&self, json: &str) -> bool {
        self.rules.as_ref().is_ok_and(|table| scan::accepts(table, json, DEPTH_LIMIT))
    }

    #[cold]
    fn verdict(&self, table: &Table, json: &str) -> Result<(), Box<ClientError>> {
        let violations = match document::parse(json, DEPTH_LIMIT) {
            Ok(value) => report::report(table, &value)
                .map_err(|fault| self.bad_schema(vec![issue(&fault.path, &fault.message)]))?,
            Err(ParseError::TooDeep) => vec![whole_document(TOO_DEEP)],
            Err(ParseError::Syntax(_)) => vec![whole_document("not JSON")],
        };
        if violations.is_empty() {
            return Ok(());
        }
        Err(Box::new(ClientError::Invalid { superseded_by: self.superseded_by, violations }))
    }

    fn bad_schema(&self, issues: Vec<SchemaIssue>) -> Box<ClientError> {
        Box::new(ClientError::BadSchema { superseded_by: self.superseded_by, issues })
    }
}

/// Whether a text is one of a schema: its dialect, the metaschema, its `id`.
fn examine(schema: &Value<'_>) -> Result<(), Vec<SchemaIssue>> {
    if let Some(dialect) = schema.get("$schema") {
        let known = dialect.as_str().is_some_and(|dialect| DIALECTS.contains(&dialect));
        if !known {
            let name = dialect.as_str().map_or_else(|| dialect.to_json(), str::to_owned);
            return Err(vec![issue("$", &format!("Unknown MetaSchema: {name}"))]);
        }
    }
    let violations = report::report(&METATABLE, schema).expect("the metaschema has no fault");
    if !violations.is_empty() {
        let issue =
            |v: Violation| SchemaIssue { path: v.path.unwrap_or_default(), message: v.message };
        return Err(violations.into_iter().map(issue).collect());
    }
    match schema.get("id").and_then(Value::as_str) {
        Some(id) if !is_absolute(id) => {
            let message = format!("{id}: null is an invalid segment for URI {{2}}");
            Err(vec![issue("$", &message)])
        }
        _ => Ok(()),
    }
}

/// Whether an `id` is a URI with a scheme.
fn is_absolute(id: &str) -> bool {
    crate::format::Format::Uri.accepts(id)
}

fn issue(path: &str, message: &str) -> SchemaIssue {
    SchemaIssue { path: path.to_owned(), message: message.to_owned() }
}

/// The version that superseded a schema, by its own text; the error is the value that names none.
pub fn superseding_version(text: &str) -> Result<Option<SchemaVer>, String> {
    // The word is rare and reading the document is not free.
    if !text.contains("$supersededBy") {
        return Ok(None);
    }
    let Ok(document) = document::parse(text, DEPTH_LIMIT) else { return Ok(None) };
    let Some(value) = document.get("$supersededBy") else { return Ok(None) };
    let version = value.as_str().and_then(|text| SchemaVer::parse(text).ok());
    version.map(Some).ok_or_else(|| value.to_json())
}

fn whole_document(message: &str) -> Violation {
    Violation {
        message: message.to_owned(),
        path: Some("/".into()),
        keyword: None,
        targets: vec![],
    }
}

#[cfg(test)]
mod tests;
