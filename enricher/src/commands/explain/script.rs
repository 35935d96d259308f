//! A script to be tried on one payload, without a configuration that holds it.

use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use serde_json::Value;
use traffic::requests;

use crate::exit::Usage;
use crate::rules::OwnScript;

/// The page view that a script runs on where no payload is given.
const PAGE_VIEW: &str = "e=pv&p=web&tv=js-4.0.0&aid=example&uid=somebody&page=Welcome\
                         &url=https%3A%2F%2Fwww.example.com%2Fwelcome%3Futm_source%3Dletter";

/// A script, and its parameters.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// A script to run behind all that are configured, as it is: no Base64, no configuration.
    /// Without a payload it runs on a page view.
    #[arg(long, conflicts_with = "user_agent", value_name = "FILE")]
    script: Option<PathBuf>,
    /// What the script is given as its parameters.
    #[arg(long, requires = "script", value_name = "JSON")]
    script_params: Option<String>,
}

impl Args {
    /// The script, if there is one.
    pub(super) fn read(&self) -> anyhow::Result<Option<OwnScript>> {
        let Some(path) = &self.script else { return Ok(None) };
        let cannot = || format!("cannot read {}", path.display());
        let source = std::fs::read_to_string(path).with_context(cannot)?;
        if let Some(text) = &self.script_params {
            let wrong = |found: String| {
                Usage(format!("--script-params: expected a JSON object, found {found}"))
            };
            let value: Value =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if !value.is_object() {
                return Err(wrong(value.to_string()).into());
            }
        }
        let (file, parameters) = (path.display().to_string(), self.script_params.clone());
        Ok(Some(OwnScript { file, source, parameters }))
    }

    /// The record of the page view, where a script is all that was given.
    pub(super) fn page_view(&self) -> Option<Bytes> {
        let record = || Bytes::from(requests::record(&requests::get("/i", PAGE_VIEW)));
        self.script.is_some().then(record)
    }
}
