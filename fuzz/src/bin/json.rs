//! Any text as JSON: its compact form is compact, and can be walked.
#![no_main]

use event::json::{self, Elements, Members};
use event::{Bump, base64};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arena = Bump::new();
    let _ = json::compact(base64::decode(text, &arena), &arena);
    let Ok(compact) = json::compact(text, &arena) else { return };
    assert_eq!(json::compact(compact, &arena), Ok(compact));
    let members = Members::of(compact).into_iter().flatten().map(|(key, value)| {
        assert!(json::unescape(key, &arena).is_some());
        value
    });
    let elements = Elements::of(compact).into_iter().flatten();
    for value in members.chain(elements) {
        assert!(!value.is_empty());
    }
});
