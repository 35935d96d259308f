//! The `email` format: a mail address whose domain ends in a known top-level domain.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use hashbrown::HashSet;

/// Top-level domains, one a line, in their Unicode and their ASCII form.
const TOP_LEVEL: &str = include_str!("tld.txt");

static TOP_LEVEL_DOMAINS: LazyLock<HashSet<&str, foldhash::fast::RandomState>> =
    LazyLock::new(|| TOP_LEVEL.lines().collect());

/// The longest part before the `@`, characters.
const LOCAL_LIMIT: usize = 64;

/// The longest domain, bytes.
const DOMAIN_LIMIT: usize = 253;

/// Whether a text is a mail address. ASCII white space around it is allowed.
pub(super) fn is_email(text: &str) -> bool {
    let space = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    let text = text.trim_matches(space);
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    is_local(local) && (is_address_literal(domain) || is_domain(domain))
}

/// Words joined by dots, each quoted or without special characters.
fn is_local(local: &str) -> bool {
    if local.chars().count() > LOCAL_LIMIT {
        return false;
    }
    let mut rest = local;
    loop {
        let Some(after) = after_word(rest) else { return false };
        if after.is_empty() {
            return true;
        }
        let Some(next) = after.strip_prefix('.') else { return false };
        rest = next;
    }
}

/// What follows the word at the start of the text.
fn after_word(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        return Some(&quoted[end + 1..]);
    }
    let mut characters = text.char_indices();
    let mut end = 0;
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => characters.next().map(|_| ())?,
            '\'' => {}
            '(' | ')' | '<' | '>' | '@' | ',' | ';' | ':' | '"' | '.' | '[' | ']' => break,
            c if c.is_ascii_control() || c == ' ' => break,
            _ => {}
        }
        end = at + character.len_utf8() + usize::from(character == '\\');
    }
    (end > 0).then(|| text.get(end..)).flatten()
}

/// `[1.2.3.4]` or `[::1]`
fn is_address_literal(domain: &str) -> bool {
    let inner = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']'));
    inner
        .is_some_and(|inner| inner.parse::<Ipv4Addr>().is_ok() || inner.parse::<Ipv6Addr>().is_ok())
}

fn is_domain(domain: &str) -> bool {
    let Some((labels, top)) = domain.rsplit_once('.') else { return false };
    domain.len() <= DOMAIN_LIMIT
        && labels.split('.').all(is_label)
        && is_label(top)
        && TOP_LEVEL_DOMAINS.contains(top.to_lowercase().as_str())
}

fn is_label(label: &str) -> bool {
    let inner =
        |c: char| c.is_ascii_alphanumeric() || c == '-' || (!c.is_ascii() && c.is_alphanumeric());
    !label.is_empty()
        && label.len() <= 63
        && label.chars().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_known_top_level_domain() {
        for text in [
            "a@b.com",
            "A@B.COM",
            "a.b+c@d.co.uk",
            "a@[1.2.3.4]",
            "a@bücher.de",
            "é@d.org",
            "a!#$%&'*+/=?^_`{|}~-@d.org",
            " a@d.org\t\n",
            "\"a b\"@d.org",
            "\"a@b\"@d.org",
            "a@b.xn--p1ai",
            "a@b.рф",
            "a\\ b@d.org",
        ] {
            assert!(is_email(text), "{text}");
        }
        for text in [
            "",
            "a",
            "a@",
            "@b.com",
            "a@b",
            "a@b.invalidtld",
            "a@b..com",
            "a@-b.com",
            "a@b.test",
            ".a@d.org",
            "a.@d.org",
            "a..b@d.org",
            "a@d_e.org",
            "a@[1.2.3.400]",
            "a@1.2.3.4",
            "a,b@d.org",
            "<a@d.org>",
            "a@d.org\u{a0}",
            "a@b@d.org",
            "a b@d.org",
            "\"a@d.org",
            "a\\@d.org",
        ] {
            assert!(!is_email(text), "{text}");
        }
    }
}
