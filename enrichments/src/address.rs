//! Reading the address of a client for look-ups, as leniently as a running peer.
//!
//! No name is ever resolved: what is not written as an address is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, with or without port or service, brackets and zone. An IPv4 address that is mapped
/// into IPv6, as balancers for both hand it over, is the IPv4 address: not every database has it
/// under both.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches(|c: char| c <= ' ');
    host(text).or_else(|| decimal(text)).map(|address| address.to_canonical())
}

/// The first address of what may also be a block; zeros always mean octal.
pub(crate) fn parse_block(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (first, prefix) = text.split_once('/').unwrap_or((text, "0"));
    let address = host(first).filter(|_| first == text || is_bare(first))?.to_canonical();
    let width = if address.is_ipv4() { 32 } else { 128 };
    let digits = prefix.bytes().all(|b| b.is_ascii_digit());
    let fits = digits && prefix.parse().is_ok_and(|prefix: u8| prefix <= width);
    fits.then_some(address)
}

fn is_bare(text: &str) -> bool {
    v4(text).or_else(|| v6(text)).is_some()
}

fn host(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':');
        let fits = rest.ends_with(']') || port.is_some_and(is_port);
        return if fits { v6(inside).or_else(|| v4(inside)) } else { None };
    }
    match text.rsplit_once(':') {
        None => v4(text),
        Some((host, port)) if !host.contains(':') => {
            v4(host).filter(|_| host.contains('.') && is_port(port))
        }
        Some((host, port)) => v6(text).or_else(|| v6(host).filter(|_| is_port(port))),
    }
}

/// One to four numbers, the last of which stands for all bytes that are left; octal with a leading
/// zero, hexadecimal with `0x`.
fn v4(text: &str) -> Option<IpAddr> {
    numbers(text, prefixed)
}

/// The same in decimal, where the zeros cannot mean octal.
fn decimal(text: &str) -> Option<IpAddr> {
    const LONGEST: usize = "255.255.255.255".len();
    numbers(text, |part| Some((part, 10))).filter(|_| text.len() <= LONGEST)
}

fn numbers<'t>(text: &'t str, radix: impl Fn(&'t str) -> Option<(&'t str, u32)>) -> Option<IpAddr> {
    let mut address: u32 = 0;
    let mut parts = text.split('.').peekable();
    for index in 0..4 {
        let (digits, radix) = radix(parts.next()?)?;
        let digits = if digits.bytes().all(|b| b.is_ascii_alphanumeric()) { digits } else { "" };
        let number = u32::from_str_radix(digits, radix).ok()?;
        let last = parts.peek().is_none();
        if number > if last { u32::MAX >> (8 * index) } else { 255 } {
            return None;
        }
        address |= if last { number } else { number << (24 - 8 * index) };
        if last {
            return Some(Ipv4Addr::from(address).into());
        }
    }
    None
}

/// The digits of a number, and their radix.
fn prefixed(part: &str) -> Option<(&str, u32)> {
    match part.strip_prefix('0') {
        None => Some((part, 10)),
        Some("") => Some((part, 10)),
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(digits) => Some((digits, 16)),
            None => Some((rest, 8)),
        },
    }
}

fn v6(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// A port, or the name of a service.
fn is_port(text: &str) -> bool {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().is_ok_and(|port: u16| port != 0);
    }
    let fits = text.len() <= 15 && text.bytes().any(|b| b.is_ascii_alphabetic());
    fits && text
        .split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_peer_looks_up() {
        for (text, expected) in [
            ("175.16.199.9", "175.16.199.9"),
            ("175.016.199.009", "175.16.199.9"),
            ("08.255", "8.0.0.255"),
            ("175.016.199.011", "175.14.199.9"),
            ("0257.020.0307.011", "175.16.199.9"),
            ("0xAF.0x10.199.0X9", "175.16.199.9"),
            ("175.16.50953", "175.16.199.9"),
            ("175.1099529", "175.16.199.9"),
            ("2937112329", "175.16.199.9"),
            ("0xaf10c709", "175.16.199.9"),
            ("4294967295", "255.255.255.255"),
            ("0", "0.0.0.0"),
            ("[175.16.199.9]", "175.16.199.9"),
            ("[175.16.199.9]:80", "175.16.199.9"),
            ("175.16.199.9:http", "175.16.199.9"),
            ("175.16.199.9:a-1", "175.16.199.9"),
            ("  175.16.199.9", "175.16.199.9"),
            ("2001:db8:0:0:0:0:0:1:80", "2001:db8::1"),
            ("2001:db8::1:http", "2001:db8::1"),
            ("2001:db8::1:80", "2001:db8::1:80"),
            ("175.16.199.9:8080", "175.16.199.9"),
            ("175.16.199.9    ", "175.16.199.9"),
            ("2001:218::1", "2001:218::1"),
            ("2001:0218:0000:0000:0000:0000:0000:00FF", "2001:218::ff"),
            ("[2001:db8:bad::1]:80", "2001:db8:bad::1"),
            ("[2001:db8:bad::1]", "2001:db8:bad::1"),
            ("2001:db8:bad::1%eth0", "2001:db8:bad::1"),
            ("::ffff:81.2.69.160", "81.2.69.160"),
            ("::FFFF:5102:45a0", "81.2.69.160"),
            ("[::ffff:81.2.69.160]:443", "81.2.69.160"),
            ("0:0:0:0:0:ffff:81.2.69.160%eth0", "81.2.69.160"),
            ("::81.2.69.160", "::5102:45a0"),
        ] {
            assert_eq!(parse(text).map(|a| a.to_string()), Some(expected.into()), "{text}");
        }
    }

    #[test]
    fn reads_the_first_address_of_a_block() {
        for (text, expected) in [
            ("10.1.2.3/8", Some("10.1.2.3")),
            ("10.1/08", Some("10.0.0.1")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("2001:db8::aa/128", Some("2001:db8::aa")),
            ("::ffff:1.2.3.4/32", Some("1.2.3.4")),
            ("10.0.0.1/33", None),
            ("2001:db8::/129", None),
            ("10.0.0.1/", None),
            ("10.0.0.1:80/8", None),
            ("10.0.0.1/8:80", None),
            ("08.1.1.1", None),
        ] {
            let found = parse_block(text).map(|a| a.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "unknown",
            "localhost",
            "175.16.199.9.",
            "175.16.199.9:0",
            "256.1.1.1",
            "175.16.199.9:99999",
            "175.16.199.9/32",
            "175.16.199.*",
            "1.2.3.4.5",
            "٨١.2.69.160",
            "1.2.3.4:+80",
            "[::1]x",
            "1.2.3.256",
            "1.2.65536",
            "1.16777216",
            "4294967296",
            "0400.1.1.1",
            "0x.1.1.1",
            "+1.2.3.4",
            "1..3.4",
            "1.2.3.08:80",
            "0010.008.007.00143",
            "16909060:80",
            "1.2.3.4:",
            "1.2.3.4:-a",
            "1.2.3.4:a--b",
            "1.2.3.4:sixteen-letters-",
            "1.2.3.4:sixteen-letterss",
            "1.2.3.4:a_b",
            "2001:db8::1:99999",
            "[::1]:0",
            "[::1",
            "a.b.c.d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
