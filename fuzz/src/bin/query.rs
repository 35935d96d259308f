//! Any text as a query string, in every charset.
#![no_main]

use event::{Bump, query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arena = Bump::new();
    for charset in ["UTF-8", "ISO-8859-1", "windows-1252", "US-ASCII", "UTF-16"] {
        if let Ok(pairs) = query::parse(text, charset, &arena) {
            assert!(pairs.len() <= text.len());
        }
    }
});
