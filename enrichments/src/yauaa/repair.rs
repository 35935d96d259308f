//! Mending user agents that are known to be broken in some way, before they are read.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A pattern and what is put in its place, and the versions of the rules that do so.
struct Mend {
    pattern: Regex,
    with: &'static str,
    since: u16,
    until: u16,
}

/// Of versions of the rules: the first, and one that there is not.
const FIRST: u16 = 0;
const NEVER: u16 = u16::MAX;

fn mends(list: &[(&str, &'static str, u16, u16)]) -> Vec<Mend> {
    let mend = |(pattern, with, since, until): &(&str, &'static str, u16, u16)| {
        let pattern = Regex::new(pattern).expect("the patterns are written here");
        Mend { pattern, with, since: *since, until: *until }
    };
    list.iter().map(mend).collect()
}

static AT_FIRST: LazyLock<Vec<Mend>> = LazyLock::new(|| {
    mends(&[
        (r"^'(.*)'$", "${1}", FIRST, NEVER),
        (
            r"^(?i)(Mozilla/[^ ]+) ([^(][^)]+?)( Gecko/| AppleWebKit/| Safari/| Mobile Safari/)",
            "${1} (${2})${3}",
            FIRST,
            NEVER,
        ),
        (r"^(?i)(Opera/[^ ]+) ([^(][^)]+?)( Presto/| Version/)", "${1} (${2})${3}", FIRST, NEVER),
        (r" H@(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)@h ", " ", 29, NEVER),
        (r"Channel/App Store", "()Channel/App Store()", 28, NEVER),
        (
            "(?i)(NetType|Language|AppName|app_version|ByteLocale|ByteFullLocale|Region)\
             /([0-9a-z._-]+)",
            "() ${1}/${2}()",
            28,
            NEVER,
        ),
        (r"(?i)(NetType)/([0-9a-z._-]+)", "() ${1}/${2}()", FIRST, 28),
        (r"(?i)(Language)/([a-z_-]+)", "() ${1}/${2}()", FIRST, 28),
    ])
});

static THEN: LazyLock<Vec<Mend>> = LazyLock::new(|| {
    mends(&[
        (r"(?i)(android)-([0-9]+)", "${1} ${2}", FIRST, NEVER),
        (r"(/[0-9]+\.[0-9]+)([A-Z][a-z][a-z][a-z]+ )", "${1} ${2}", FIRST, NEVER),
        (r"(?i)(android/[0-9]+)(/)", "${1} ${2}", FIRST, NEVER),
        (r"(?i)(Java|Wazzup)([0-9])", "${1} ${2}", FIRST, NEVER),
        (r"(?i)(OS|[a-z][a-z_][a-z_][a-z_]+[a-z])_([0-9_.]+) ", "${1} ${2} ", 28, NEVER),
    ])
});

static BARS: LazyLock<Vec<Mend>> =
    LazyLock::new(|| mends(&[(r"(?i)([a-z0-9])\|([a-z0-9])", "${1}/${2}", 30, NEVER)]));

static AT_LAST: LazyLock<Vec<Mend>> =
    LazyLock::new(|| mends(&[(r"(?i)(Pico [a-zA-Z0-9 ._-]+ OS)", "${1} ", 30, NEVER)]));

/// Mends a user agent that is not empty; nothing if nothing is left of it.
pub(super) fn repair(text: &str, version: u16) -> Option<Cow<'_, str>> {
    let mut text = single_spaces(text);
    replace(&mut text, "\u{2002}", " ");
    if text.starts_with(' ') {
        text = Cow::Owned(trim(&text).to_owned());
    }
    apply(&AT_FIRST, &mut text, version);
    if let Some(rest) = text.strip_prefix("()").filter(|_| !text.is_empty()) {
        text = Cow::Owned(trim(rest).to_owned());
    }
    if text.contains('|') {
        apply(&BARS, &mut text, version);
    }
    replace(&mut text, "SSL/TLS", "SSL TLS");
    replace(&mut text, "QwantMobile", " QwantMobile");
    for (from, to) in [("MSIE7", "MSIE 7"), ("MSIE8", "MSIE 8"), ("MSIE9", "MSIE 9")] {
        replace(&mut text, from, to);
    }
    replace(&mut text, "MSOffice", "MS-Office");
    replace(&mut text, "Ant.com Toolbar", "Ant.com_Toolbar");
    apply(&THEN, &mut text, version);
    replace(&mut text, " (Macintosh); ", " (Macintosh; ");
    replace(&mut text, "Microsoft Windows NT 6.2.9200.0);", "Microsoft Windows NT 6.2.9200.0;");
    replace(&mut text, "You Build/VM", "You Build/VM)");
    replace(&mut text, "(/", "(Unknown/");
    replace(&mut text, "; /", "; Unknown/");
    replace(&mut text, ", _TV_", " _TV_");
    match text.chars().next()? {
        '(' | '[' => text = Cow::Owned(format!("FakeYauaaProduct/3.14 {text}")),
        '/' => text = Cow::Owned(format!("FakeYauaaProduct{text}")),
        _ => {}
    }
    replace(&mut text, ",gzip(gfe)", "");
    replace(&mut text, "__", " ");
    if ["%20", "%3B", "%25", "%2F", "%28"].iter().any(|escape| text.contains(escape))
        && let Some(decoded) = decode(&text)
    {
        text = Cow::Owned(decoded);
    }
    apply(&AT_LAST, &mut text, version);
    Some(text)
}

fn apply(mends: &[Mend], text: &mut Cow<'_, str>, version: u16) {
    for mend in mends.iter().filter(|mend| (mend.since..mend.until).contains(&version)) {
        if let Cow::Owned(mended) = mend.pattern.replace_all(text, mend.with) {
            *text = Cow::Owned(mended);
        }
    }
}

fn replace(text: &mut Cow<'_, str>, from: &str, to: &str) {
    if text.contains(from) {
        *text = Cow::Owned(text.replace(from, to));
    }
}

fn single_spaces(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    while text.contains("  ") {
        let mut last = 'x';
        let keep = |c: &char| std::mem::replace(&mut last, *c) != ' ' || *c != ' ';
        text = Cow::Owned(text.chars().filter(keep).collect());
    }
    text
}

/// Cuts off white space and control characters at both ends.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Undoes the escaping of URLs; nothing if some escape is broken.
fn decode(text: &str) -> Option<String> {
    let (bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(bytes.get(at..at + 2)?).ok()?;
                let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                out.push(u8::from_str_radix(digits, 16).ok().filter(|_| plain)?);
                at += 2;
            }
            _ => out.push(*byte),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
