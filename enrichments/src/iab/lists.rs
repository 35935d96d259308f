//! The published lists: addresses, user agents of browsers, user agents of robots.
//!
//! The files are Latin-1 text, one record a line, fields separated by bars and perhaps quoted;
//! lines that start with `#` are comments. Fields are trimmed, missing ones are empty.

use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use event::calendar;

/// The addresses of robots, as ranges of IPv6 that do not overlap, in order.
#[derive(Debug)]
pub(super) struct Addresses {
    ranges: Vec<(u128, u128)>,
}

impl Addresses {
    /// Reads one address or block a line; what is neither is left out.
    pub(super) fn read(bytes: &[u8]) -> Addresses {
        let text = latin1(bytes);
        let mut ranges: Vec<_> = text.lines().filter_map(|line| block(line.trim())).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joined = next.0 <= kept.1;
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
        Addresses { ranges }
    }

    /// Whether an address is listed.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = number(address);
        let after = self.ranges.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).is_some_and(|at| address <= self.ranges[at].1)
    }
}

/// First and last address of a block, in which the bits behind the prefix are ignored, or of an
/// address alone, which counts only as the JVM writes it: all groups of IPv6, without compression.
/// An IPv4 address that is mapped into IPv6 is the IPv4 address.
fn block(line: &str) -> Option<(u128, u128)> {
    let (address, prefix) = match line.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (line, None),
    };
    let written_address: IpAddr = address.parse().ok()?;
    let address = written_address.to_canonical();
    let mapped = address != written_address;
    if prefix.is_none() && !mapped && line != written(address) {
        return None;
    }
    // The prefix may count the bits that the mapping puts before the address.
    let prefix =
        prefix.map(|bits| if mapped && bits > 32 { bits.saturating_sub(96) } else { bits });
    let width = if address.is_ipv4() { 32 } else { 128 };
    let free = width - prefix.unwrap_or(width).min(width);
    let behind = 1u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
    let first = number(address) & !behind;
    Some((first, first | behind))
}

fn written(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A record of a list of user agents.
pub(super) trait Record: Sized {
    /// Reads the fields behind the pattern; `None` for a record that never matches.
    fn read(fields: &[String]) -> Option<Self>;
    /// Whether the pattern counts only at the start.
    fn start_only(&self) -> bool;
}

/// A list of user agents.
#[derive(Debug)]
pub(super) struct Patterns<R> {
    automaton: AhoCorasick,
    records: Vec<R>,
}

impl<R: Record> Patterns<R> {
    /// Reads a list.
    pub(super) fn read(bytes: &[u8]) -> Result<Patterns<R>, String> {
        let (mut patterns, mut records) = (Vec::new(), Vec::new());
        for fields in latin1(bytes).lines().filter_map(fields) {
            let (pattern, rest) = fields.split_first().expect("a line has a first field");
            if let Some(record) = R::read(rest) {
                patterns.push(pattern.to_lowercase());
                records.push(record);
            }
        }
        let mut builder = AhoCorasick::builder();
        let automaton = builder.ascii_case_insensitive(true).build(patterns);
        Ok(Patterns { automaton: automaton.map_err(|error| error.to_string())?, records })
    }

    /// The first record of the list whose pattern is found and which is wanted.
    pub(super) fn first(&self, text: &str, wanted: impl Fn(&R, &str) -> bool) -> Option<&R> {
        let mut first: Option<usize> = None;
        for found in self.automaton.find_overlapping_iter(text) {
            let index = found.pattern().as_usize();
            let record = &self.records[index];
            let placed = found.start() == 0 || !record.start_only();
            if placed && first.is_none_or(|first| index < first) && wanted(record, text) {
                first = Some(index);
            }
        }
        first.map(|index| &self.records[index])
    }
}

/// `pattern|active|start only|inactive date`: a user agent of browsers.
#[derive(Debug)]
pub(super) struct Include {
    active: bool,
    start_only: bool,
    until: Option<i64>,
}

impl Record for Include {
    fn read(fields: &[String]) -> Option<Include> {
        let field = |index: usize| fields.get(index).map_or("", String::as_str);
        Some(Include {
            active: field(0) == "1",
            start_only: field(1) == "1",
            until: date(field(2)),
        })
    }

    fn start_only(&self) -> bool {
        self.start_only
    }
}

impl Include {
    /// Whether the record counts for an event of this time.
    pub(super) fn is_live(&self, moment: i64) -> bool {
        self.active || self.until.is_some_and(|until| moment < until)
    }
}

/// `pattern|active|exceptions|unused|impact|start only|inactive date`: a user agent of robots.
#[derive(Debug)]
pub(super) struct Exclude {
    /// Texts in lower case that make the record not apply.
    exceptions: Vec<String>,
    /// The impact, or the flag that stands for none.
    pub(super) impact: Result<Impact, String>,
    start_only: bool,
    /// When the robot was retired.
    pub(super) until: Option<i64>,
}

/// What a robot distorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Impact {
    Page,
    Ad,
    PageAndAd,
}

