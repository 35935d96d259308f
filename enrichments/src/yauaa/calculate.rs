//! Fields that are made of other fields, once all that could be read was read.

use super::domains::Domains;
use super::engine::Engine;
use super::fields::{FieldId, Fields, NULL, id};
use super::normalise;
use super::run::attack;
use super::steps::lower;
use super::tables::Table;
use super::words::Splitter;

/// Calculates them.
pub(super) fn calculate<'a>(engine: &'a Engine, fields: &mut Fields<'a>) {
    use id::*;
    let version = engine.rules.version;
    if fields.value(BROKEN) == "true" && fields.weight(DEVICE_CLASS) == -1 {
        attack(fields, 10, "Unknown");
    }
    if version >= 26 {
        for field in [ENGINE_VERSION, AGENT_VERSION] {
            if !fields.is_default(field) && fields.value(field).eq_ignore_ascii_case("NULL") {
                fields.force(field, "??", fields.weight(field));
            }
        }
    }
    email(fields);
    device_brand(engine, fields);
    device_name(fields);
    fields.get(NETWORK_TYPE);
    if !fields.is_default(NETWORK_TYPE) {
        let brand = fields.keep(&normalise::brand(fields.value(NETWORK_TYPE)));
        fields.force(NETWORK_TYPE, brand, fields.weight(NETWORK_TYPE));
    }
    agent_name(fields);
    fields.get(AGENT_CLASS);
    if fields.is_default(AGENT_CLASS) && !fields.is_default(AGENT_NAME) {
        fields.force(AGENT_CLASS, "Special", 1);
    }
    mac_major(fields, SYSTEM_VERSION_MAJOR, SYSTEM_VERSION);
    major(fields, SYSTEM_VERSION_MAJOR, SYSTEM_VERSION);
    concat(fields, SYSTEM_NAME_VERSION, SYSTEM_NAME, SYSTEM_VERSION);
    mac_major(fields, SYSTEM_NAME_VERSION_MAJOR, SYSTEM_NAME_VERSION);
    major(fields, SYSTEM_NAME_VERSION_MAJOR, SYSTEM_NAME_VERSION);
    let families = [
        (ENGINE_NAME, ENGINE_VERSION, ENGINE_NAME_VERSION),
        (WEBVIEW_NAME, WEBVIEW_VERSION, WEBVIEW_NAME_VERSION),
        (AGENT_NAME, AGENT_VERSION, AGENT_NAME_VERSION),
    ];
    let majors = [
        (ENGINE_VERSION_MAJOR, ENGINE_NAME_VERSION_MAJOR),
        (WEBVIEW_VERSION_MAJOR, WEBVIEW_NAME_VERSION_MAJOR),
        (AGENT_VERSION_MAJOR, AGENT_NAME_VERSION_MAJOR),
    ];
    for ((name, version, both), (version_major, both_major)) in families.into_iter().zip(majors) {
        major(fields, version_major, version);
        concat(fields, both, name, version);
        concat(fields, both_major, name, version_major);
    }
}

/// The first part of a version.
fn major<'a>(fields: &mut Fields<'a>, target: FieldId, version: FieldId) {
    fields.get(target);
    if fields.is_default(target) {
        let whole = fields.get(version);
        let first = (!fields.is_default(version)).then(|| Splitter::MajorVersion.single(whole, 1));
        fields.force(target, first.flatten().unwrap_or(NULL), fields.weight(version));
    }
}

/// The first two parts of a version, of the systems whose versions all began with a ten.
fn mac_major(fields: &mut Fields<'_>, target: FieldId, version: FieldId) {
    if fields.get(id::SYSTEM_NAME) != "Mac OS" {
        return;
    }
    fields.get(target);
    if fields.is_default(target) {
        let whole = fields.get(version);
        let mut first = None;
        if !fields.is_default(version) {
            if !whole.contains("10.") {
                return;
            }
            first = Splitter::Version.first(whole, 2);
        }
        fields.force(target, first.unwrap_or(NULL), fields.weight(version));
    }
}

/// Two fields as one, unless the second begins with the first.
fn concat<'a>(fields: &mut Fields<'a>, target: FieldId, first: FieldId, second: FieldId) {
    let (a, b) = (fields.get(first), fields.get(second));
    let (a_weight, b_weight) = (fields.weight(first), fields.weight(second));
    let weight = a_weight.max(b_weight);
    if fields.is_default(first) && fields.is_default(second) {
        fields.set(target, NULL, weight);
    } else if a == b {
        fields.force(target, a, a_weight);
    } else if b.starts_with(a) {
        fields.force(target, b, b_weight);
    } else {
        let both = fields.keep(&format!("{a} {b}"));
        fields.set(target, both, weight);
    }
}

