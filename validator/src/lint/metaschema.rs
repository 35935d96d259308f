//! What JSON Schema itself says of a schema.
//!
//! The `jsonschema` crate is asked, so that not our code alone says what a schema is.

use serde_json::Value;

use crate::lint::{Check, Finding};

/// Adds what the metaschema of draft 4 finds wrong.
pub(super) fn findings(schema: &Value, out: &mut Vec<Finding>) {
    for error in jsonschema::draft4::meta::validator().iter_errors(schema) {
        out.push(Finding {
            check: Check::Metaschema,
            pointer: error.instance_path().to_string(),
            message: error.masked().to_string(),
        });
    }
}
