//! Reading the address of a client for look-ups, as leniently as a running peer.
//!
//! No name is ever resolved: what is not written as an address is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, with or without port, brackets and zone; leading zeros are decimal.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim_end_matches(' ');
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':');
        let fits = rest.ends_with(']') || port.is_some_and(is_port);
        return if fits { v6(inside) } else { None };
    }
    match text.split_once(':') {
        None => v4(text),
        Some((host, port)) if !port.contains(':') => v4(host).filter(|_| is_port(port)),
        Some(_) => v6(text),
    }
}

/// The same, with an IPv4 address that is mapped into IPv6 taken out.
pub(crate) fn parse_canonical(text: &str) -> Option<IpAddr> {
    parse(text).map(|address| address.to_canonical())
}

fn v4(text: &str) -> Option<IpAddr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *octet = part.parse().ok().filter(|_| digits)?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

fn v6(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|port: u16| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_peer_looks_up() {
        for (text, expected) in [
            ("175.16.199.9", "175.16.199.9"),
            ("175.016.199.009", "175.16.199.9"),
            ("175.16.199.9:8080", "175.16.199.9"),
            ("175.16.199.9    ", "175.16.199.9"),
            ("2001:218::1", "2001:218::1"),
            ("2001:0218:0000:0000:0000:0000:0000:00FF", "2001:218::ff"),
            ("[2001:db8:bad::1]:80", "2001:db8:bad::1"),
            ("[2001:db8:bad::1]", "2001:db8:bad::1"),
            ("2001:db8:bad::1%eth0", "2001:db8:bad::1"),
            ("::ffff:81.2.69.160", "::ffff:81.2.69.160"),
        ] {
            assert_eq!(parse(text).map(|a| a.to_string()), Some(expected.into()), "{text}");
        }
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "unknown",
            "localhost",
            "175.16.199",
            "175.16.199.9.",
            "175.16.199.9:0",
            "256.1.1.1",
            "175.16.199.9:99999",
            "2953889545",
            "175.16.199.9/32",
            "175.16.199.*",
            "1.2.3.4.5",
            "٨١.2.69.160",
            "1.2.3.4:+80",
            "[1.2.3.4]:80",
            "[::1]x",
            "[::1]:0",
            "[::1",
            "a.b.c.d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
