//! Reading the configuration of a look-up of an API.

use std::sync::Arc;
use std::time::Duration;

use event::schema_key::Parts;

use super::url::Template;
use super::{Api, Credentials, Method, Output};
use crate::inputs::{Input, read_path};
use crate::lookup::Cache;
use crate::reader::Node;

/// The longest time to wait for an answer, in milliseconds, as the published schema has it.
const LONGEST: u64 = 60_000;
impl Api {
    /// Reads the parameters of a configuration. What a peer would only notice with each event is a
    /// mistake if `strict`.
    pub(crate) fn read(
        parameters: &Node<'_>,
        (name, uri): (&'static str, &str),
        strict: bool,
    ) -> Option<Api> {
        parameters.only(&["inputs", "api", "outputs", "cache", "ignoreOnError"])?;
        let inputs = inputs(&parameters.field("inputs"), strict);
        let api = parameters.field("api");
        api.only(&["http"])?;
        let http = api.field("http");
        http.only(&["method", "uri", "timeout", "authentication"])?;
        let method = http.field("method").choice(&[
            ("GET", Method::Get),
            ("POST", Method::Post),
            ("PUT", Method::Put),
        ]);
        // A URL may hold a key.
        let place = http.field("uri");
        let (url, secret) = (place.secret(), place.is_reference());
        let timeout = http.field("timeout").number(1, LONGEST);
        let credentials = credentials(&http.field("authentication"));
        let outputs = outputs(&parameters.field("outputs"), strict);
        let cache = Cache::read(&parameters.field("cache"));
        let ignore_errors = match parameters.field("ignoreOnError").present() {
            Some(node) => node.flag(),
            None => Some(false),
        };
        let (inputs, url) = (inputs?, url?);
        let names = inputs.iter().map(|input| input.name.as_str());
        Some(Api {
            name,
            uri: uri.to_owned(),
            url: Template::read((&url, secret), names),
            inputs,
            method: method?,
            timeout: Duration::from_millis(timeout?),
            credentials: credentials?,
            outputs: outputs?,
            cache: cache?,
            ignore_errors: ignore_errors?,
        })
    }

    /// Why it never asks anything, if that is so.
    pub(crate) fn never_asks(&self) -> Option<String> {
        self.url.never_filled()
    }
}

fn inputs(node: &Node<'_>, strict: bool) -> Option<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut sound = true;
    for node in node.elements()? {
        let read = || {
            node.only(&["key", "pojo", "json"])?;
            let key = node.field("key");
            let name = key.text()?;
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty() || !name.chars().all(allowed) {
                key.wrong("letters, digits, _ and -");
                return None;
            }
            Input::read(&node, name, strict)
        };
        match read() {
            Some(input) => inputs.push(input),
            None => sound = false,
        }
    }
    sound.then_some(inputs)
}

/// Credentials, where there are any; none at all is sound.
#[allow(clippy::option_option, reason = "the outer one is about what was wrong")]
fn credentials(node: &Node<'_>) -> Option<Option<Credentials>> {
    let Some(node) = node.clone().present() else { return Some(None) };
    node.only(&["httpBasic"])?;
    let Some(basic) = node.field("httpBasic").present() else { return Some(None) };
    basic.only(&["username", "password"])?;
    let part = |name: &str| match basic.field(name).present() {
        Some(node) => node.secret().map(Some),
        None => Some(None),
    };
    let (username, password) = (part("username")?, part("password")?);
    if username.is_none() && password.is_none() {
        return Some(None);
    }
    let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
    Some(Some(Credentials { username, password }))
}

fn outputs(node: &Node<'_>, strict: bool) -> Option<Vec<Output>> {
    let elements = node.elements()?;
    if elements.is_empty() {
        node.wrong("at least one output");
    }
    let outputs = elements.iter().map(|node| {
        node.only(&["schema", "json"])?;
        let schema = node.field("schema");
        let uri = schema.text()?;
        if Parts::parse(&uri).is_err() {
            schema.wrong("an Iglu URI");
            return None;
        }
        let json = node.field("json");
        json.only(&["jsonPath"])?;
        let place = json.field("jsonPath");
        let path = read_path(&place, strict)?;
        Some(Output { schema: Arc::from(uri), path_text: place.text()?, path })
    });
    let outputs: Vec<Option<Output>> = outputs.collect();
    outputs.into_iter().collect::<Option<Vec<Output>>>().filter(|outputs| !outputs.is_empty())
}
