//! The places that schemas are kept in, and the registries that stand for the remote ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::Request;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use event::SchemaKey;
use resolver::Resolver;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::Args;
use crate::aws;
use crate::batch::Batch;
use crate::resolving::needed;
use crate::rules::Rules;
use pipeline::Pipeline;

/// The name of the registry under test.
pub(super) const NAME: &str = "Under Test";

/// What the far registry grants a second. A bucket grants thousands, to all its readers together;
/// this is the share of one worker in a large fleet that starts anew.
const GRANTED: u32 = 10;

/// A place that schemas are kept in.
pub(super) struct Hosting {
    pub(super) name: &'static str,
    /// Makes a resolver that remembers nothing yet.
    pub(super) make: Box<dyn Fn() -> anyhow::Result<Resolver>>,
}

/// The schemas that the input needs.
pub(super) struct Corpus {
    pub(super) keys: Vec<SchemaKey>,
    /// Texts by path below `schemas/`.
    pub(super) texts: HashMap<String, String>,
    scratch: Scratch,
}

impl Corpus {
    /// Collects the schemas that a pipeline asks for when it meets the input.
    pub(super) fn of(
        args: &Args,
        pipeline: &Pipeline,
        batches: &[Batch],
        runtime: &Runtime,
    ) -> anyhow::Result<Corpus> {
        let rules = Rules { resolver: args.resolver.clone(), ..Rules::default() };
        let resolver = rules.resolver(&aws::Settings::default())?;
        let mut keys = Vec::new();
        for batch in batches {
            keys.extend(runtime.block_on(needed(pipeline, &resolver, batch)));
        }
        let mut texts = HashMap::new();
        for key in &keys {
            let fetched = runtime.block_on(resolver.fetch(key));
            let fetched = fetched.ok().with_context(|| format!("no registry has {key}"))?;
            texts.insert(key.path(), fetched.text);
        }
        ensure!(!keys.is_empty(), "the input needs no schemas");
        Ok(Corpus { keys, texts, scratch: Scratch::new()? })
    }

    /// A folder for files of this benchmark; it goes with the corpus.
    pub(super) fn scratch(&self) -> &Path {
        &self.scratch.0
    }
}

/// All five, the farthest first.
pub(super) fn all(corpus: &Corpus, runtime: &Runtime) -> anyhow::Result<Vec<Hosting>> {
    let remote = |name: &'static str, delay: u64, granted: Option<u32>| {
        let uri = runtime.block_on(serve(corpus, Duration::from_millis(delay), granted))?;
        let make = move || configured(&format!(r#"{{"http":{{"uri":"{uri}"}}}}"#));
        anyhow::Ok(Hosting { name, make: Box::new(make) })
    };
    let folder = corpus.scratch().join("folder");
    for (path, text) in &corpus.texts {
        let file = folder.join("schemas").join(path);
        std::fs::create_dir_all(file.parent().expect("a path has parts"))?;
        std::fs::write(file, text)?;
    }
    let connection = serde_json::json!({"folder": {"path": folder}}).to_string();
    let bundle = corpus.scratch().join("bundle");
    let mut lines = Vec::new();
    let source = configured(&connection)?;
    runtime.block_on(source.pull(&corpus.keys, &mut lines))?;
    std::fs::write(&bundle, lines)?;
    let from_bundle = move || {
        // A term of a second here, too.
        let resolver = configured(r#"{"embedded":{"path":""}}"#)?;
        Ok(resolver.with_bundle(&bundle)?)
    };
    Ok(vec![
        remote("a bucket, 30 ms, throttled", 30, Some(GRANTED))?,
        remote("a registry, 2 ms", 2, None)?,
        remote("a registry on this machine", 0, None)?,
        Hosting { name: "a folder", make: Box::new(move || configured(&connection)) },
        Hosting { name: "a bundle", make: Box::new(from_bundle) },
    ])
}

/// A resolver over one registry that is asked before the embedded one, with a term of a second.
pub(super) fn configured(connection: &str) -> anyhow::Result<Resolver> {
    let text = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
        "data":{{"cacheSize":20000,"cacheTtl":1,"repositories":[{{"name":"{NAME}","priority":0,
        "vendorPrefixes":[""],"connection":{connection}}}]}}}}"#
    );
    Ok(Resolver::from_config(&text, Path::new(""), None)?)
}

/// Starts a registry that takes its time and refuses what is too much; it ends with the runtime.
async fn serve(corpus: &Corpus, delay: Duration, granted: Option<u32>) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let texts = Arc::new(corpus.texts.clone());
    let grant = Arc::new(Mutex::new((Instant::now(), 0)));
    let answer = move |request: Request| {
        let (texts, grant) = (Arc::clone(&texts), Arc::clone(&grant));
        async move {
            tokio::time::sleep(delay).await;
            if granted.is_some_and(|granted| !take(&grant, granted)) {
                return (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), "SlowDown".to_owned());
            }
            let path = request.uri().path().trim_start_matches("/schemas/");
            let Some(text) = texts.get(path) else {
                return (StatusCode::NOT_FOUND, HeaderMap::new(), String::new());
            };
            let tag = format!("\"{}-{}\"", path.len(), text.len());
            let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == &tag[..]);
            let tag = tag.parse().expect("quotes, digits and a hyphen");
            let headers = HeaderMap::from_iter([(ETAG, tag)]);
            match known {
                true => (StatusCode::NOT_MODIFIED, headers, String::new()),
                false => (StatusCode::OK, headers, text.clone()),
            }
        }
    };
    let server = axum::serve(listener, Router::new().fallback(answer)).into_future();
    tokio::runtime::Handle::current().spawn(server);
    Ok(uri)
}

/// Whether the present second has one left.
fn take(grant: &Mutex<(Instant, u32)>, granted: u32) -> bool {
    let mut grant = grant.lock().expect("nothing panics while it is held");
    if grant.0.elapsed() >= Duration::from_secs(1) {
        *grant = (Instant::now(), 0);
    }
    grant.1 += 1;
    grant.1 <= granted
}

/// A folder of this process, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let name = format!("snowmelt-bench-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, as all of this folder is.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
