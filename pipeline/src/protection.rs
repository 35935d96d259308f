//! What bad rows and incomplete events tell of people: all, what enriched events tell, or nothing.
//!
//! The rule, in one sentence: **what came in is shown only where it is known to tell of no
//! person**, and everything else becomes a hash and a length, or is left out. Known are:
//!
//! - words of this program, which [`Words`] keep apart from what they quote;
//! - names that a program or a schema gave: of tracker parameters, of usual headers, of members
//!   that the schema of the data mentions; Iglu URIs, keywords, what a schema demands;
//! - values that belong to a column of events, where they are of the column's type, as the event
//!   would show them: masked and hashed by the configured `anon_ip` and `pii_enrichment_config`;
//! - when nothing may be told, of those only columns that name programs, kinds and times.
//!
//! So nobody who reports a failure has to know the rule. Where neither enrichment is configured, or
//! applies to a payload, nothing is personal, and pseudonymised rows stay as they are.

mod reasons;

use enrichments::{Enrichments, Protection};
use event::charset;
use event::reason::{Failure, Reason};
use event::{Bump, CollectorPayload, Event, Field, RawEvent, base64, convert, json, raw_event};
use validator::Schemas;

use super::parameters::{Parameter, Rule};
use super::writer::Writer;

/// What becomes of personal data in bad rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Personal {
    /// It stays.
    #[default]
    Keep,
    /// It is masked and hashed as in events.
    Pseudonymise,
    /// It is left out.
    Withhold,
}

/// Whether an event was masked and hashed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// The columns of JSON that trackers fill.
pub(super) const JSON: [Field; 2] = [Field::Contexts, Field::UnstructEvent];

/// The columns that tell of no person, whatever is in them.
const TECHNICAL: [Field; 8] = [
    Field::EtlTstamp,
    Field::CollectorTstamp,
    Field::Event,
    Field::EventId,
    Field::VEtl,
    Field::EventVendor,
    Field::EventName,
    Field::EventVersion,
];

/// The columns that tell of none where a program is named in them.
const OF_PROGRAMS: [Field; 5] =
    [Field::AppId, Field::Platform, Field::NameTracker, Field::VTracker, Field::VCollector];

/// Names of headers that programs give; of the others the name may be somebody's, too.
const HEADERS: [&str; 48] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "cloudfront-viewer-address",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "dnt",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "from",
    "host",
    "origin",
    "pragma",
    "proxy-authorization",
    "raw-request-uri",
    "referer",
    "remote-address",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sp-anonymous",
    "timeout-access",
    "true-client-ip",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-original-forwarded-for",
    "x-real-ip",
];

/// Media types that bodies have; any other text may be somebody's.
const MEDIA_TYPES: [&str; 7] = [
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/xml",
    "multipart/form-data",
    "text/html",
    "text/plain",
];

/// What stands where something is left out.
const WITHHELD: &str = "withheld";

/// Shows what bad rows may show.
#[derive(Clone, Copy)]
pub(super) struct Shown<'p> {
    personal: Personal,
    enrichments: &'p Enrichments,
    schemas: &'p Schemas,
}

/// How a payload and its event are protected.
#[derive(Clone, Copy)]
enum How<'p> {
    Keep,
    Pseudonymise(Protection<'p>),
    Withhold,
}

impl Writer<'_> {
    /// Shows what bad rows may show.
    pub(super) fn shown(&self) -> Shown<'_> {
        Shown {
            personal: self.pipeline.settings.personal,
            enrichments: &self.pipeline.enrichments,
            schemas: self.schemas,
        }
    }
}

