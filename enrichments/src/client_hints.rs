//! Client hints: what the browser says of itself in `Sec-CH-UA*` headers, as an entity.
//!
//! Configured by `iglu:snowmelt/client_hints_config/jsonschema/1-0-0`, which has no parameters. It
//! tells what user agents hide nowadays: versions of Windows and macOS, models of Android devices.
//! The values are structured headers (RFC 8941); a header that is not well formed is left out.
//! Without brands and the mobile flag, which the schema demands, there is no entity. Never fails.

use event::{Bump, Entity, json};

use crate::cache::written;

const URI: &str = "iglu:org.ietf/http_client_hints/jsonschema/1-0-0";

/// The headers that are a single text, and their names in the entity.
const TEXTS: [(&str, &str); 5] = [
    ("architecture", "sec-ch-ua-arch"),
    ("model", "sec-ch-ua-model"),
    ("platform", "sec-ch-ua-platform"),
    ("platformVersion", "sec-ch-ua-platform-version"),
    ("uaFullVersion", "sec-ch-ua-full-version"),
];

/// Derives the entity from the headers.
pub(crate) fn run<'a>(
    headers: &[&'a str],
    scratch: &mut Vec<u8>,
    arena: &'a Bump,
) -> Option<Entity<'a>> {
    let mobile = match header(headers, "sec-ch-ua-mobile")? {
        "?1" => "true",
        "?0" => "false",
        _ => return None,
    };
    let full = header(headers, "sec-ch-ua-full-version-list").and_then(brands);
    let brands = full.or_else(|| brands(header(headers, "sec-ch-ua")?))?;
    let data = written(scratch, arena, |out| {
        out.extend_from_slice(b"{\"isMobile\":");
        out.extend_from_slice(mobile.as_bytes());
        out.extend_from_slice(b",\"brands\":[");
        for (index, (brand, version)) in brands.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"brand\":" } else { b",{\"brand\":" });
            json::write_string(brand, out);
            out.extend_from_slice(b",\"version\":");
            json::write_string(version, out);
            out.push(b'}');
        }
        out.push(b']');
        for (name, source) in TEXTS {
            if let Some((text, _)) = header(headers, source).and_then(string) {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                json::write_string(&text, out);
            }
        }
        out.push(b'}');
    });
    Some(Entity::new(URI, data))
}

fn header<'h>(headers: &[&'h str], wanted: &str) -> Option<&'h str> {
    let mut headers = headers.iter().filter_map(|header| header.split_once(':'));
    headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

/// A list of brands, each with its version: `"Chromium";v="124", "Not:A-Brand";v="99"`.
fn brands(text: &str) -> Option<Vec<(String, String)>> {
    let mut brands = Vec::new();
    let mut rest = text;
    loop {
        let (brand, after) = string(rest)?;
        let parameter = after.trim_start().strip_prefix(';')?.trim_start().strip_prefix("v=")?;
        let (version, after) = string(parameter)?;
        brands.push((brand, version));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(brands);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

/// A quoted text and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut characters = text.strip_prefix('"')?.chars();
    let mut string = String::new();
    loop {
        match characters.next()? {
            '"' => return Some((string, characters.as_str())),
            '\\' => string.push(characters.next()?),
            character => string.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_become_an_entity() {
        let headers = [
            "Host: x",
            r#"sec-ch-ua: "Chromium";v="124", "Not:A-Brand";v="99""#,
            "Sec-CH-UA-Mobile: ?1",
            r#"Sec-CH-UA-Model: "Pixel \"8\"""#,
            "Sec-CH-UA-Platform: Android",
        ];
        let arena = Bump::new();
        let entity = run(&headers, &mut Vec::new(), &arena).expect("an entity");
        assert_eq!(
            entity.data,
            r#"{"isMobile":true,"brands":[{"brand":"Chromium","version":"124"},{"brand":"#
                .to_owned()
                + r#""Not:A-Brand","version":"99"}],"model":"Pixel \"8\""}"#
        );
        assert_eq!(run(&headers[..2], &mut Vec::new(), &arena), None);
        let broken = ["Sec-CH-UA: \"x\";v=1", "Sec-CH-UA-Mobile: ?0"];
        assert_eq!(run(&broken, &mut Vec::new(), &arena), None);
    }
}
