//! Browser, system and device by woothee, as columns and as an entity.
//!
//! Two configurations switch it on: `iglu:snowmelt/woothee_config/jsonschema/1-0-0` for columns and
//! entity, and the `user_agent_utils_config` of old for the columns alone. The columns are those
//! that the discontinued library UserAgentUtils filled, in its words where woothee knows as much;
//! its data ended in 2018, so new versions read better here (`Chrome 137`, not `Chrome 13`). A
//! user agent that woothee does not know sets `Unknown` and derives no entity. Never fails.

use std::borrow::Cow;

use event::{Bump, Entity, Event, Field, json};
use woothee::parser::{Parser, WootheeResult};

use crate::cache::{Cache, Packed};

const URI: &str = "iglu:snowmelt/woothee_context/jsonschema/1-0-0";

/// What woothee says where it does not know.
const UNKNOWN: &str = "UNKNOWN";

/// Longer versions are nonsense and would fail the event by the length of its columns.
const LONGEST: usize = 40;

/// What is wanted of woothee.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Woothee {
    pub(crate) columns: bool,
    pub(crate) entity: bool,
}

/// The fields set, in the order in which the cache keeps them.
const FIELDS: [Field; 10] = [
    Field::BrName,
    Field::BrFamily,
    Field::BrVersion,
    Field::BrType,
    Field::BrRenderengine,
    Field::OsName,
    Field::OsFamily,
    Field::OsManufacturer,
    Field::DvceType,
    Field::DvceIsmobile,
];

impl Woothee {
    /// Sets the columns and derives the entity, as far as wanted.
    pub(crate) fn run<'a>(
        self,
        event: &mut Event<'a>,
        cache: &mut Cache,
        arena: &'a Bump,
    ) -> Option<Entity<'a>> {
        if !self.columns {
            return None;
        }
        let useragent = event.get(Field::Useragent)?;
        let (found, number): ([Option<&str>; 11], _) =
            cache.get(useragent, arena, || parse(useragent));
        for (field, value) in FIELDS.into_iter().zip(found) {
            event.set(field, value);
        }
        let data = found[10].filter(|_| self.entity)?;
        Some(Entity { origin: Some(number), ..Entity::new(URI, data) })
    }
}

fn parse(useragent: &str) -> Packed {
    let parsed = Parser::new().parse(useragent);
    let data = parsed.as_ref().filter(|parsed| parsed.category != UNKNOWN).map(data);
    let parsed = match parsed {
        Some(parsed) => parsed,
        None => WootheeResult::new(),
    };
    let browser = Browser::of(&parsed);
    let system = System::of(&parsed, useragent);
    Packed::new(&[
        Some(&browser.name),
        Some(browser.family),
        browser.version,
        Some(browser.kind),
        Some(engine(&parsed, useragent)),
        Some(&system.name),
        Some(system.family),
        Some(system.manufacturer),
        Some(system.device),
        Some(if matches!(system.device, "Mobile" | "Tablet") { "1" } else { "0" }),
        data.as_deref(),
    ])
}

struct Browser<'u> {
    name: Cow<'u, str>,
    family: &'u str,
    version: Option<&'u str>,
    kind: &'static str,
}

