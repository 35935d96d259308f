//! The page's files, in the binary, as they lie in `ui/`; what it shares with the pages of
//! `snowmelt` lies there.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Each file with its name and kind.
const FILES: [(&str, &str, &str); 14] = [
    ("", PAGE, include_str!("../../ui/query.html")),
    ("ui/query.css", STYLE, include_str!("../../ui/query.css")),
    ("ui/query.js", SCRIPT, include_str!("../../ui/query.js")),
    ("ui/asking.js", SCRIPT, include_str!("../../ui/asking.js")),
    ("ui/chart.js", SCRIPT, include_str!("../../ui/chart.js")),
    ("ui/editor.js", SCRIPT, include_str!("../../ui/editor.js")),
    ("ui/examples.js", SCRIPT, include_str!("../../ui/examples.js")),
    ("ui/result.js", SCRIPT, include_str!("../../ui/result.js")),
    ("ui/saved.js", SCRIPT, include_str!("../../ui/saved.js")),
    ("ui/tables.js", SCRIPT, include_str!("../../ui/tables.js")),
    ("ui/base.css", STYLE, include_str!("../../../enricher/ui/base.css")),
    ("ui/dom.js", SCRIPT, include_str!("../../../enricher/ui/dom.js")),
    ("ui/theme.js", SCRIPT, include_str!("../../../enricher/ui/theme.js")),
    ("ui/icon.svg", PICTURE, include_str!("../../../enricher/ui/icon.svg")),
];

/// What the page may do: show what this address serves, and ask it. A download is made of what it
/// has got already.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Serves the page at `/query/`.
pub(super) fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |routes, (name, kind, text)| {
        let path = format!("/query/{name}");
        let about = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")];
        routes.route(&path, get(move || async move { (about, text) }))
    })
}

/// What every answer says: it is what it says it is, and nobody else's business.
pub(super) fn guarded(answer: Response) -> Response {
    let mut answer = answer.into_response();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the policy would keep from working, and what would ask another host.
    #[test]
    fn files_have_nothing_inline_and_nothing_from_elsewhere() {
        let anywhere = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
        let of_pages = ["<style", "style=\"", "onclick=", "onload=", "javascript:", "=\"/"];
        for (name, kind, text) in FILES {
            let inline = of_pages.iter().filter(|_| kind == PAGE);
            for word in inline.chain(&anywhere) {
                assert!(!text.contains(word), "{name} has {word}");
            }
            let links = text.matches("://").count() - text.matches("http://www.w3.org/").count();
            assert_eq!(links, 0, "{name}");
        }
    }

    #[test]
    fn every_file_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        let there = std::fs::read_dir(folder).expect("it is there").count();
        let ours = FILES.iter().filter(|(name, _, _)| {
            !name.contains("ui/") || {
                !["base.css", "dom.js", "theme.js", "icon.svg"].iter().any(|it| name.ends_with(it))
            }
        });
        assert_eq!(ours.count(), there);
    }
}
