//! What checking an entity costs, against parsing it and asking the `jsonschema` crate.
//!
//! `cargo bench -p validator`. Both sides see the same texts in turns, many rounds, and the median
//! of the thread's CPU time is printed, so that a busy machine hurts both alike. Entities come
//! from the recorded corpus beside the repository, if it is there, and from the list below.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use event::SchemaKey;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use serde_json::value::RawValue;
use validator::Schema;

/// Counts allocations.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Bytes allocated and not freed.
static LIVE: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds per schema; the median is what counts.
const ROUNDS: usize = 31;

/// Texts per round.
const TEXTS: usize = 400;

/// Entities that the corpus does not have.
const MORE: &[(&str, &str)] = &[
    (
        "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
        concat!(
            r#"{"userId":"7a62ddad-2303-4ff8-9a1b-b0a1d1f4d6c1","#,
            r#""sessionId":"0c3ddf1b-c2bd-43a9-b2a5-4e7dbb6c8f3a","eventIndex":17,"se"#,
            r#"ssionIndex":3,"#,
            r#""previousSessionId":"b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5e","#,
            r#""storageMechanism":"COOKIE_1","firstEventId":"5ee7f3a2-3f5b-4bb6-8f08-"#,
            r#"5ed1c0a5c1ef","#,
            r#""firstEventTimestamp":"2024-05-01T10:11:12.345Z"}"#,
        ),
    ),
    (
        "iglu:com.snowplowanalytics.snowplow/mobile_context/jsonschema/1-0-3",
        concat!(
            r#"{"osType":"ios","osVersion":"17.4.1","deviceManufacturer":"Apple Inc.","#,
            r#""deviceModel":"iPhone15,2","carrier":"Carrier","networkType":"wifi","#,
            r#""networkTechnology":"CTRadioAccessTechnologyLTE","#,
            r#""appleIdfv":"8F2A1C9E-7B41-4D52-9A6E-2C1F3B5D7E90","physicalMemory":5921,"#,
            r#""systemAvailableMemory":1200,"batteryLevel":88,"batteryState":"charging","#,
            r#""lowPowerMode":false,"availableStorage":45097156608,"totalStorage":127989493760,"#,
            r#""isPortrait":true,"resolution":"1179x2556","scale":3.0,"language":"en-GB"}"#,
        ),
    ),
    (
        "iglu:com.snowplowanalytics.snowplow/browser_context/jsonschema/2-0-0",
        concat!(
            r#"{"viewport":"1920x969","documentSize":"1905x4233","resolution":"1920x1080","#,
            r#""colorDepth":24,"devicePixelRatio":1,"cookiesEnabled":true,"online":true,"#,
            r#""browserLanguage":"en-GB","documentLanguage":"en","webdriver":false,"#,
            r#""deviceMemory":8,"hardwareConcurrency":8,"#,
            r#""tabId":"5ee7f3a2-3f5b-4bb6-8f08-5ed1c0a5c1ef"}"#,
        ),
    ),
    (
        "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        concat!(
            r#"[{"e":"pv","url":"https://shop.acme.com/catalogue/shoes?utm_source=new"#,
            r#"sletter&utm_me"#,
            r#"dium=email&page=2","page":"Shoes, page 2","refr":"https://www.google.com/","#,
            r#""eid":"c6ef3124-b53a-4b13-a233-0088f79dcbcb","tv":"js-3.24.0","tna":"sp1","#,
            r#""aid":"web","p":"web","cookie":"1","cs":"UTF-8","lang":"en-GB","res":"1920x1080","#,
            r#""cd":"24","tz":"Europe/London","dtm":"1714557071000","vp":"1920x969","#,
            r#""ds":"1905x4233","vid":"3","sid":"0c3ddf1b-c2bd-43a9-b2a5-4e7dbb6c8f3a","#,
            r#""duid":"7a62ddad-2303-4ff8-9a1b-b0a1d1f4d6c1","uid":"u-81723","#,
            r#""cx":"eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvd2FuYWx5dGljcy5zbm93cGxvdy9j"#,
            r#"b250ZXh0cy9qc2"#,
            r#"9uc2NoZW1hLzEtMC0wIiwiZGF0YSI6W119","stm":"1714557072000"}]"#,
        ),
    ),
];