impl<'p> Shown<'p> {
    /// The event as far as it got. Columns of JSON that were not found valid are `unproven`: values
    /// are looked for in them by their schemas, and found where those say.
    pub(super) fn event<'a>(
        &self,
        event: &Event<'a>,
        masked: Masked,
        unproven: &[Field],
        headers: &[&str],
        arena: &'a Bump,
    ) -> Event<'a> {
        let mut shown = event.clone();
        match self.how(headers) {
            How::Keep => {}
            How::Withhold => shown = technical(event),
            How::Pseudonymise(how) => {
                if masked == Masked::No {
                    self.enrichments.anonymise(&mut shown, headers, arena);
                    let address = event.get(Field::UserIpaddress);
                    let address = address.map(|ip| how.address(ip, arena));
                    shown.set(Field::UserIpaddress, address);
                }
                for column in unproven.iter().filter(|column| how.looks_inside(**column)) {
                    let hidden = event.get(*column).map(|text| how.opaque(text.as_bytes()));
                    shown.set(*column, hidden.map(|text| &*arena.alloc_str(&text)));
                }
            }
        }
        shown
    }

    /// The event as far as it got, as incomplete events show it: as enriched ones do, unless
    /// nothing may be told.
    pub(super) fn incomplete_event<'a>(
        &self,
        event: &Event<'a>,
        masked: Masked,
        unproven: &[Field],
        headers: &[&str],
        arena: &'a Bump,
    ) -> Event<'a> {
        if self.personal == Personal::Withhold {
            return technical(event);
        }
        let mut shown = event.clone();
        if masked == Masked::No {
            self.enrichments.anonymise(&mut shown, headers, arena);
        }
        if let Some(how) = self.enrichments.protection(headers) {
            // What was derived and is here was found valid.
            for column in JSON.into_iter().filter(|column| unproven.contains(column)) {
                if how.looks_inside(column) {
                    shown.set(column, None);
                }
            }
        }
        shown
    }

    /// A payload that was refused for these reasons.
    pub(super) fn refused_payload<'a>(
        &self,
        payload: &CollectorPayload<'a>,
        reasons: &[Reason],
        arena: &'a Bump,
    ) -> &'a CollectorPayload<'a> {
        let nobodys = |reason: &Reason| match reason {
            Reason::Input { field, .. } => field.text() == "vendor/version",
            _ => false,
        };
        let how = self.how(payload.headers);
        let mut shown = self.payload(payload, arena).clone();
        if reasons.iter().any(nobodys) && !matches!(how, How::Keep) {
            // A path that no adapter knows is any text.
            shown.vendor = arena.alloc_str(&how.name(payload.vendor));
            shown.version = WITHHELD;
        }
        arena.alloc(shown)
    }

    /// The payload of an event.
    pub(super) fn payload<'a>(
        &self,
        payload: &CollectorPayload<'a>,
        arena: &'a Bump,
    ) -> &'a CollectorPayload<'a> {
        let mut shown = payload.clone();
        let how = self.how(payload.headers);
        let opaque = |text: &str| &*arena.alloc_str(&how.opaque(text.as_bytes()));
        if !matches!(how, How::Keep) {
            shown.querystring = how.parameters(payload.querystring, arena);
            shown.body = payload.body.map(opaque);
            shown.collector = payload.collector.map(|name| program(name).unwrap_or(WITHHELD));
            let media_type = payload.content_type;
            shown.content_type = media_type.map(|text| &*arena.alloc_str(&how.media_type(text)));
        }
        match how {
            How::Keep => {}
            How::Withhold => {
                shown.hostname = None;
                shown.ip_address = None;
                shown.useragent = None;
                shown.referer_uri = None;
                shown.network_userid = None;
                shown.headers = &[];
            }
            How::Pseudonymise(protection) => {
                let column = |field, value| protection.field(field, value, arena);
                shown.hostname = payload.hostname.map(opaque);
                shown.ip_address = payload.ip_address.map(|ip| protection.address(ip, arena));
                shown.useragent = payload.useragent.map(|text| column(Field::Useragent, text));
                shown.referer_uri = payload.referer_uri.map(opaque);
                let id = payload.network_userid;
                shown.network_userid = id.map(|id| column(Field::NetworkUserid, id));
                let headers: Vec<&str> = payload
                    .headers
                    .iter()
                    .map(|header| &*arena.alloc_str(&how.header(header)))
                    .collect();
                shown.headers = arena.alloc_slice_copy(&headers);
            }
        }
        arena.alloc(shown)
    }

    /// An event's parameters.
    pub(super) fn parameters<'a>(
        &self,
        raw: &RawEvent<'a>,
        arena: &'a Bump,
    ) -> &'a [raw_event::Parameter<'a>] {
        match self.how(raw.payload.headers) {
            How::Keep => raw.parameters,
            how => how.parameters(raw.parameters, arena),
        }
    }

    /// Reasons about a payload with these headers.
    pub(super) fn reasons(&self, reasons: &[Reason], headers: &[&str]) -> Vec<Reason> {
        let how = self.how(headers);
        reasons.iter().map(|reason| self.reason(reason, how)).collect()
    }

    /// The same for a record in which there are no headers.
    pub(super) fn reasons_of_nobody(&self, reasons: &[Reason]) -> Vec<Reason> {
        let how = self.how_of_nobody();
        reasons.iter().map(|reason| self.reason(reason, how)).collect()
    }

    /// Failures of an event whose payload has these headers.
    pub(super) fn failures(&self, failures: &[Failure], headers: &[&str]) -> Vec<Failure> {
        let how = self.how(headers);
        let show = |failure: &Failure| Failure {
            enrichment: failure.enrichment.clone(),
            reason: self.reason(&failure.reason, how),
        };
        failures.iter().map(show).collect()
    }

    /// A reason that quotes nothing, as incomplete events have it.
    pub(super) fn unquoted(&self, reason: &Reason) -> Reason {
        self.reason(reason, How::Withhold)
    }

    /// A text that cannot be looked into: encoded, or what may be told of it. Whose it is cannot be
    /// known, so it counts as a payload that is pseudonymised.
    pub(super) fn text(&self, text: &[u8], encode: impl FnOnce(&[u8]) -> String) -> String {
        match self.how_of_nobody() {
            How::Keep => encode(text),
            how => how.opaque(text),
        }
    }

    /// The text of an enriched event that could not be written: what it tells is masked and hashed.
    pub(super) fn enriched_text(&self, text: String) -> String {
        match self.personal {
            Personal::Withhold => enrichments::opaque(text.as_bytes()),
            Personal::Keep | Personal::Pseudonymise => text,
        }
    }

    /// The message of a panic, unless it is a constant of the program.
    pub(super) fn panic(&self, message: String) -> String {
        match self.how_of_nobody() {
            How::Keep => message,
            _ => format!("unexpected failure: [{WITHHELD}]"),
        }
    }

    fn how(&self, headers: &[&str]) -> How<'p> {
        match self.personal {
            Personal::Keep => How::Keep,
            Personal::Withhold => How::Withhold,
            Personal::Pseudonymise => {
                self.enrichments.protection(headers).map_or(How::Keep, How::Pseudonymise)
            }
        }
    }

    fn how_of_nobody(&self) -> How<'p> {
        self.how(&["SP-Anonymous: *"])
    }
}

