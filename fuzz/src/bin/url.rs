//! Any text as a URL: what was accepted is accepted again as it was written, with the same parts.
#![no_main]

use event::{Bump, url};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arena = Bump::new();
    let _ = url::cross_domain(text, &arena);
    if let Ok(found) = url::parse(text, &arena) {
        assert_eq!(url::parse(found.text, &arena), Ok(found));
    }
});
