//! Address masking: the last parts of `user_ipaddress` become `x`.
//!
//! Configured by `anon_ip`. Runs after every enrichment that reads the address and before
//! pseudonymisation, which therefore hashes the masked text. Never fails.
//!
//! The masking is that of a running peer, with one difference: the peer leaves some spellings of
//! an address readable (an IPv4 address mapped into IPv6 in hexadecimal, an IPv6 address in
//! brackets or with a zone, names of hosts without a dot stay as they are). Here the address in
//! them is read and masked, unless [`crate::Options::peer_masking`] asks for the peer's result.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use event::Bump;

use crate::address;
use crate::reader::Node;

/// How much of an address to mask.
#[derive(Clone, Debug)]
pub(crate) struct AnonIp {
    octets: usize,
    segments: usize,
    peer_masking: bool,
}

impl AnonIp {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>, peer_masking: bool) -> Option<AnonIp> {
        parameters.only(&["anonOctets", "anonSegments"])?;
        let octets = parameters.field("anonOctets").number(1, 4);
        let segments = match parameters.field("anonSegments").present() {
            Some(segments) => segments.number(1, 8),
            None => octets,
        };
        let (octets, segments) = (octets? as usize, segments? as usize);
        Some(AnonIp { octets, segments, peer_masking })
    }

    /// Masks an address, or a text that looks like one.
    pub(crate) fn mask<'a>(&self, text: &'a str, arena: &'a Bump) -> &'a str {
        if let Some(address) = self.readable(text) {
            return match address {
                IpAddr::V4(address) => self.mapped(text, address, arena),
                IpAddr::V6(address) if self.tells_more(text, address) => {
                    self.expanded(address, arena)
                }
                IpAddr::V6(_) => self.segmented(java_split(text, ':'), arena),
            };
        }
        if text.contains('.') || text.is_empty() {
            return self.dotted(text, arena);
        }
        if text.contains(':') {
            return self.segmented(java_split(text, ':'), arena);
        }
        text
    }

    /// The address, if the text is one; of odd spellings only what the peer would leave readable.
    fn readable(&self, text: &str) -> Option<IpAddr> {
        let strict = || text.parse().ok().map(|address: IpAddr| address.to_canonical());
        let lenient = || address::parse(text).filter(|_| !self.peer_masking);
        // Dotted texts of any spelling are masked part by part, which keeps the peer's output.
        let dotted = text.contains('.') || !text.contains(':');
        strict().or_else(|| lenient().filter(|address| address.is_ipv6() || !dotted))
    }

    /// An IPv4 address, perhaps written as an IPv6 one.
    fn mapped<'a>(&self, text: &'a str, address: Ipv4Addr, arena: &'a Bump) -> &'a str {
        if let Some(rest) = text.strip_prefix("::FFFF:") {
            return concat(&["::FFFF:", self.dotted(rest, arena)], arena);
        }
        // Masked whole, the peer's text tells nothing and stays.
        if !text.contains('.') && !self.peer_masking && self.octets < 4 {
            let dotted = arena.alloc_str(&address.to_string());
            return concat(&["::ffff:", self.dotted(dotted, arena)], arena);
        }
        self.dotted(text, arena)
    }

    fn dotted<'a>(&self, text: &'a str, arena: &'a Bump) -> &'a str {
        let kept = 4 - self.octets;
        let mut masked = bumpalo::collections::String::new_in(arena);
        let parts = if text.is_empty() { vec![""] } else { java_split(text, '.') };
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                masked.push('.');
            }
            masked.push_str(if index < kept { part } else { "x" });
        }
        masked.into_bump_str()
    }

    fn expanded<'a>(&self, address: Ipv6Addr, arena: &'a Bump) -> &'a str {
        let groups = address.segments().map(|segment| format!("{segment:x}"));
        self.segmented(groups.iter().map(String::as_str).collect(), arena)
    }

    /// Whether masking the text group by group would not be masking the address: what is one
    /// without any liberty is written anew, as the peer does; else the groups that stay must not
    /// be others than the address has.
    fn tells_more(&self, text: &str, address: Ipv6Addr) -> bool {
        if text.contains('.') || text.parse::<Ipv6Addr>().is_ok() {
            return true;
        }
        let group = |text: &str| u16::from_str_radix(text.trim_start_matches([' ', '[']), 16).ok();
        let mut groups = java_split(text, ':').into_iter().map(group);
        let kept = address.segments().into_iter().take(8 - self.segments);
        kept.map(Some).any(|segment| groups.next().is_some_and(|group| group != segment))
    }

    fn segmented<'a>(&self, groups: Vec<&str>, arena: &'a Bump) -> &'a str {
        let kept = 8 - self.segments;
        let mut masked = bumpalo::collections::String::new_in(arena);
        let kept_groups = groups.into_iter().take(kept);
        for (index, group) in kept_groups.chain(std::iter::repeat("x")).enumerate().take(8) {
            if index > 0 {
                masked.push(':');
            }
            masked.push_str(group);
        }
        masked.into_bump_str()
    }
}