impl<'u> Browser<'u> {
    fn of(parsed: &WootheeResult<'u>) -> Browser<'u> {
        let kind = match parsed.category {
            "pc" | "appliance" => "Browser",
            "smartphone" | "mobilephone" => "Browser (mobile)",
            "crawler" => "Robot",
            "misc" => "Downloading tool",
            _ => "unknown",
        };
        let fixed = |name| Browser { name: Cow::Borrowed(name), family: name, version: None, kind };
        match (parsed.category, parsed.name) {
            ("crawler", _) => return fixed("Robot/Spider"),
            (_, "HTTP Library") => return fixed("Downloading Tool"),
            (_, UNKNOWN) => return fixed("Unknown"),
            _ => {}
        }
        // Other kinds of row keep a handset's model or a library's name in the version.
        let version = Some(parsed.version).filter(|v| {
            v.starts_with(|c: char| c.is_ascii_digit())
                && v.len() <= LONGEST
                && parsed.category != "mobilephone"
        });
        let major = version.and_then(|version| version.split('.').next());
        let name = match major {
            Some(major) => format!("{} {major}", parsed.name).into(),
            None => parsed.name.into(),
        };
        let family = if parsed.name == "Edge" { "Microsoft Edge" } else { parsed.name };
        Browser { name, family, version, kind }
    }
}

/// The engine, which woothee does not tell but the browser decides.
fn engine(parsed: &WootheeResult<'_>, useragent: &str) -> &'static str {
    let apple_mobile = matches!(parsed.os, "iPhone" | "iPad" | "iPod" | "iOS");
    match parsed.name {
        _ if parsed.category == "crawler" => "OTHER",
        // Every browser of these systems has Apple's engine.
        _ if apple_mobile && parsed.name != UNKNOWN => "WEBKIT",
        "Edge" if useragent.contains("Edge/") => "EDGE_HTML",
        "Opera" if useragent.contains("Presto") => "PRESTO",
        "Chrome" | "Edge" | "Opera" | "Vivaldi" | "SamsungBrowser" | "Yandex Browser" => "BLINK",
        "Webview" if useragent.contains("Chrome/") => "BLINK",
        "Safari" | "Webview" => "WEBKIT",
        "Firefox" => "GECKO",
        "Internet Explorer" => "TRIDENT",
        _ => "OTHER",
    }
}

struct System<'u> {
    name: Cow<'u, str>,
    family: &'static str,
    manufacturer: &'static str,
    device: &'static str,
}

impl<'u> System<'u> {
    fn of(parsed: &WootheeResult<'u>, useragent: &str) -> System<'u> {
        let (family, manufacturer) = family(parsed.os);
        let tablet = parsed.os == "iPad"
            // Browsers of Android say "Mobile" on phones and nothing on tablets.
            || (parsed.os == "Android" && !useragent.contains("Mobile"));
        let device = match parsed.category {
            "pc" => "Computer",
            "smartphone" if tablet => "Tablet",
            "smartphone" | "mobilephone" => "Mobile",
            "appliance" if parsed.os == "DigitalTV" || parsed.name == "DigitalTV" => {
                "Digital media receiver"
            }
            "appliance" => "Game console",
            _ => "Unknown",
        };
        let version = parsed.os_version.split('.').next().unwrap_or_default();
        let known = parsed.os_version != UNKNOWN && version.len() <= LONGEST / 2;
        let name = match parsed.os {
            UNKNOWN => "Unknown".into(),
            "Mac OSX" => "Mac OS X".into(),
            "ChromeOS" => "Chrome OS".into(),
            os @ ("iPhone" | "iPad") if known => format!("iOS {version} ({os})").into(),
            "iPhone" | "iPad" | "iPod" | "iOS" => "iOS".into(),
            "Android" => {
                let suffix = if device == "Tablet" { " Tablet" } else { "" };
                match known {
                    true => format!("Android {version}.x{suffix}").into(),
                    false => format!("Android{suffix}").into(),
                }
            }
            other => other.into(),
        };
        System { name, family, manufacturer, device }
    }
}

fn family(os: &str) -> (&'static str, &'static str) {
    match os {
        os if os.starts_with("Windows") => ("Windows", "Microsoft Corporation"),
        "Xbox 360" | "Xbox One" => ("Windows", "Microsoft Corporation"),
        "Mac OSX" => ("Mac OS X", "Apple Inc."),
        "Mac OS Classic" => ("Mac OS", "Apple Inc."),
        "iPhone" | "iPad" | "iPod" | "iOS" => ("iOS", "Apple Inc."),
        "Android" => ("Android", "Google Inc."),
        "ChromeOS" => ("Chrome OS", "Google Inc."),
        "Linux" => ("Linux", "Other"),
        os if os.starts_with("BlackBerry") => ("BlackBerryOS", "Research In Motion Limited"),
        os if os.starts_with("PlayStation") => {
            ("Sony Playstation", "Sony Computer Entertainment, Inc.")
        }
        os if os.starts_with("Nintendo") => ("Nintendo", "Nintendo"),
        _ => ("Unknown", "Other"),
    }
}

/// The entity's data. Name and category, which the schema requires, keep woothee's `UNKNOWN`.
fn data(parsed: &WootheeResult<'_>) -> String {
    fn known(text: &str) -> Option<&str> {
        (text != UNKNOWN && text.len() <= LONGEST).then_some(text)
    }
    let mut out = Vec::with_capacity(192);
    for (name, value) in [
        ("name", Some(parsed.name)),
        ("category", Some(parsed.category)),
        ("os", known(parsed.os)),
        ("osVersion", known(&parsed.os_version)),
        ("browserType", known(parsed.browser_type)),
        ("version", known(parsed.version)),
        ("vendor", known(parsed.vendor)),
    ] {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::write_string(name, &mut out);
        out.push(b':');
        json::write_optional(value, &mut out);
    }
    out.push(b'}');
    String::from_utf8(out).expect("made of texts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(useragent: &str) -> ([Option<String>; 10], Option<String>) {
        let arena = Bump::new();
        let mut event = Event::new();
        event.set(Field::Useragent, Some(useragent));
        let woothee = Woothee { columns: true, entity: true };
        let entity = woothee.run(&mut event, &mut Cache::new(1 << 20), &arena);
        (
            FIELDS.map(|field| event.get(field).map(str::to_owned)),
            entity.map(|entity| entity.data.to_owned()),
        )
    }

    #[test]
    fn columns_speak_the_words_of_old() {
        for (useragent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126|Chrome|126.0.0.0|Browser|BLINK|Windows 10|Windows|\
                 Microsoft Corporation|Computer|0",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_5_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
                 like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari 17|Safari|17.5|Browser (mobile)|WEBKIT|iOS 17 (iPad)|iOS|Apple Inc.|\
                 Tablet|1",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Chrome/122.0.6261.64 Mobile Safari/537.36",
                "Chrome 122|Chrome|122.0.6261.64|Browser (mobile)|BLINK|Android 14.x|Android|\
                 Google Inc.|Mobile|1",
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Robot/Spider|Robot/Spider||Robot|OTHER|Unknown|Unknown|Other|Unknown|0",
            ),
            (
                "curl/8.4.0",
                "Downloading Tool|Downloading Tool||Downloading tool|OTHER|Unknown|Unknown|Other|\
                 Unknown|0",
            ),
            (
                "something else entirely",
                "Unknown|Unknown||unknown|OTHER|Unknown|Unknown|Other|Unknown|0",
            ),
        ] {
            let (columns, _) = run(useragent);
            assert_eq!(columns.map(Option::unwrap_or_default).join("|"), expected, "{useragent}");
        }
    }

    #[test]
    fn the_entity_says_what_woothee_says() {
        let (_, entity) =
            run("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        assert_eq!(
            entity.as_deref(),
            Some(
                "{\"name\":\"Firefox\",\"category\":\"pc\",\"os\":\"Linux\",\"osVersion\":null,\
                 \"browserType\":\"browser\",\"version\":\"140.0\",\"vendor\":\"Mozilla\"}"
            )
        );
        assert_eq!(run("something else entirely").1, None);
        assert_eq!(run("-").1, None);
    }

    #[test]
    fn no_version_is_long_enough_to_fail_an_event() {
        let version = "1.".repeat(200);
        let (columns, entity) =
            run(&format!("Mozilla/5.0 (Windows NT 10.0) Chrome/{version} Safari/537.36"));
        assert!(columns.iter().flatten().all(|text| text.len() <= 50), "{columns:?}");
        assert!(entity.is_some_and(|data| data.len() < 300 && data.contains("\"version\":null")));
    }
}
