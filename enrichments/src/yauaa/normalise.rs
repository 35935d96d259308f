//! Making names of brands, devices and mail addresses look alike.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::domains::Domains;

/// Writes a brand's name: words begin with a capital, short ones and those with digits are capitals
/// only.
pub(super) fn brand(text: &str) -> String {
    if text.encode_utf16().count() <= 3 {
        return text.to_uppercase();
    }
    let mut out = String::with_capacity(text.len());
    let (mut word, mut low, mut digits) = (String::new(), 0, false);
    let flush = |word: &mut String, digits: bool, out: &mut String| {
        if word.encode_utf16().count() <= 3 || digits {
            out.push_str(&word.to_uppercase());
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for character in text.chars() {
        if matches!(character, ' ' | '-' | '_' | '/') {
            flush(&mut word, digits, &mut out);
            (low, digits) = (0, false);
            out.push(character);
            continue;
        }
        digits |= is_digit(character);
        if word.is_empty() {
            word.push(one(character.to_uppercase(), character));
        } else if character.is_uppercase() {
            let keep = low >= 3;
            word.push(if keep { character } else { one(character.to_lowercase(), character) });
            low = 0;
        } else {
            word.push(one(character.to_lowercase(), character));
            low += 1;
        }
    }
    flush(&mut word, digits, &mut out);
    out.trim_matches(|c: char| c <= ' ').to_owned()
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || (!character.is_ascii() && character.is_numeric())
}

/// The one character a change of case makes, or the character where it makes several; but for the
/// capital with a dot that has a small letter without one.
fn one(mut changed: impl Iterator<Item = char>, character: char) -> char {
    match (changed.next(), changed.next()) {
        (Some(changed), None) => changed,
        _ if character == 'İ' => 'i',
        _ => character,
    }
}

/// Writes a device's name so that it starts with its brand.
pub(super) fn device_name(device_brand: &str, name: &str) -> String {
    let mut name = name.replace(['\'', '_'], " ");
    name = collapse(&name, "- ", ' ', "-");
    while let Some(at) = name.find(" -") {
        let start = name[..at].trim_end_matches(' ').len();
        name.replace_range(start..at + 2, "-");
    }
    name = collapse(&name, " ", ' ', " ");
    if !device_brand.is_empty() {
        if name.to_lowercase().starts_with(&device_brand.to_lowercase()) {
            let length = device_brand.len();
            let rest = name.get(length..).unwrap_or("");
            let glued = name.is_char_boundary(length)
                && name[..length].eq_ignore_ascii_case(device_brand)
                && !rest.is_empty()
                && !rest.starts_with([' ', '\n']);
            if glued && !rest.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
                name = format!("{device_brand} {rest}");
            }
            static SPACES: LazyLock<Regex> =
                LazyLock::new(|| Regex::new("( -| )+").expect("written here"));
            name = SPACES.replace_all(&name, " ").into_owned();
        } else {
            name = format!("{device_brand} {name}");
        }
    }
    let mut name = brand(&name);
    if name.contains('I') {
        for (from, to) in
            [("Ipad", "iPad"), ("Ipod", "iPod"), ("Iphone", "iPhone"), ("IOS ", "iOS ")]
        {
            name = name.replace(from, to);
        }
    }
    if let Some(head) = name.strip_suffix("Mozilla").filter(|head| !head.is_empty()) {
        let head = head.strip_suffix('-').unwrap_or(head).trim_end_matches(' ');
        return head.to_owned();
    }
    name
}

/// Replaces a text and all that follows of one character.
fn collapse(text: &str, find: &str, then: char, with: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(find) {
        out.push_str(&rest[..at]);
        out.push_str(with);
        rest = rest[at + find.len()..].trim_start_matches(then);
    }
    out.push_str(rest);
    out
}

/// Writes a mail address whose marks are spelled out.
pub(super) fn email(text: &str) -> String {
    let marks = [
        ("[at]", "@"),
        ("[\\xc3\\xa07]", "@"),
        ("[dot]", "."),
        ("\\", " "),
        (" at ", "@"),
        ("dot", "."),
        (" dash ", "-"),
        (" ", ""),
    ];
    marks.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The brand that a URL tells: whose host it is, or whose repository.
pub(super) fn brand_of_url(url: &str, domains: &Domains, version: u16) -> Option<String> {
    let refused = match version {
        ..30 => &["localhost", "github.com", "gitlab.com", "bit.ly", "wordpress.com"][..],
        _ => &["localhost", "github.com", "gitlab.com", "codeberg.org", "bit.ly", "wordpress.com"],
    };
    let host = host(url);
    let brand = host.and_then(|host| company(&host, refused, domains));
    brand.or_else(|| {
        let repositories =
            ["https://github.com/", "https://gitlab.com/", "https://sourceforge.net/projects/"];
        let path = repositories.iter().find_map(|prefix| url.strip_prefix(prefix))?;
        let owner = path.split('/').next().filter(|owner| !owner.is_empty())?;
        Some(self::brand(owner))
    })
}

/// The brand that a mail address tells.
pub(super) fn brand_of_email(email: &str, domains: &Domains) -> Option<String> {
    let host = email.split_once('@').map_or(email, |(_, host)| host);
    company(host, &["localhost", "gmail.com", "outlook.com"], domains)
}

fn company(host: &str, refused: &[&str], domains: &Domains) -> Option<String> {
    let host = host.to_lowercase();
    if refused.contains(&host.as_str()) {
        return None;
    }
    let registered = domains.registered(&host)?;
    Some(brand(registered.split('.').next().unwrap_or(registered)))
}

/// The host of a URL, with or without a scheme.
fn host(url: &str) -> Option<Cow<'_, str>> {
    let cut = url.find('?').or_else(|| url.find('&'));
    let url = &url[..cut.unwrap_or(url.len())];
    if url.is_empty() {
        return None;
    }
    if url.starts_with('/') || url.contains(':') {
        let rest = match url.strip_prefix("//") {
            Some(rest) => rest,
            None if url.starts_with('/') => return None,
            None => uri_authority(url)?,
        };
        return uri_host(rest);
    }
    Some(Cow::Borrowed(url.split('/').next().unwrap_or(url)))
}

/// What follows the scheme and two slashes.
fn uri_authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let mut characters = scheme.chars();
    let starts = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on = characters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (starts && goes_on).then_some(())?;
    rest.strip_prefix("//")
}

/// The host of an authority; none where a strict reader finds none.
fn uri_host(rest: &str) -> Option<Cow<'_, str>> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    if !rest.chars().all(|c| legal(c) || !c.is_ascii()) || bad_escape(rest) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let label_fits = |label: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        ends(label.chars().next())
            && ends(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let (mut fits, mut last) = (true, "");
    for label in labels {
        fits &= label_fits(label);
        last = label;
    }
    let address = host.split('.').all(|part| part.parse::<u8>().is_ok());
    let named = last.starts_with(|c: char| c.is_ascii_alphabetic());
    let port_fits = port.chars().all(|c| c.is_ascii_digit());
    (fits && port_fits && (named || address)).then_some(Cow::Borrowed(host))
}

fn bad_escape(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