impl How<'_> {
    /// A text as a hash and its length.
    fn opaque(&self, text: &[u8]) -> String {
        match self {
            How::Pseudonymise(protection) => protection.opaque(text),
            How::Keep | How::Withhold => enrichments::opaque(text),
        }
    }

    /// A name that somebody may have given: short enough for where names stand.
    fn name(&self, text: &str) -> String {
        match self {
            How::Keep => text.to_owned(),
            How::Withhold => WITHHELD.to_owned(),
            How::Pseudonymise(_) => {
                /// Tells names apart, and fits the 64 characters that schemas allow.
                const LENGTH: usize = "SHA-256 ".len() + 32;
                self.opaque(text.as_bytes()).chars().take(LENGTH).collect()
            }
        }
    }

    fn header(&self, header: &str) -> String {
        let Some((name, value)) = header.split_once(':') else {
            return self.opaque(header.as_bytes());
        };
        let value = self.opaque(value.trim().as_bytes());
        let known = HEADERS.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        let name = if known { name.trim().to_owned() } else { self.name(name) };
        format!("{name}: {value}")
    }

    /// A content type without parameters but the charset, if it is one that bodies have.
    fn media_type(&self, text: &str) -> String {
        let bare = text.split(';').next().unwrap_or_default().trim();
        let Some(known) = MEDIA_TYPES.iter().find(|known| bare.eq_ignore_ascii_case(known)) else {
            return if text.is_empty() { String::new() } else { self.opaque(text.as_bytes()) };
        };
        match charset::of_content_type(text) {
            Some((charset, _)) => format!("{known}; charset={}", charset.name()),
            None => (*known).to_owned(),
        }
    }

    fn parameters<'a>(
        &self,
        parameters: &[raw_event::Parameter<'a>],
        arena: &'a Bump,
    ) -> &'a [raw_event::Parameter<'a>] {
        let shown = parameters.iter().map(|(name, value)| match Parameter::of(name) {
            Some(parameter) => (*name, value.and_then(|value| self.value(parameter, value, arena))),
            None => {
                let value = value.and_then(|value| self.foreign(name, value, arena));
                let known = matches!(*name, "schema" | "u");
                (if known { name } else { &*arena.alloc_str(&self.name(name)) }, value)
            }
        });
        arena.alloc_slice_fill_iter(shown.collect::<Vec<_>>())
    }

    /// The value of a tracker parameter.
    fn value<'a>(&self, parameter: &Parameter, value: &'a str, arena: &'a Bump) -> Option<&'a str> {
        let fits = fits(parameter.rule, value, arena);
        match self {
            How::Keep => Some(value),
            How::Withhold => match parameter.rule {
                Rule::EventType(_) | Rule::Platform(_) => Some(value).filter(|_| fits),
                Rule::Uuid(Field::EventId) => Some(value).filter(|_| fits),
                Rule::Text(field) if OF_PROGRAMS.contains(&field) => program(value),
                _ => None,
            },
            How::Pseudonymise(how) => Some(match parameter.rule {
                Rule::Ip(_) => how.address(value, arena),
                Rule::Text(field) | Rule::Last(field) | Rule::Uuid(field) if fits => {
                    how.field(field, value, arena)
                }
                Rule::Json(field) | Rule::Base64Json(field) if how.looks_inside(field) => {
                    arena.alloc_str(&self.opaque(value.as_bytes()))
                }
                _ if fits => value,
                _ => arena.alloc_str(&self.opaque(value.as_bytes())),
            }),
        }
    }

    /// The value of a parameter that fills no column.
    fn foreign<'a>(&self, name: &str, value: &'a str, arena: &'a Bump) -> Option<&'a str> {
        match self {
            How::Keep => Some(value),
            _ if name == "schema" && event::schema_key::Parts::parse(value).is_ok() => Some(value),
            How::Withhold => None,
            How::Pseudonymise(_) => Some(arena.alloc_str(&self.opaque(value.as_bytes()))),
        }
    }
}

