//! Any bytes as a record: decoded or refused; what is decoded is the same when written and read
//! again.
#![no_main]

use event::{Bump, thrift};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let arena = Bump::new();
    let Ok(wire) = thrift::read(record, &arena) else { return };
    if wire.schema.is_none() {
        return;
    }
    let mut written = Vec::new();
    thrift::write(&wire, &mut written);
    assert_eq!(thrift::read(&written, &arena), Ok(wire));
});