fn main() {
    println!(
        "{:<58}{:>6}{:>9}{:>9}{:>7}{:>8}",
        "schema", "bytes", "other ns", "ours ns", "ratio", "allocs"
    );
    let mut ratios = Vec::new();
    for (uri, texts) in texts() {
        let ratio = compare(&uri, &texts);
        ratios.push(ratio);
    }
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!("geometric mean {:.2}, least {least:.2}", (logarithms / ratios.len() as f64).exp());
    compile_all();
}

/// Prints what compiling and keeping a schema costs, over every embedded one.
fn compile_all() {
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/schemas")];
    let mut texts = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("the schemas are there") {
            let path = entry.expect("the schemas are there").path();
            match std::fs::read_to_string(&path) {
                Ok(text) => texts.push(text),
                Err(_) => dirs.push(path),
            }
        }
    }
    let mut compiled = Vec::with_capacity(texts.len());
    let before = LIVE.load(Ordering::Relaxed);
    let time = cpu_ns(|| compiled.extend(texts.iter().map(|text| Schema::compile(text))));
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    let count = compiled.len() as u64;
    println!("{count} schemas: {} bytes and {} us each", bytes / count, time / count / 1_000);
}

/// Prints one line and gives the ratio.
fn compare(uri: &str, texts: &[String]) -> f64 {
    let key = SchemaKey::parse(uri).expect("an Iglu URI");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/schemas").join(key.path());
    let text = std::fs::read_to_string(path).expect("the schema is embedded");
    let ours = Schema::compile(&text);
    let mut schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    schema.as_object_mut().expect("a schema is an object").shift_remove("$schema");
    let theirs = jsonschema::draft4::new(&schema).expect("a valid schema");
    let other = |text: &String| {
        let value: Value = serde_json::from_slice(text.as_bytes()).expect("a text is JSON");
        theirs.is_valid(&value)
    };
    assert!(texts.iter().all(|text| ours.check(text).is_ok()), "{uri}: {}", texts[0]);
    assert!(texts.iter().all(other), "{uri}");
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    texts.iter().for_each(|text| drop(black_box(ours.check(text))));
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(cpu_ns(|| texts.iter().for_each(|text| _ = black_box(other(text)))));
        b.push(cpu_ns(|| texts.iter().for_each(|text| drop(black_box(ours.check(text))))));
    }
    let per_text = |mut rounds: Vec<u64>| {
        rounds.sort_unstable();
        rounds[ROUNDS / 2] as f64 / texts.len() as f64
    };
    let (other, ours) = (per_text(a), per_text(b));
    let bytes = texts.iter().map(String::len).sum::<usize>() / texts.len();
    let name = uri.trim_start_matches("iglu:").replace("/jsonschema", "");
    let ratio = other / ours;
    println!("{name:<58}{bytes:>6}{other:>9.0}{ours:>9.0}{ratio:>7.2}{allocations:>8}");
    ratio
}

fn cpu_ns(work: impl FnOnce()) -> u64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    let before = now();
    work();
    now() - before
}

/// Texts by schema.
fn texts() -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (uri, text) in MORE {
        texts.insert((*uri).to_owned(), vec![(*text).to_owned(); TEXTS]);
    }
    let corpus =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/corpus/std.tsv.zst");
    let Ok(file) = std::fs::File::open(&corpus) else {
        println!("no corpus at {}", corpus.display());
        return texts;
    };
    let lines = zstd::decode_all(file).expect("the corpus is compressed");
    for line in String::from_utf8_lossy(&lines).lines() {
        for column in line.split('\t').filter(|column| column.starts_with("{\"schema\":")) {
            collect(column, &mut texts);
        }
    }
    texts
}

#[derive(serde::Deserialize)]
struct SelfDescribing {
    schema: String,
    data: Box<RawValue>,
}

/// Takes an envelope's data and the entities in it.
fn collect(json: &str, texts: &mut BTreeMap<String, Vec<String>>) {
    let Ok(SelfDescribing { schema, data }) = serde_json::from_str(json) else { return };
    let list = texts.entry(schema).or_default();
    if list.len() < TEXTS {
        list.push(data.get().to_owned());
        match serde_json::from_str::<Vec<Box<RawValue>>>(data.get()) {
            Ok(entities) => entities.iter().for_each(|entity| collect(entity.get(), texts)),
            Err(_) => collect(data.get(), texts),
        }
    }
}