/// Splits as the JVM does: empty parts at the end are dropped.
fn java_split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

fn concat<'a>(parts: &[&str], arena: &'a Bump) -> &'a str {
    arena.alloc_str(&parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str, octets: usize, segments: usize, peer_masking: bool) -> String {
        AnonIp { octets, segments, peer_masking }.mask(text, &Bump::new()).to_owned()
    }

    #[test]
    fn masks_as_a_peer_does() {
        for (text, octets, segments, expected) in [
            ("168.192.102.4", 2, 2, "168.192.x.x"),
            ("94.15.213.171", 4, 4, "x.x.x.x"),
            ("777.2", 1, 1, "777.2"),
            ("777.2.23", 4, 4, "x.x.x"),
            ("999.aaa.bbb.c", 3, 3, "999.x.x.x"),
            ("hello;goodbye", 2, 2, "hello;goodbye"),
            ("", 4, 4, "x"),
            ("4b0c::880c:99a8:4b0:4411", 2, 2, "4b0c:0:0:0:880c:99a8:x:x"),
            ("2605:2700:0:3::4713:93e3", 4, 4, "2605:2700:0:3:x:x:x:x"),
            ("2605:2700:0:3::4713:93E3", 2, 8, "x:x:x:x:x:x:x:x"),
            ("2700:zzzz::gggg", 4, 6, "2700:zzzz:x:x:x:x:x:x"),
            ("2700:zzzz::gggg", 2, 2, "2700:zzzz::gggg:x:x:x:x"),
            ("f334::40cb:152.16.24.142", 4, 2, "f334:0:0:0:0:40cb:x:x"),
            ("::192.168.0.1", 4, 1, "0:0:0:0:0:0:c0a8:x"),
            ("::FFFF:152.16.24.123", 2, 4, "::FFFF:152.16.x.x"),
            ("::ffff:1.2.3.4", 2, 2, "::ffff:1.2.x.x"),
            ("::ffff:1.2.3.4", 4, 2, "x.x.x.x"),
            ("192.0.2.213:8080", 2, 2, "192.0.x.x"),
            ("192.0.2.0/24", 2, 2, "192.0.x.x"),
            ("192.000.002.013", 2, 2, "192.000.x.x"),
            ("192.0.2.", 2, 2, "192.0.x"),
            ("1..2.", 2, 2, "1..x"),
            ("[2605:2700::1]:80", 2, 6, "[2605:2700:x:x:x:x:x:x"),
            ("2605:2700:0003:0:0:0:0:1:80", 2, 2, "2605:2700:0003:0:0:0:x:x"),
            ("[2605::1]", 2, 8, "x:x:x:x:x:x:x:x"),
            (":::", 2, 2, "x:x:x:x:x:x:x:x"),
            ("localhost", 2, 2, "localhost"),
        ] {
            for peer_masking in [false, true] {
                let masked = mask(text, octets, segments, peer_masking);
                assert_eq!(masked, expected, "{text} {octets} {segments} {peer_masking}");
            }
        }
    }

    #[test]
    fn masks_what_a_peer_leaves_readable_unless_told_not_to() {
        for (text, peer, ours) in [
            ("::ffff:9810:187b", "::ffff:9810:187b", "::ffff:152.16.x.x"),
            ("[2605:2700::1]:80", "[2605:2700::1]:80:x:x:x", "2605:2700:0:0:0:0:x:x"),
            ("2605:2700::1%eth0", "2605:2700::1%eth0:x:x:x:x", "2605:2700:0:0:0:0:x:x"),
            ("2605:2700::1:http", "2605:2700::1:http:x:x:x", "2605:2700:0:0:0:0:x:x"),
            ("[::1.2.3.4]:80", "[::1.2.x.x", "0:0:0:0:0:0:x:x"),
            ("[::ffff:9810:187b]:80", "[::ffff:9810:187b]:80:x:x", "::ffff:152.16.x.x"),
        ] {
            assert_eq!(mask(text, 2, 2, true), peer, "{text}");
            assert_eq!(mask(text, 2, 2, false), ours, "{text}");
        }
        assert_eq!(mask("::ffff:9810:187b", 4, 4, true), "x");
        assert_eq!(mask("::ffff:9810:187b", 4, 4, false), "x");
    }
}
