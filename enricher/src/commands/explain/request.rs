//! A request given in words, in place of a record: what a collector would have written of it.

use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use event::thrift::Wire;
use traffic::requests;

/// A request.
#[derive(Debug, clap::Args)]
#[group(id = "request")]
pub(super) struct Args {
    /// The path of a request, /com.acme/v1, to be explained in place of a record.
    #[arg(long, group = "spoken", conflicts_with = "input", value_name = "PATH")]
    path: Option<String>,
    /// The request's body.
    #[arg(long, requires = "path", value_name = "FILE")]
    body: Option<PathBuf>,
    /// The request's content type.
    #[arg(long, requires = "path", value_name = "TYPE")]
    content_type: Option<String>,
    /// The request's query string, without the question mark.
    #[arg(long, requires = "path", value_name = "TEXT")]
    query: Option<String>,
    /// A header of the request, or of the user agent's browser.
    #[arg(long, requires = "spoken", value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
}

impl Args {
    /// The record of the request, if there is one.
    pub(super) fn record(&self) -> anyhow::Result<Option<Bytes>> {
        let Some(path) = &self.path else { return Ok(None) };
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let body = self.body.as_ref().map(read).transpose()?;
        let headers: Vec<&[u8]> = self.header.iter().map(|header| header.as_bytes()).collect();
        let wire = Wire {
            querystring: self.query.as_deref().map(str::as_bytes),
            content_type: self.content_type.as_deref().map(str::as_bytes),
            body: body.as_deref(),
            headers: &headers,
            ..requests::get(path, "")
        };
        Ok(Some(Bytes::from(requests::record(&wire))))
    }
}
