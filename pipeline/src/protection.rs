//! What bad rows tell of people: all, what enriched events tell, or nothing.
//!
//! Pseudonymising covers what the configured `anon_ip` and `pii_enrichment_config` cover in events:
//! the columns of the event as far as it got, tracker parameters that fill such a column, the
//! address, the forwarding headers, the user id. What cannot be looked into (a body, a record that
//! is no payload, JSON in which values are hashed, cookies and authorisations) becomes a hash and a
//! length. URLs stay, as they do in events. Where neither is configured nothing is personal, and
//! rows stay as they are.

use enrichments::Protection;
use event::json::write_string;
use event::reason::{Failure, Reason};
use event::{Bump, CollectorPayload, Event, Field, RawEvent, raw_event};

use super::Run;
use super::parameters::{Parameter, Rule};

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

/// The columns that tell of no person.
const TECHNICAL: [Field; 13] = [
    Field::AppId,
    Field::Platform,
    Field::EtlTstamp,
    Field::CollectorTstamp,
    Field::Event,
    Field::EventId,
    Field::NameTracker,
    Field::VTracker,
    Field::VCollector,
    Field::VEtl,
    Field::EventVendor,
    Field::EventName,
    Field::EventVersion,
];

/// The columns of JSON.
const JSON: [Field; 2] = [Field::Contexts, Field::UnstructEvent];

/// Headers that hold the client's address.
const FORWARDING: [&str; 9] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
];

/// Headers that hold identities or secrets of the one who asks.
const IDENTIFYING: [&str; 4] = ["cookie", "cookie2", "authorization", "proxy-authorization"];

impl Run<'_> {
    /// The event as a bad row may show it. `masked` tells whether it was masked and hashed already.
    pub(super) fn shown_event<'a>(
        &self,
        event: &Event<'a>,
        masked: Masked,
        headers: &[&str],
        arena: &'a Bump,
    ) -> Event<'a> {
        let mut shown = event.clone();
        match self.pipeline.settings.personal {
            Personal::Pseudonymise if masked == Masked::No => {
                self.pipeline.enrichments.anonymise(&mut shown, headers, arena);
            }
            Personal::Withhold => {
                shown = Event::new();
                for field in TECHNICAL {
                    shown.set(field, event.get(field));
                }
            }
            _ => {}
        }
        shown
    }

    /// Makes columns opaque that hold JSON which is not valid: pseudonymisation looks for values by
    /// the schema, and finds them where that says.
    pub(super) fn hide_invalid<'a>(
        &self,
        shown: &mut Event<'a>,
        invalid: &[Field],
        headers: &[&str],
        arena: &'a Bump,
    ) {
        if self.pipeline.settings.personal != Personal::Pseudonymise {
            return;
        }
        let Some(protection) = self.pipeline.enrichments.protection(headers) else { return };
        for column in invalid.iter().filter(|column| protection.looks_inside(**column)) {
            let hidden = shown.get(*column).map(|text| protection.opaque(text.as_bytes()));
            shown.set(*column, hidden.map(|text| &*arena.alloc_str(&text)));
        }
    }

    /// The payload as a bad row may show it.
    pub(super) fn shown_payload<'a>(
        &self,
        payload: &CollectorPayload<'a>,
        arena: &'a Bump,
    ) -> &'a CollectorPayload<'a> {
        let mut shown = payload.clone();
        match self.pipeline.settings.personal {
            Personal::Keep => {}
            Personal::Withhold => {
                shown.querystring = withheld(payload.querystring, arena);
                let body = payload.body.map(|body| enrichments::opaque(body.as_bytes()));
                shown.body = body.map(|text| &*arena.alloc_str(&text));
                shown.ip_address = None;
                shown.useragent = None;
                shown.referer_uri = None;
                shown.network_userid = None;
                shown.headers = &[];
            }
            Personal::Pseudonymise => {
                if let Some(protection) = self.pipeline.enrichments.protection(payload.headers) {
                    protect(&mut shown, protection, arena);
                }
            }
        }
        arena.alloc(shown)
    }

    /// An event's parameters as a bad row may show them.
    pub(super) fn shown_parameters<'a>(
        &self,
        raw: &RawEvent<'a>,
        arena: &'a Bump,
    ) -> &'a [raw_event::Parameter<'a>] {
        match self.pipeline.settings.personal {
            Personal::Keep => raw.parameters,
            Personal::Withhold => withheld(raw.parameters, arena),
            Personal::Pseudonymise => {
                let protection = self.pipeline.enrichments.protection(raw.payload.headers);
                protection.map_or(raw.parameters, |how| parameters(raw.parameters, how, arena))
            }
        }
    }

    /// A reason without the value that it quotes, or with what may be shown of it.
    pub(super) fn shown_reasons(&self, reasons: &[Reason], headers: &[&str]) -> Vec<Reason> {
        let mut shown = reasons.to_vec();
        shown.iter_mut().for_each(|reason| self.show_reason(reason, headers));
        shown
    }

    /// As above, for failures.
    pub(super) fn shown_failures(&self, failures: &[Failure], headers: &[&str]) -> Vec<Failure> {
        let mut shown = failures.to_vec();
        shown.iter_mut().for_each(|failure| self.show_reason(&mut failure.reason, headers));
        shown
    }

    fn show_reason(&self, reason: &mut Reason, headers: &[&str]) {
        let protection = match self.pipeline.settings.personal {
            Personal::Keep => return,
            Personal::Withhold => None,
            Personal::Pseudonymise => match self.pipeline.enrichments.protection(headers) {
                None => return,
                protection => protection,
            },
        };
        match reason {
            Reason::Input { field, value, .. } | Reason::NotJson { field, value, .. } => {
                *value = value.take().zip(protection).map(|(text, protection)| {
                    shown_value(field, &text, protection, &Bump::new()).to_owned()
                });
            }
            Reason::NotIglu { json, .. } => {
                let inside = |p: &Protection<'_>| JSON.iter().any(|column| p.looks_inside(*column));
                match protection {
                    None => *json = "null".to_owned(),
                    Some(protection) if inside(&protection) => {
                        let mut shown = Vec::new();
                        write_string(&protection.opaque(json.as_bytes()), &mut shown);
                        *json = String::from_utf8(shown).expect("a JSON string is UTF-8");
                    }
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }

    /// What a bad row may tell of a text that cannot be looked into.
    pub(super) fn shown_text(&self, text: &[u8], encode: impl FnOnce(&[u8]) -> String) -> String {
        match self.pipeline.settings.personal {
            Personal::Keep => encode(text),
            Personal::Withhold => enrichments::opaque(text),
            // Whose payload it is cannot be known, so it counts as one that is pseudonymised.
            Personal::Pseudonymise => {
                let protection = self.pipeline.enrichments.protection(&["SP-Anonymous: *"]);
                protection.map_or_else(|| encode(text), |protection| protection.opaque(text))
            }
        }
    }
}

/// Whether an event was masked and hashed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Masked {
    Yes,
    No,
}

/// Parameters without their values, but for those that tell of no person.
fn withheld<'a>(
    parameters: &[raw_event::Parameter<'a>],
    arena: &'a Bump,
) -> &'a [raw_event::Parameter<'a>] {
    let technical = |name: &str| matches!(name, "e" | "eid" | "aid" | "p" | "tv" | "tna");
    let kept = parameters.iter().map(|(name, value)| (*name, value.filter(|_| technical(name))));
    arena.alloc_slice_fill_iter(kept.collect::<Vec<_>>())
}

