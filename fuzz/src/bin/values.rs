//! Any text as the value of a parameter, under every rule: what comes out comes out of itself.
#![no_main]

use event::{Bump, convert, time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arena = Bump::new();
    if let Ok(Some(number)) = convert::decimal(text, &arena) {
        assert_eq!(convert::decimal(number, &arena), Ok(Some(number)));
    }
    if let Ok(Some(number)) = convert::int32(text, &arena) {
        assert_eq!(convert::int32(number, &arena), Ok(Some(number)));
    }
    if let Ok((ms, field)) = convert::ms_timestamp(text, &arena) {
        assert_eq!(time::parse_ms(field), Some(ms));
    }
    if let Some(uuid) = convert::uuid_lenient(text, &arena) {
        assert_eq!(convert::uuid_strict(uuid, &arena), Some(uuid));
    }
    if let Some(safe) = convert::tsv_safe(text, &arena) {
        assert!(!safe.contains(|c: char| c.is_ascii_control()));
    }
    let _ = convert::dimensions(text, &arena);
    let _ = convert::first_ip(text, &arena);
    let _ = convert::client_ip(&[text], Some(text), &arena);
    let _ = convert::path(text);
});
