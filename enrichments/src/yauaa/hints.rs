//! What a browser says of itself in headers (`Sec-CH-UA` and its like).
//!
//! Headers are read leniently: what is no list of brands, text or yes-or-no in the sense of their
//! standard is as good as absent. Brands that only are there to keep readers honest are left out.

mod brands;

use std::collections::BTreeMap;

use super::engine::Engine;
use super::fields::{FieldId, Fields, NULL, id};
use super::words::Splitter;
use brands::Brand;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Hints {
    brands: Option<Vec<Brand>>,
    full_versions: Option<Vec<Brand>>,
    form_factors: Option<Vec<String>>,
    mobile: Option<bool>,
    wow64: Option<bool>,
    texts: [Option<String>; 6],
}

/// Headers that hold one text, in the order of [`Hints::texts`], with the names of their fields.
const TEXTS: [(&str, &str); 6] = [
    ("sec-ch-ua-arch", "UAClientHintArchitecture"),
    ("sec-ch-ua-bitness", "UAClientHintBitness"),
    ("sec-ch-ua-full-version", "UAClientHintFullVersion"),
    ("sec-ch-ua-model", "UAClientHintModel"),
    ("sec-ch-ua-platform", "UAClientHintPlatform"),
    ("sec-ch-ua-platform-version", "UAClientHintPlatformVersion"),
];

impl Hints {
    /// Reads the headers that are hints; of several of one name the last counts.
    pub(super) fn read<'h>(
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        version: u16,
    ) -> Hints {
        let factors = if version < 29 { "sec-ch-ua-form-factor" } else { "sec-ch-ua-form-factors" };
        let mut hints = Hints::default();
        for (name, value) in headers.filter(|(name, _)| is_hint(name)) {
            let name = name.to_ascii_lowercase();
            let some = |brands: Vec<Brand>| (!brands.is_empty()).then_some(brands);
            let flag = match value {
                "?0" => Some(false),
                "?1" => Some(true),
                _ => None,
            };
            match name.as_str() {
                "sec-ch-ua" => hints.brands = some(brands::read(value)).or(hints.brands),
                "sec-ch-ua-full-version-list" => {
                    hints.full_versions = some(brands::read(value)).or(hints.full_versions);
                }
                "sec-ch-ua-mobile" => hints.mobile = flag.or(hints.mobile),
                "sec-ch-ua-wow64" => hints.wow64 = flag.or(hints.wow64),
                _ if name == factors => {
                    let factors = value.split(',').filter_map(|factor| quoted(factor.trim()));
                    let factors: Vec<String> = factors.collect();
                    hints.form_factors = (!factors.is_empty()).then_some(factors);
                }
                _ => {
                    if let Some(at) = TEXTS.iter().position(|(header, _)| *header == name) {
                        hints.texts[at] = quoted(value).or_else(|| hints.texts[at].take());
                    }
                }
            }
        }
        hints
    }

    /// Betters the fields by what was said.
    pub(super) fn apply<'a>(&self, engine: &'a Engine, fields: &mut Fields<'a>) {
        self.note(fields, engine.rules.version);
        let [architecture, bits, _, model, platform, platform_version] = &self.texts;
        if let (Some(platform), Some(version)) = (platform, platform_version) {
            improve_class(fields, platform);
            improve_system(fields, platform, version, engine.rules.version);
        }
        if let Some(mobile) = self.mobile
            && fields.get(id::DEVICE_CLASS) == "Mobile"
        {
            fields.replace(id::DEVICE_CLASS, if mobile { "Phone" } else { "Tablet" });
        }
        if let Some(model) = model {
            let newer: &[&str] = &["Unknown Set-top box", "Samsung Phone", "Samsung Tablet"];
            let newer = if engine.rules.version < 29 { &[] } else { newer };
            let name = fields.get(id::DEVICE_NAME);
            if GENERIC.contains(&name) || newer.contains(&name) {
                let model = fields.keep(model);
                fields.replace(id::DEVICE_NAME, model);
                fields.replace(id::DEVICE_BRAND, NULL);
            }
        }
        if let Some(bits) = bits {
            let bits = fields.keep(bits);
            fields.replace(id::DEVICE_CPU_BITS, bits);
        }
        if let Some(architecture) = architecture {
            let cpu = match architecture.as_str() {
                "x86" if bits.as_deref() == Some("32") => "Intel x86",
                "x86" => "Intel x86_64",
                "arm" => "ARM",
                other => fields.keep(other),
            };
            fields.replace(id::DEVICE_CPU, cpu);
        }
        if let Some(brands) = self.full_versions.as_ref().or(self.brands.as_ref()) {
            improve_agent(brands, engine, fields);
        }
        if let Some(model) = model.as_ref().filter(|_| engine.rules.version >= 26) {
            improve_by_model(model, engine, fields);
        }
    }

    /// Shows what was said as fields of its own.
    fn note(&self, fields: &mut Fields<'_>, version: u16) {
        let lists = [
            ("UAClientHintBrands", &self.brands),
            ("UAClientHintFullVersionList", &self.full_versions),
        ];
        for (name, brands) in lists {
            for (at, brand) in brands.iter().flatten().enumerate() {
                fields.note(format!("{name}_{at}_Brand"), &brand.name);
                fields.note(format!("{name}_{at}_Version"), &brand.version);
            }
        }
        let factors = if version < 29 { "Factor" } else { "Factors" };
        for (at, factor) in self.form_factors.iter().flatten().enumerate() {
            fields.note(format!("UAClientHintForm{factors}_{at}"), factor);
        }
        for ((_, name), text) in TEXTS.iter().zip(&self.texts) {
            if let Some(text) = text {
                fields.note((*name).to_owned(), text);
            }
        }
        let flags = [("UAClientHintMobile", self.mobile), ("UAClientHintWow64", self.wow64)];
        for (name, flag) in flags {
            if let Some(flag) = flag {
                fields.note(name.to_owned(), if flag { "true" } else { "false" });
            }
        }
    }
}