fn protect<'a>(payload: &mut CollectorPayload<'a>, how: Protection<'_>, arena: &'a Bump) {
    let opaque = |text: &str| &*arena.alloc_str(&how.opaque(text.as_bytes()));
    payload.querystring = parameters(payload.querystring, how, arena);
    payload.body = payload.body.map(opaque);
    payload.ip_address = payload.ip_address.map(|ip| how.field(Field::UserIpaddress, ip, arena));
    payload.network_userid =
        payload.network_userid.map(|id| how.field(Field::NetworkUserid, id, arena));
    let header = |header: &&'a str| -> &'a str {
        let Some((name, value)) = header.split_once(':') else { return opaque(header) };
        let is = |known: &[&str]| known.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        if is(&IDENTIFYING) || (is(&FORWARDING) && how.covers_address()) {
            return arena.alloc_str(&format!("{name}: {}", opaque(value.trim())));
        }
        header
    };
    let headers: Vec<&str> = payload.headers.iter().map(header).collect();
    payload.headers = arena.alloc_slice_copy(&headers);
}

fn parameters<'a>(
    parameters: &[raw_event::Parameter<'a>],
    how: Protection<'_>,
    arena: &'a Bump,
) -> &'a [raw_event::Parameter<'a>] {
    let shown = parameters.iter().map(|(name, value)| {
        let value = value.map(|value| shown_value(name, value, how, arena));
        (*name, value)
    });
    arena.alloc_slice_fill_iter(shown.collect::<Vec<_>>())
}

/// What may be shown of the value of a parameter or column.
fn shown_value<'a>(name: &str, value: &'a str, how: Protection<'_>, arena: &'a Bump) -> &'a str {
    let rule = Parameter::of(name).map(|parameter| parameter.rule);
    match rule.or_else(|| Field::from_name(name).map(Rule::Text)) {
        Some(Rule::Text(field) | Rule::Ip(field) | Rule::Uuid(field) | Rule::Last(field)) => {
            how.field(field, value, arena)
        }
        Some(Rule::Json(field) | Rule::Base64Json(field)) if how.looks_inside(field) => {
            arena.alloc_str(&how.opaque(value.as_bytes()))
        }
        _ => value,
    }
}
