//! Many schemas in one file, so that a worker needs no registry to start.
//!
//! One line each, a self-describing JSON of the schema's Iglu URI and the schema:
//! `{"schema":"iglu:…","data":{…}}`. Lines can be sorted, compared and joined with the usual tools.

use std::io::{self, BufRead, Write};

use event::SchemaKey;
use hashbrown::HashMap;
use serde_json::value::RawValue;

use crate::registry::{Answer, Asking, Listing, Registry};

/// A bundle in memory.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    schemas: HashMap<SchemaKey, Box<RawValue>, foldhash::fast::RandomState>,
}

/// What is wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A line is not what a bundle consists of.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Line<'a> {
    schema: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Bundle {
    /// Reads a bundle. Of two lines with one key the last counts.
    pub(crate) fn read(input: impl BufRead) -> Result<Bundle, BundleError> {
        let mut bundle = Bundle::default();
        for (index, text) in input.lines().enumerate() {
            let wrong = |why: String| BundleError::Line { line: index + 1, why };
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let line: Line<'_> =
                serde_json::from_str(&text).map_err(|why| wrong(why.to_string()))?;
            let key = SchemaKey::parse(&line.schema)
                .map_err(|why| wrong(format!("{why}: {}", line.schema)))?;
            bundle.schemas.insert(key, line.data.to_owned());
        }
        Ok(bundle)
    }
}

/// Writes a line of a bundle; `text` is the schema.
pub(crate) fn write_line(key: &SchemaKey, text: &str, out: &mut impl Write) -> io::Result<()> {
    // Inside strings JSON has no line ends, so this leaves the document as it is.
    let text = text.replace(['\n', '\r'], " ");
    let line = Line { schema: key.to_string().into(), data: serde_json::from_str(text.trim())? };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

impl Registry for Bundle {
    fn get<'a>(&'a self, key: &'a SchemaKey, _: Option<&'a str>) -> Asking<'a> {
        let text = self.schemas.get(key).map(|text| text.get());
        Box::pin(std::future::ready(text.map_or(Answer::NotFound, Answer::found)))
    }

    fn list(&self) -> Listing<'_> {
        Box::pin(std::future::ready(Ok(self.schemas.keys().cloned().collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_names_the_line_that_is_wrong() {
        let good = r#"{"schema":"iglu:com.acme/a/jsonschema/1-0-0","data":{}}"#;
        for (text, error) in [
            (format!("{good}\n\n{{"), "line 3: EOF"),
            (good.replace("1-0-0", "1"), "line 1: INVALID_IGLUURI: iglu:com.acme/a/jsonschema/1"),
            ("[]".to_owned(), "line 1: "),
        ] {
            let found = Bundle::read(text.as_bytes()).expect_err(error).to_string();
            assert!(found.starts_with(error), "{found}");
        }
        assert_eq!(Bundle::read(good.as_bytes()).expect("it is good").schemas.len(), 1);
    }
}