/// Whether a header, or its name, is that of one of these.
pub(super) fn is_hint(header: &str) -> bool {
    header.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("sec-ch-ua"))
}

/// The text within quotes; none if there is nothing in them.
fn quoted(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let text = inner.trim_matches(|c: char| c <= ' ');
    (!text.is_empty() && !inner.contains(['\n', '\r'])).then(|| text.to_owned())
}

/// Names of devices that a model betters.
const GENERIC: [&str; 7] = [
    "Unknown",
    "Android Mobile",
    "Fuchsia Mobile",
    "Fuchsia Device",
    "iOS Device",
    "Desktop",
    "Linux Desktop",
];

fn improve_class(fields: &mut Fields<'_>, platform: &str) {
    use id::*;
    let desktop = [
        (DEVICE_CLASS, "Desktop"),
        (SYSTEM_CLASS, "Desktop"),
        (ENGINE_CLASS, "Browser"),
        (AGENT_CLASS, "Browser"),
    ];
    let more: &[(FieldId, &'static str)] = match platform {
        "macOS" | "Mac OS X" => &[(DEVICE_BRAND, "Apple")],
        "iOS" => &[(DEVICE_CLASS, "Mobile"), (DEVICE_BRAND, "Apple")],
        "Android" | "Fuchsia" => &[(DEVICE_CLASS, "Mobile"), (DEVICE_BRAND, NULL)],
        "Linux" => &[
            (DEVICE_NAME, "Linux Desktop"),
            (DEVICE_BRAND, NULL),
            (DEVICE_VERSION, NULL),
            (DEVICE_FIRMWARE_VERSION, NULL),
        ],
        "Chrome OS" | "Windows" => &[(DEVICE_NAME, "Desktop"), (DEVICE_BRAND, NULL)],
        _ => &[(DEVICE_BRAND, NULL)],
    };
    let hand_held = ["iOS", "Android", "Fuchsia"].contains(&platform);
    for (field, value) in desktop.iter().filter(|_| !hand_held).chain(more) {
        fields.replace(*field, value);
    }
}

fn improve_system<'a>(fields: &mut Fields<'a>, platform: &str, version: &str, edition: u16) {
    use id::*;
    let name = match platform {
        "macOS" | "Mac OS X" => "Mac OS",
        "Android" | "Fuchsia" | "Chrome OS" | "iOS" | "Linux" => platform,
        "Windows" => return improve_windows(fields, version, edition),
        _ => fields.value(SYSTEM_NAME),
    };
    let known = !matches!(platform, "macOS" | "Mac OS X") && name != platform;
    let major = Splitter::Version.single(version, 1).unwrap_or("null");
    let keep = |text: &str| fields.keep(text);
    let both = [keep(&format!("{name} {version}")), keep(&format!("{name} {major}"))];
    let (name, version, major) = (keep(name), keep(version), keep(major));
    if !known {
        fields.replace(SYSTEM_NAME, name);
    }
    fields.replace(SYSTEM_VERSION, version);
    fields.replace(SYSTEM_VERSION_MAJOR, major);
    fields.replace(SYSTEM_NAME_VERSION, both[0]);
    fields.replace(SYSTEM_NAME_VERSION_MAJOR, both[1]);
}

