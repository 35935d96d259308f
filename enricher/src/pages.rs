//! The files of pages, in the binary: they lie in `ui/` and are served as they are. A page loads
//! nothing from anywhere else, runs no script and no style but these, and may not be framed; what
//! it shows of data is text.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use md5::{Digest, Md5};

/// A file of pages.
#[derive(Clone, Copy)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// Files as they lie in `ui/`, each under its name.
macro_rules! assets {
    ($($name:literal $kind:ident),* $(,)?) => {
        &[$(Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../ui/", $name)),
        }),*]
    };
}

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

const ASSETS: &[Asset] = assets![
    "base.css" STYLE,
    "dom.js" SCRIPT,
    "icon.svg" PICTURE,
    "local.css" STYLE,
    "local.html" PAGE,
    "local.js" SCRIPT,
    "local/detail.js" SCRIPT,
    "local/events.js" SCRIPT,
    "local/fleet.js" SCRIPT,
    "local/rules.js" SCRIPT,
    "local/start.js" SCRIPT,
    "plot.js" SCRIPT,
    "status/page.css" STYLE,
    "status/page.html" PAGE,
    "status/page.js" SCRIPT,
    "theme.js" SCRIPT,
    "tree.js" SCRIPT,
];

/// What a page may do: show what this address serves, and ask it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Serves a page at `/`, and all files that pages are made of below `/ui/`.
pub fn routes<S: Clone + Send + Sync + 'static>(page: &'static str) -> Router<S> {
    let asset = |name: &str| *ASSETS.iter().find(|asset| asset.name == name).expect("it is there");
    let first = asset(page);
    let mut routes = Router::new()
        .route("/", get(move |headers: HeaderMap| async move { first.answer(&headers) }));
    for asset in ASSETS {
        let path = format!("/ui/{}", asset.name);
        routes = routes
            .route(&path, get(move |headers: HeaderMap| async move { asset.answer(&headers) }));
    }
    routes
}

/// What every answer to a page says: it is what it says it is, and nobody else's business.
pub fn guarded(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

impl Asset {
    /// Asked for each time, sent only when it is another than the browser has.
    fn answer(self, asked: &HeaderMap) -> Response {
        let tag = format!("\"{:x}\"", u128::from_be_bytes(Md5::digest(self.bytes).into()));
        let known =
            asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let about = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
        guarded(match known {
            true => (StatusCode::NOT_MODIFIED, about).into_response(),
            false => (about, [(CONTENT_TYPE, self.kind)], self.bytes).into_response(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn files(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => files(&entry.path(), &format!("{name}/"), found),
                false => drop(found.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_is_served() {
        let mut there = BTreeSet::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ui"), "", &mut there);
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(served, there);
    }

    /// What the policy would keep from working, and what would ask another host.
    #[test]
    fn files_have_nothing_inline_and_nothing_from_elsewhere() {
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).expect("it is text");
            let of_pages = ["<style", "style=\"", "onclick=", "onload=", "javascript:"];
            let anywhere =
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
            let inline = of_pages.iter().filter(|_| asset.kind == PAGE);
            for word in inline.chain(&anywhere) {
                assert!(!text.contains(word), "{} has {word}", asset.name);
            }
            let links = text.match_indices("://").map(|(at, _)| {
                let from = text[..at].rfind([' ', '"', '\'', '`', '(']).map_or(0, |at| at + 1);
                text[from..].chars().take(40).collect::<String>()
            });
            let known = ["http://www.w3.org/2000/svg", "http://shop.test", "${location"];
            let strange: Vec<_> =
                links.filter(|link| !known.iter().any(|known| link.starts_with(known))).collect();
            assert!(strange.is_empty(), "{}: {strange:?}", asset.name);
            if asset.kind == PAGE {
                let bare = text.matches("<script").count();
                assert_eq!(bare, text.matches("<script type=\"module\" src=\"/ui/").count());
            }
        }
    }
}
