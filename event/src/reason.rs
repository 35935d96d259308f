//! Why something did not become an enriched event: the messages inside bad rows.
//!
//! One enum serves all kinds of bad row, because they share their variants; which variants may
//! stand in which kind is fixed by whoever reports them. [`crate::bad_row`] prints them in the
//! published form.
//!
//! What is said keeps apart what this program says and what it quotes ([`Words`]): a quotation may
//! be of a person, and not every bad row may show it.

use std::borrow::Cow;
use std::fmt;

use crate::json::SyntaxError;
use crate::schema_key::{Criterion, ParseError, SchemaVer};

/// A text of a message: words of this program, then words that it quotes.
///
/// A constant is the program's by its type. A text made at run time counts as a quotation of what
/// came in, so that nobody has to remember it; whoever knows better says so with [`Words::own`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    own: Cow<'static, str>,
    // A fixed text: a reason is handed on by value, as the error of much that reads a payload.
    quoted: Box<str>,
}

impl Words {
    /// Words of this program alone: numbers, names of columns, but nothing that came in.
    pub fn own(text: impl Into<Cow<'static, str>>) -> Words {
        Words { own: text.into(), quoted: Box::default() }
    }

    /// Words of this program, and then others.
    pub fn quoting(own: impl Into<Cow<'static, str>>, quoted: impl Into<Box<str>>) -> Words {
        Words { own: own.into(), quoted: quoted.into() }
    }

    /// The same after more words of this program.
    #[must_use]
    pub fn after(self, own: &str) -> Words {
        Words { own: format!("{own}{}", self.own).into(), quoted: self.quoted }
    }

    /// The whole text.
    pub fn text(&self) -> Cow<'_, str> {
        match self.quoted.is_empty() {
            true => Cow::Borrowed(&self.own),
            false => Cow::Owned(self.to_string()),
        }
    }

    /// The same with a sign in place of what is quoted.
    #[must_use]
    pub fn withheld(&self) -> Words {
        match self.quoted.is_empty() {
            true => self.clone(),
            false => Words::own(format!("{}[withheld]", self.own)),
        }
    }
}

impl From<&'static str> for Words {
    fn from(text: &'static str) -> Words {
        Words::own(text)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Words {
        Words::quoting("", text)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.own)?;
        out.write_str(&self.quoted)
    }
}

/// One message of a bad row.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Something went wrong that has no better description.
    Simple {
        /// What went wrong.
        error: Words,
    },
    /// An input does not have the expected shape.
    Input {
        /// Which input: a tracker parameter, a header, a part of the payload.
        field: Words,
        /// What was found.
        value: Option<String>,
        /// What was expected.
        expectation: Words,
    },
    /// An input should be JSON.
    NotJson {
        /// Which input.
        field: Words,
        /// What was found.
        value: Option<String>,
        /// The parser's complaint.
        error: Words,
    },
    /// A JSON should be self-describing. `json` is compact JSON text.
    NotIglu {
        /// What was found.
        json: String,
        /// The code.
        error: ParseError,
    },
    /// A self-describing JSON follows another schema than is allowed in its place.
    CriterionMismatch {
        /// The Iglu URI found.
        schema_key: String,
        /// What was allowed.
        criterion: Criterion,
    },
    /// The schema could not be had, or the data does not follow it.
    Iglu {
        /// The Iglu URI.
        schema_key: String,
        /// What is wrong.
        error: ClientError,
    },
    /// A webhook's event type has no schema.
    SchemaMapping {
        /// The type found.
        actual: Option<String>,
        /// Every known type with its schema's Iglu URI.
        expected: Vec<(String, String)>,
        /// What was expected.
        expectation: Words,
    },
}

/// What resolving and validating said about one self-describing JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientError {
    /// No registry gave the schema.
    Resolution {
        /// What each registry said, sorted by name.
        history: Vec<RegistryHistory>,
    },
    /// The data does not follow the schema.
    Invalid {
        /// The version that superseded the schema's, if one did.
        superseded_by: Option<SchemaVer>,
        /// What is wrong with the data.
        violations: Vec<Violation>,
    },
    /// The schema itself is not valid.
    BadSchema {
        /// As above.
        superseded_by: Option<SchemaVer>,
        /// What is wrong with the schema.
        issues: Vec<SchemaIssue>,
    },
}

/// What one registry answered when asked for a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryHistory {
    /// The registry's name in the resolver's configuration.
    pub repository: String,
    /// The distinct answers.
    pub errors: Vec<RegistryError>,
    /// How often it was asked.
    pub attempts: u32,
    /// When it was last asked, milliseconds since the epoch.
    pub last_attempt_ms: i64,
}

/// A registry's refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegistryError {
    /// It does not have the schema.
    NotFound,
    /// The registry failed (5xx, unreadable content).
    RepoFailure(String),
    /// Asking failed (network, other statuses).
    ClientFailure(String),
}

/// One thing wrong with some data at one path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// For people.
    pub message: String,
    /// Where, `$.a.b[0]`.
    pub path: Option<String>,
    /// The schema keyword violated.
    pub keyword: Option<String>,
    /// Details that the keyword defines (the field missing, the type found and expected, …).
    pub targets: Vec<String>,
}

/// One thing wrong with a schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaIssue {
    /// Where, `$.properties.a`.
    pub path: String,
    /// For people.
    pub message: String,
}

/// Why an event failed while it was enriched.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The enrichment that failed, or `None` for the built-in steps.
    pub enrichment: Option<EnrichmentId>,
    /// Why.
    pub reason: Reason,
}

/// Which enrichment, as bad rows name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichmentId {
    /// Iglu URI of its configuration (or of the entity, where an entity did not validate).
    pub schema_key: String,
    /// Its published identifier, `ua-parser`.
    pub identifier: &'static str,
}

impl Reason {
    /// An [`Reason::Input`].
    pub fn input(
        field: impl Into<Words>,
        value: Option<&str>,
        expectation: impl Into<Words>,
    ) -> Reason {
        Reason::Input {
            field: field.into(),
            value: value.map(str::to_owned),
            expectation: expectation.into(),
        }
    }

    /// A [`Reason::Simple`].
    pub fn simple(error: impl Into<Words>) -> Reason {
        Reason::Simple { error: error.into() }
    }

    /// A [`Reason::NotJson`].
    pub fn not_json(field: impl Into<Words>, value: &str, error: SyntaxError) -> Reason {
        let error = Words::own(format!("invalid json: {error}"));
        Reason::NotJson { field: field.into(), value: Some(value.to_owned()), error }
    }
}

impl From<Reason> for Failure {
    /// A failure of a built-in step.
    fn from(reason: Reason) -> Failure {
        Failure { enrichment: None, reason }
    }
}
