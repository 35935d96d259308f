//! Synthetic traffic: collector payloads as trackers cause them, the same for the same seed.
//!
//! Visitors come back in sessions, browse pages, scroll, click, search, buy. Most requests are
//! POSTs with several events, some are GETs; a chosen share is bad, each in a way that makes one
//! known kind of bad row. Every other event validates against the public schemas. The generator
//! knows what should become of each payload, so that a run can be checked against it.

mod entities;
pub mod requests;
mod visitor;
pub mod webhooks;

use event::bad_row::BadKind;
use event::thrift::Wire;
use fastrand::Rng;
use serde_json::{Map, Value, json};

use visitor::Visitor;

/// How many people are browsing at once.
const VISITORS: usize = 400;

/// The most events of one request: trackers buffer a few.
const EVENTS: usize = 4;

/// One record for the stream, and what should become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The collector payload.
    pub bytes: Vec<u8>,
    /// The ids of the events that should be enriched.
    pub good: Vec<String>,
    /// The bad rows that should be made.
    pub bad: Vec<BadKind>,
}

/// An endless source of payloads.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Rng,
    visitors: Vec<Visitor>,
    bad_share: f64,
    now_ms: i64,
}

/// The parameters of one event.
type Parameters = Vec<(&'static str, String)>;

/// The ways in which a payload is bad.
const FLAWS: [BadKind; 5] = [
    BadKind::CollectorPayloadFormatViolation,
    BadKind::TrackerProtocolViolations,
    BadKind::AdapterFailures,
    BadKind::SchemaViolations,
    BadKind::EnrichmentFailures,
];

impl Generator {
    /// Payloads from a seed; `bad_share` of them, from 0 to 1, are bad. Collector timestamps start
    /// at `now_ms` and grow by a few milliseconds each.
    pub fn new(seed: u64, bad_share: f64, now_ms: i64) -> Generator {
        let mut random = Rng::with_seed(seed);
        let visitors = (0..VISITORS).map(|_| Visitor::new(&mut random)).collect();
        Generator { random, visitors, bad_share, now_ms }
    }

    /// Collector timestamps are not before this from now on.
    pub fn advance_to(&mut self, now_ms: i64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// The next payload.
    pub fn payload(&mut self) -> Payload {
        self.now_ms += self.random.i64(0..5);
        let chosen = self.random.usize(..self.visitors.len());
        let flaw =
            (self.random.f64() < self.bad_share).then(|| FLAWS[self.random.usize(..FLAWS.len())]);
        let mut visitor = self.visitors[chosen].clone();
        let payload = self.request(&mut visitor, flaw);
        self.visitors[chosen] = visitor;
        payload
    }

    fn request(&mut self, visitor: &mut Visitor, flaw: Option<BadKind>) -> Payload {
        if flaw == Some(BadKind::CollectorPayloadFormatViolation) {
            // No type of a field has this code, so no reader mistakes it for a struct.
            let bytes = std::iter::repeat_with(|| self.random.u8(..)).take(60);
            let bytes = std::iter::once(0x7f).chain(bytes).collect();
            return Payload { bytes, good: Vec::new(), bad: flaw.into_iter().collect() };
        }
        let posted = self.random.f64() < 0.9;
        let count = if posted { self.random.usize(1..=EVENTS) } else { 1 };
        let mut good = Vec::new();
        let mut events: Vec<Parameters> = Vec::new();
        for n in 0..count {
            let flaw = flaw.filter(|_| n == 0);
            let id = uuid(&mut self.random);
            events.push(self.event(visitor, flaw, &id));
            if flaw.is_none() {
                good.push(id);
            }
        }
        if matches!(flaw, Some(BadKind::TrackerProtocolViolations | BadKind::AdapterFailures)) {
            good.clear();
        }
        let bytes = if posted || flaw.is_some() {
            self.post(visitor, &events, flaw)
        } else {
            self.get(visitor, &events[0])
        };
        Payload { bytes, good, bad: flaw.into_iter().collect() }
    }

    fn event(&mut self, visitor: &mut Visitor, flaw: Option<BadKind>, id: &str) -> Parameters {
        let random = &mut self.random;
        let created = self.now_ms - random.i64(20..2000);
        visitor.browse(random, created);
        let mut parameters = visitor.parameters(created);
        parameters.push(("eid", id.to_owned()));
        let choice = match flaw {
            Some(BadKind::SchemaViolations) => 90,
            Some(BadKind::EnrichmentFailures) => 60,
            _ => random.u8(..100),
        };
        match choice {
            0..35 => parameters.push(("e", "pv".to_owned())),
            35..55 => page_ping(random, &mut parameters),
            55..65 => structured(random, flaw, &mut parameters),
            _ => {
                let event = match flaw {
                    Some(BadKind::SchemaViolations) => entities::broken_link_click(),
                    _ => entities::event(random),
                };
                let envelope = "unstruct_event/jsonschema/1-0-0";
                self_describing(random, ["ue_pr", "ue_px"], envelope, event, &mut parameters);
                parameters.push(("e", "ue".to_owned()));
            }
        }
        let contexts = entities::contexts(random, visitor, created);
        let envelope = "contexts/jsonschema/1-0-0";
        self_describing(random, ["co", "cx"], envelope, contexts, &mut parameters);
        parameters.push(("stm", self.now_ms.to_string()));
        parameters
    }

    fn post(&self, visitor: &Visitor, events: &[Parameters], flaw: Option<BadKind>) -> Vec<u8> {
        let data: Vec<String> = events
            .iter()
            .map(|event| {
                let pairs = event.iter().map(|(k, v)| ((*k).to_owned(), json!(v)));
                Value::Object(pairs.collect::<Map<_, _>>()).to_string()
            })
            .collect();
        let mut body = requests::body(&data.join(","));
        if flaw == Some(BadKind::TrackerProtocolViolations) {
            // As a proxy cuts it off.
            body.truncate(body.floor_char_boundary(body.len() / 2));
        }
        let mut request = requests::post(&body);
        if flaw == Some(BadKind::AdapterFailures) {
            request.path = Some(b"/com.example.unknown/v1");
        }
        self.record(visitor, request)
    }

    fn get(&self, visitor: &Visitor, event: &Parameters) -> Vec<u8> {
        let mut querystring = String::new();
        for (name, value) in event {
            let and = if querystring.is_empty() { "" } else { "&" };
            querystring.push_str(and);
            querystring.push_str(name);
            querystring.push('=');
            percent_encode(value, &mut querystring);
        }
        self.record(visitor, requests::get("/i", &querystring))
    }

    /// The record of a request that a visitor made.
    fn record(&self, visitor: &Visitor, request: Wire<'_>) -> Vec<u8> {
        let headers = visitor.headers();
        let headers: Vec<&[u8]> = headers.iter().map(String::as_bytes).collect();
        requests::record(&Wire {
            ip_address: Some(visitor.ip.as_bytes()),
            timestamp: self.now_ms,
            collector: Some(b"ssc-3.2.1-kinesis"),
            user_agent: Some(visitor.user_agent.as_bytes()),
            referer_uri: Some(visitor.page.as_bytes()),
            headers: &headers,
            hostname: Some(b"collector.example-shop.com"),
            network_userid: Some(visitor.network_userid.as_bytes()),
            ..request
        })
    }
}

fn page_ping(random: &mut Rng, parameters: &mut Parameters) {
    let depth = random.u32(0..4000);
    parameters.extend([
        ("e", "pp".to_owned()),
        ("pp_mix", "0".to_owned()),
        ("pp_max", "0".to_owned()),
        ("pp_miy", (depth / 2).to_string()),
        ("pp_may", depth.to_string()),
    ]);
}

fn structured(random: &mut Rng, flaw: Option<BadKind>, parameters: &mut Parameters) {
    let value = match flaw {
        Some(BadKind::EnrichmentFailures) => "a lot".to_owned(),
        _ => format!("{}.{:02}", random.u32(0..500), random.u32(0..100)),
    };
    parameters.extend([
        ("e", "se".to_owned()),
        ("se_ca", "video".to_owned()),
        ("se_ac", ["play", "pause", "seek"][random.usize(..3)].to_owned()),
        ("se_la", format!("clip-{}", random.u32(1..200))),
        ("se_va", value),
    ]);
}

/// Adds self-describing JSON as trackers do: plain or in base64, by their setting.
fn self_describing(
    random: &mut Rng,
    names: [&'static str; 2],
    envelope: &str,
    data: Value,
    parameters: &mut Parameters,
) {
    let schema = format!("iglu:com.snowplowanalytics.snowplow/{envelope}");
    let text = json!({"schema": schema, "data": data}).to_string();
    if random.bool() {
        parameters.push((names[0], text));
    } else {
        parameters.push((names[1], base64_simd::URL_SAFE_NO_PAD.encode_to_string(text)));
    }
}

/// A version 4 UUID.
fn uuid(random: &mut Rng) -> String {
    let bits = random.u128(..) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| &hex[range];
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Bump;
    use event::thrift;

    #[test]
    fn the_same_seed_makes_the_same_payloads() {
        let payloads = |seed| {
            let mut generator = Generator::new(seed, 0.1, 1_700_000_000_000);
            (0..200).map(|_| generator.payload()).collect::<Vec<_>>()
        };
        assert_eq!(payloads(1), payloads(1));
        assert_ne!(payloads(1), payloads(2));
    }

    #[test]
    fn event_ids_are_unique_version_4_uuids() {
        let mut generator = Generator::new(7, 0.0, 0);
        let ids: Vec<String> = (0..500).flat_map(|_| generator.payload().good).collect();
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), distinct.len());
        for id in &ids {
            assert_eq!((id.len(), &id[14..15]), (36, "4"));
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        }
    }

    #[test]
    fn the_share_of_bad_payloads_is_as_asked_and_the_rest_decodes() {
        let mut generator = Generator::new(3, 0.25, 1_700_000_000_000);
        let payloads: Vec<Payload> = (0..2000).map(|_| generator.payload()).collect();
        let bad = payloads.iter().filter(|payload| !payload.bad.is_empty()).count();
        assert!((400..600).contains(&bad), "{bad} of 2000");
        for kind in FLAWS {
            assert!(payloads.iter().any(|payload| payload.bad == [kind]), "{kind:?}");
        }
        let arena = Bump::new();
        for payload in &payloads {
            let garbage = payload.bad == [BadKind::CollectorPayloadFormatViolation];
            assert_eq!(thrift::read(&payload.bytes, &arena).is_err(), garbage);
        }
    }
}