fn improve_windows(fields: &mut Fields<'_>, version: &str, edition: u16) {
    use id::*;
    let newer = if edition < 29 { 0 } else { 3 };
    let elevens = &["13", "14", "15", "16", "17", "18", "19"][..4 + newer];
    let starts = |prefix: &&str| version.starts_with(*prefix);
    let names = if elevens.iter().any(starts) {
        ["11", "11", "Windows 11", "Windows 11"]
    } else if version.starts_with("0.1") {
        ["7", "7", "Windows 7", "Windows 7"]
    } else if version.starts_with("0.2") {
        ["8", "8", "Windows 8", "Windows 8"]
    } else if version.starts_with("0.3") {
        ["8.1", "8", "Windows 8.1", "Windows 8"]
    } else if version.starts_with(|c: char| ('1'..='9').contains(&c)) {
        ["10", "10", "Windows 10", "Windows 10"]
    } else {
        return;
    };
    fields.replace(DEVICE_CLASS, "Desktop");
    fields.replace(DEVICE_BRAND, NULL);
    fields.replace(SYSTEM_NAME, "Windows NT");
    let targets =
        [SYSTEM_VERSION, SYSTEM_VERSION_MAJOR, SYSTEM_NAME_VERSION, SYSTEM_NAME_VERSION_MAJOR];
    for (field, value) in targets.into_iter().zip(names) {
        fields.replace(field, value);
    }
}

/// Whether a version says at least as much as what a field has.
fn is_better(fields: &Fields<'_>, field: FieldId, version: &str) -> bool {
    fields.is_default(field) || version.contains('.') || !fields.value(field).contains('.')
}

/// A version and its major part, put right where a browser moved the major part to second place.
fn put_right(version: &str) -> (String, String) {
    let parts: Vec<&str> = version.split('.').collect();
    if let [_, major, third, fourth] = parts[..]
        && major != "0"
    {
        return (format!("{major}.0.{third}.{fourth}"), major.to_owned());
    }
    (version.to_owned(), parts[0].to_owned())
}

fn set_agent(fields: &mut Fields<'_>, name: &str, version: &str, major: &str) {
    use id::*;
    let keep = |text: &str| fields.keep(text);
    let both = [keep(&format!("{name} {version}")), keep(&format!("{name} {major}"))];
    let (name, version, major) = (keep(name), keep(version), keep(major));
    fields.replace(AGENT_NAME, name);
    fields.replace(AGENT_VERSION, version);
    fields.replace(AGENT_NAME_VERSION, both[0]);
    fields.replace(AGENT_VERSION_MAJOR, major);
    fields.replace(AGENT_NAME_VERSION_MAJOR, both[1]);
}

fn improve_agent<'a>(brands: &[Brand], engine: &'a Engine, fields: &mut Fields<'a>) {
    use id::{AGENT_NAME, AGENT_VERSION};
    let edition = engine.rules.version;
    let mut left: BTreeMap<&str, &Brand> = BTreeMap::new();
    left.extend(brands.iter().map(|brand| (brand.name.as_str(), brand)));
    if edition < 26 {
        drop_ancestors(&mut left, edition);
    }
    if let Some(chromium) = left.get("Chromium").copied() {
        improve_engine(chromium, fields);
        let name = fields.value(AGENT_NAME);
        if brands.len() == 1 && (edition < 26 || ["Chromium", "Chrome"].contains(&name)) {
            return rename_chromium(chromium, fields);
        }
        left.remove("Chromium");
    }
    if edition >= 26 {
        drop_ancestors(&mut left, edition);
        left.remove("Android WebView");
    }
    if let Some(chrome) = left.get("Chrome").or_else(|| left.get("Google Chrome")).copied() {
        let (version, major) = put_right(&chrome.version);
        fields.get(AGENT_VERSION);
        if left.len() == 1 && is_better(fields, AGENT_VERSION, &version) {
            return set_agent(fields, "Chrome", &version, &major);
        }
        left.remove("Chrome");
        left.remove("Google Chrome");
    }
    if fields.get(AGENT_NAME) == "Opera" {
        // Before its version 98 this browser said a wrong version here.
        let major = fields.get(AGENT_VERSION).split('.').next().map(str::parse::<i32>);
        if major.is_some_and(|major| major.is_ok_and(|major| major < 98)) {
            left.remove("Opera");
        }
    }
    if edition == 25 && fields.value(AGENT_NAME) == "Opera GX" {
        left.remove("Android WebView");
    }
    rename_agent(&left, engine, fields);
}

