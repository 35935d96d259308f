//! What JSON Schema itself says of a schema.
//!
//! The `jsonschema` crate is asked, so that not our code alone says what a schema is.

use serde_json::Value;

use crate::lint::{Check, Finding};

/// What the metaschema of draft 4 finds wrong.
pub(super) fn findings(schema: &Value) -> Vec<Finding> {
    let errors = jsonschema::draft4::meta::validator();
    let finding = |error: jsonschema::ValidationError<'_>| Finding {
        check: Check::Metaschema,
        pointer: error.instance_path().to_string(),
        message: error.masked().to_string(),
    };
    errors.iter_errors(schema).map(finding).collect()
}