fn email(fields: &mut Fields<'_>) {
    fields.get(id::AGENT_EMAIL);
    if !fields.is_default(id::AGENT_EMAIL) {
        let email = fields.keep(&normalise::email(fields.value(id::AGENT_EMAIL)));
        fields.force(id::AGENT_EMAIL, email, fields.weight(id::AGENT_EMAIL));
    }
}

fn agent_name(fields: &mut Fields<'_>) {
    use id::{AGENT_NAME, DEVICE_BRAND};
    let name = fields.get(AGENT_NAME);
    if fields.is_default(AGENT_NAME) {
        let brand = fields.get(DEVICE_BRAND);
        let known = !fields.is_default(DEVICE_BRAND);
        fields.force(AGENT_NAME, if known { brand } else { NULL }, fields.weight(DEVICE_BRAND));
    } else if !name.chars().any(char::is_uppercase) {
        let brand = fields.keep(&normalise::brand(name));
        fields.force(AGENT_NAME, brand, fields.weight(AGENT_NAME));
    }
}

fn device_name(fields: &mut Fields<'_>) {
    use id::{DEVICE_BRAND, DEVICE_NAME};
    let name = fields.get(DEVICE_NAME);
    if fields.is_default(DEVICE_NAME) {
        return;
    }
    let brand = fields.get(DEVICE_BRAND);
    let name = without(name, "AppleWebKit");
    let both = fields.weight(DEVICE_NAME) >= 0 && fields.weight(DEVICE_BRAND) >= 0;
    let written = if both && brand != "Unknown" {
        normalise::device_name(brand, &name)
    } else {
        normalise::brand(&name)
    };
    let written = fields.keep(&written);
    fields.force(DEVICE_NAME, written, fields.weight(DEVICE_NAME));
}

/// A text without another, whatever its case.
fn without(text: &str, part: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let head = rest.get(..part.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(part)) {
            rest = &rest[part.len()..];
            continue;
        }
        let next = rest.chars().next().map_or(rest.len(), char::len_utf8);
        out.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    out
}

fn device_brand<'a>(engine: &'a Engine, fields: &mut Fields<'a>) {
    use id::{DEVICE_BRAND, DEVICE_NAME};
    let brand = fields.get(DEVICE_BRAND);
    if !fields.is_default(DEVICE_BRAND) {
        let brand = fields.keep(&normalise::brand(brand));
        fields.force(DEVICE_BRAND, brand, fields.weight(DEVICE_BRAND));
        return;
    }
    let name = fields.get(DEVICE_NAME);
    let known = ["MobileBrands", "MobileBrandPrefixes"].map(|table| engine.tables.named(table));
    if let Some(brand) = longest(known, &lower(name)) {
        fields.force(DEVICE_BRAND, brand, 0);
        return;
    }
    let told = brand_told(&engine.domains, engine.rules.version, fields);
    let told = told.map_or(NULL, |brand| fields.keep(&brand));
    fields.force(DEVICE_BRAND, told, 0);
}

/// The value of the longest key of two look-ups that a text starts with.
fn longest<'a>(tables: [Option<&'a Table>; 2], text: &str) -> Option<&'a str> {
    let found = tables.into_iter().flatten().filter_map(|table| table.longest_prefix(text));
    found.max_by_key(|(length, _)| *length).map(|(_, value)| value)
}

/// The brand that the address of whoever made the user agent tells, or the device's name.
fn brand_told(domains: &Domains, version: u16, fields: &mut Fields<'_>) -> Option<String> {
    use id::{AGENT_EMAIL, AGENT_URL, DEVICE_NAME};
    let url = fields.get(AGENT_URL);
    if !fields.is_default(AGENT_URL)
        && let Some(brand) = normalise::brand_of_url(url, domains, version)
    {
        return Some(brand);
    }
    let email = fields.get(AGENT_EMAIL);
    if !fields.is_default(AGENT_EMAIL)
        && let Some(brand) = normalise::brand_of_email(email, domains)
    {
        return Some(brand);
    }
    let name = fields.get(DEVICE_NAME);
    if fields.is_default(DEVICE_NAME) || GENERIC.contains(&name) {
        return None;
    }
    let words = Splitter::Words.all(name);
    let mut texts = words.iter().take(5).map(|(start, end)| &name[*start..*end]);
    if words.len() < 2 || texts.clone().any(|word| GENERIC.contains(&&*word.to_lowercase())) {
        return None;
    }
    texts.next().map(normalise::brand)
}

/// Names that tell no brand.
const GENERIC: [&str; 22] = [
    "Unknown",
    "android mobile",
    "fuchsia mobile",
    "fuchsia device",
    "ios device",
    "linux desktop",
    "desktop",
    "laptop",
    "server",
    "phone",
    "tv",
    "imitator",
    "bot",
    "tablet",
    "mobile",
    "device",
    "generic",
    "windows",
    "linux",
    "android",
    "ios",
    "fuchsia",
];