impl Impact {
    /// The name in the entity.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Impact::Page => "PAGE_IMPRESSIONS",
            Impact::Ad => "AD_IMPRESSIONS",
            Impact::PageAndAd => "PAGE_AND_AD_IMPRESSIONS",
        }
    }
}

impl Record for Exclude {
    fn read(fields: &[String]) -> Option<Exclude> {
        let field = |index: usize| fields.get(index).map_or("", String::as_str);
        let until = date(field(5));
        if field(0) != "1" && until.is_none() {
            return None;
        }
        let exceptions = field(1).split(',').map(|text| text.trim().to_lowercase());
        Some(Exclude {
            exceptions: exceptions.filter(|text| !text.is_empty()).collect(),
            impact: match field(3) {
                "0" => Ok(Impact::Page),
                "1" => Ok(Impact::Ad),
                "2" => Ok(Impact::PageAndAd),
                other => Err(other.to_owned()),
            },
            start_only: field(4) == "1",
            until,
        })
    }

    fn start_only(&self) -> bool {
        self.start_only
    }
}

impl Exclude {
    /// Whether no exception stands in the user agent.
    pub(super) fn applies(&self, text: &str) -> bool {
        self.exceptions.is_empty() || {
            let text = text.to_ascii_lowercase();
            !self.exceptions.iter().any(|exception| text.contains(exception))
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The fields of a line; none for a comment or an empty line.
fn fields(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is always a last field");
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted || field.trim().is_empty() => quoted = !quoted,
            '|' if !quoted => fields.push(String::new()),
            character => field.push(character),
        }
    }
    Some(fields.iter().map(|field| field.trim().to_owned()).collect())
}

/// The start of a day `MM/dd/yyyy` in milliseconds since the epoch; none for any other text.
fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('/').map(|part| part.parse::<i64>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    let plausible = (1..=12).contains(&month) && (1..=31).contains(&day);
    let plausible = plausible && (0..10_000).contains(&year);
    if parts.next().is_some() || !plausible {
        return None;
    }
    Some(calendar::days_from_civil(year, month, day) * calendar::DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (text, expected) in [
            ("01/01/1970", Some(0)),
            ("06/30/2020", Some(1_593_475_200_000)),
            ("02/29/2024", Some(1_709_164_800_000)),
            ("12/31/2099", Some(4_102_358_400_000)),
            ("2020-06-30", None),
            ("", None),
            ("13/01/2020", None),
            ("01/01/-9223372036854775808", None),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_listed_alone_or_by_block() {
        let list = Addresses::read(
            b"203.0.113.66\n198.51.100.128/25\n192.0.2.77/27\n2001:db8:bad::/48\n\n  10.0.0.0/8\n\
              2001:db8:0:0:0:0:0:99\n2001:db8::aa\nnonsense\n10.1.0.0/16\n::ffff:1.2.3.4\n::/0x\n\
              ::ffff:6.7.8.9/120\n::ffff:7.8.9.10/24",
        );
        for (address, listed) in [
            ("203.0.113.66", true),
            ("203.0.113.67", false),
            ("198.51.100.255", true),
            ("198.51.100.127", false),
            ("192.0.2.64", true),
            ("192.0.2.96", false),
            ("10.9.8.7", true),
            ("10.1.2.3", true),
            ("11.0.0.0", false),
            ("2001:db8:bad::1", true),
            ("2001:db8:bae::1", false),
            ("2001:db8::99", true),
            ("2001:db8::aa", false),
            ("1.2.3.4", true),
            ("::ffff:1.2.3.4", true),
            ("1.2.3.5", false),
            ("6.7.8.1", true),
            ("6.7.9.1", false),
            ("7.8.9.1", true),
            ("7.8.8.1", false),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(list.contain(address), listed, "{address}");
        }
    }

    #[test]
    fn lines_are_split_at_bars_outside_quotes() {
        assert_eq!(fields("\"a|\"\"b\" | 1|").expect("a record"), ["a|\"b", "1", ""]);
        assert_eq!(fields(" # comment"), None);
    }

    #[test]
    fn the_first_record_of_the_list_decides() {
        let list = Patterns::<Exclude>::read(
            b"firstbot|1||1|0|0\nfirstbot second|1||1|2|0\nspider|1|Spiderman , x|1|1|0\n\
              startbot|1||1|2|1\nunknown|0||1|0|0\nweird|1||1|7|0",
        )
        .expect("a list");
        let find = |text: &str| {
            list.first(text, |record, text| record.applies(text)).map(|r| r.impact.clone())
        };
        assert_eq!(find("x FirstBot SECOND"), Some(Ok(Impact::Page)));
        assert_eq!(find("spider/1"), Some(Ok(Impact::Ad)));
        assert_eq!(find("SPIDERMAN spider/1"), None);
        assert_eq!(find("startbot"), Some(Ok(Impact::PageAndAd)));
        assert_eq!(find("a startbot"), None);
        assert_eq!(find("unknown"), None);
        assert_eq!(find("weird"), Some(Err("7".to_owned())));
    }
}