/// Whether a value is of the type of the column that its parameter fills.
fn fits(rule: Rule, value: &str, arena: &Bump) -> bool {
    match rule {
        Rule::Text(_) | Rule::Last(_) | Rule::Ip(_) => true,
        Rule::EventType(_) => convert::event_type(value).is_some(),
        Rule::Platform(_) => convert::platform(value),
        Rule::Int(_) => convert::int32(value, arena).is_ok(),
        Rule::Decimal(_) => convert::decimal(value, arena).is_ok(),
        Rule::Bool(_) => convert::bool01(value).is_some(),
        Rule::Uuid(_) => convert::uuid_strict(value, arena).is_some(),
        Rule::Timestamp(_) => convert::ms_timestamp(value, arena).is_ok(),
        Rule::Dimensions(..) => convert::dimensions(value, arena).is_ok(),
        Rule::Json(_) => json::compact(value, arena).is_ok(),
        Rule::Base64Json(_) => {
            json::compact(base64::decode(arena.alloc_str(value), arena), arena).is_ok()
        }
        Rule::Ignored => false,
    }
}

/// An event of nothing but what tells of no person.
fn technical<'a>(event: &Event<'a>) -> Event<'a> {
    let mut shown = Event::new();
    for field in TECHNICAL {
        shown.set(field, event.get(field));
    }
    for field in OF_PROGRAMS {
        shown.set(field, event.get(field).and_then(program));
    }
    shown
}

/// A text if it is the name or version of a program: of what addresses, names of people and dates
/// are written with, it has too little.
fn program(text: &str) -> Option<&str> {
    /// Longer than any name that somebody gave.
    const LONGEST: usize = 64;
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    (starts && text.len() <= LONGEST && text.bytes().all(inner)).then_some(text)
}