/// Leaves out browsers that others were made of and still name.
fn drop_ancestors(left: &mut BTreeMap<&str, &Brand>, edition: u16) {
    let google = if edition < 26 { None } else { Some(("Google Chrome", "Chromium")) };
    let pairs = [("Chrome", "Chromium"), ("OperaMobile", "Opera")];
    for (wanted, unwanted) in pairs.into_iter().chain(google) {
        if left.contains_key(wanted) {
            left.remove(unwanted);
        }
    }
}

fn improve_engine(chromium: &Brand, fields: &mut Fields<'_>) {
    use id::*;
    let (_, major) = put_right(&chromium.version);
    if fields.get(ENGINE_NAME) != "Blink" {
        fields.replace(ENGINE_NAME, "Blink");
    }
    let whole = chromium.version.contains('.');
    let blink = if whole { format!("{major}.0") } else { major.clone() };
    if is_better(fields, ENGINE_VERSION, &blink) {
        let (blink, major) = (fields.keep(&blink), fields.keep(&major));
        fields.replace(ENGINE_VERSION, blink);
        fields.replace(ENGINE_VERSION_MAJOR, major);
    }
    let name = fields.value(ENGINE_NAME);
    let both = format!("{name} {}", fields.get(ENGINE_VERSION));
    let both_major = format!("{name} {}", fields.get(ENGINE_VERSION_MAJOR));
    let (both, both_major) = (fields.keep(&both), fields.keep(&both_major));
    fields.replace(ENGINE_NAME_VERSION, both);
    fields.replace(ENGINE_NAME_VERSION_MAJOR, both_major);
}

fn rename_chromium(chromium: &Brand, fields: &mut Fields<'_>) {
    use id::*;
    let (version, major) = put_right(&chromium.version);
    fields.get(AGENT_VERSION);
    if is_better(fields, AGENT_VERSION, &version) {
        set_agent(fields, "Chromium", &version, &major);
    } else if fields.value(AGENT_NAME) == "Chrome" {
        let both = format!("Chromium {}", fields.value(AGENT_VERSION));
        let both_major = format!("Chromium {}", fields.value(AGENT_VERSION_MAJOR));
        let (both, both_major) = (fields.keep(&both), fields.keep(&both_major));
        fields.replace(AGENT_NAME, "Chromium");
        fields.replace(AGENT_NAME_VERSION, both);
        fields.replace(AGENT_NAME_VERSION_MAJOR, both_major);
    }
}

/// Takes the browser's name from the brand that says most of its version.
fn rename_agent<'a>(left: &BTreeMap<&str, &Brand>, engine: &'a Engine, fields: &mut Fields<'a>) {
    use id::{AGENT_NAME, AGENT_VERSION};
    let only_major = |version: &str| !version.contains('.') || version.ends_with(".0.0.0");
    let keyed = left.values().enumerate().map(|(at, brand)| {
        let detail = u8::from(only_major(&brand.version));
        (format!("{detail}_{}_{}", at + 1, brand.name), *brand)
    });
    let Some((_, brand)) = keyed.min_by(|a, b| a.0.cmp(&b.0)) else { return };
    let edition = engine.rules.version;
    let renamed = if edition < 30 {
        match brand.name.as_str() {
            "OperaMobile" => Some("Opera Mobile"),
            "Microsoft Edge" => Some("Edge"),
            "Samsung Internet" if edition >= 27 => Some("SamsungBrowser"),
            _ => None,
        }
    } else {
        let names = engine.tables.named("ClientHintTagToNameMapping");
        names.and_then(|names| names.value(&brand.name.to_lowercase()))
    };
    let name = renamed.unwrap_or(&brand.name);
    fields.get(AGENT_NAME);
    let current = fields.get(AGENT_VERSION);
    let major_of = |version: &'_ str| version.split('.').next().unwrap_or("").to_owned();
    let (current_major, new_major) = (major_of(current), major_of(&brand.version));
    if only_major(current) || current_major != new_major {
        set_agent(fields, name, &brand.version, &new_major);
    } else {
        set_agent(fields, name, current, &current_major);
    }
}

fn improve_by_model<'a>(model: &str, engine: &'a Engine, fields: &mut Fields<'a>) {
    let tags = engine.tables.named("AmazonDeviceTags");
    let Some(known) = tags.and_then(|tags| tags.value(&model.to_lowercase())) else { return };
    let targets = [id::DEVICE_CLASS, id::DEVICE_BRAND, id::DEVICE_NAME];
    for (field, value) in targets.into_iter().zip(known.splitn(3, '|')) {
        fields.replace(field, value);
    }
}
