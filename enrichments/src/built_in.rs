//! The steps that every event passes, whatever is configured.
//!
//! They follow a running peer in what they accept, write and say when they fail, except that a
//! cross-domain parameter of dots alone sets nothing instead of failing the whole payload.

use event::charset::Charset;
use event::raw_event::Parameter;
use event::reason::Words;
use event::schema_key::Parts;
use event::url::{CrossDomainError, Url};
use event::{Bump, Entity, Event, Failure, Field, Reason, time, url};

use crate::step::{Step, Times};

/// An event must name the collector it came through.
pub(crate) fn collector_version(event: &Event<'_>) -> Step<()> {
    match event.get(Field::VCollector) {
        Some(version) if !version.is_empty() => Ok(()),
        _ => Err(failed(Reason::input("v_collector", None, "should be set"))),
    }
}

/// Takes the page's URL apart: the tracker's, else the one the collector was called from. Rewrites
/// `page_url` in the form in which it could be read.
pub(crate) fn page_url<'a>(
    event: &mut Event<'a>,
    called_from: Option<&'a str>,
    arena: &'a Bump,
) -> Step<Option<Url<'a>>> {
    let Some(text) = event.get(Field::PageUrl).or(called_from) else { return Ok(None) };
    let page = url::parse(text, arena).map_err(simple)?;
    event.set(Field::PageUrl, Some(page.text));
    event.set(Field::PageUrlscheme, page.scheme);
    event.set(Field::PageUrlhost, page.host);
    event.set(Field::PageUrlport, Some(port(page.port, arena)));
    event.set(Field::PageUrlpath, page.path);
    event.set(Field::PageUrlquery, page.query);
    event.set(Field::PageUrlfragment, page.fragment);
    Ok(Some(page))
}

/// Takes the referrer's URL apart, leaving `page_referrer` as it is.
pub(crate) fn referrer_url<'a>(event: &mut Event<'a>, arena: &'a Bump) -> Step<Option<Url<'a>>> {
    let Some(text) = event.get(Field::PageReferrer) else { return Ok(None) };
    let referrer = url::parse(text, arena).map_err(simple)?;
    event.set(Field::RefrUrlscheme, referrer.scheme);
    event.set(Field::RefrUrlhost, referrer.host);
    event.set(Field::RefrUrlport, Some(port(referrer.port, arena)));
    event.set(Field::RefrUrlpath, referrer.path);
    event.set(Field::RefrUrlquery, referrer.query);
    event.set(Field::RefrUrlfragment, referrer.fragment);
    Ok(Some(referrer))
}

/// When the event happened, by the collector's clock as far as it can be known.
pub(crate) fn derived_time<'a>(event: &mut Event<'a>, times: &Times, arena: &'a Bump) {
    let derived = match derived_ms(times) {
        ms if Some(ms) == times.true_time => event.get(Field::TrueTstamp),
        ms if ms == times.collector => event.get(Field::CollectorTstamp),
        ms => Some(time::format_ms(ms, arena)),
    };
    event.set(Field::DerivedTstamp, derived);
}

/// The same as a number.
pub(crate) fn derived_ms(times: &Times) -> i64 {
    match (times.true_time, times.created, times.sent) {
        (Some(true_time), _, _) => true_time,
        (None, Some(created), Some(sent)) if created < sent => {
            time::derived(times.collector, created, sent).unwrap_or(times.collector)
        }
        _ => times.collector,
    }
}

/// The parameters of the page's URL, decoded.
pub(crate) fn page_query<'a>(
    page: &Url<'a>,
    encoding: &str,
    arena: &'a Bump,
) -> Step<&'a [Parameter<'a>]> {
    match Charset::named(encoding) {
        Some(charset) => Ok(page.parameters(charset, arena)),
        None => {
            let own = "could not parse uri, expection was thrown: [unknown charset ";
            let expectation = Words::quoting(own, format!("{encoding}]."));
            Err(failed(Reason::input("uri", Some(page.text), expectation)))
        }
    }
}

/// The parameter by which a page of another domain says who followed its link.
pub(crate) fn cross_domain_parameter<'a>(query: &[Parameter<'a>]) -> Option<&'a str> {
    crate::last(query, "_sp")?.1.filter(|value| !value.is_empty())
}

/// Sets who followed a link from a page of another domain, and when.
pub(crate) fn cross_domain<'a>(
    event: &mut Event<'a>,
    parameter: &'a str,
    arena: &'a Bump,
) -> Step<()> {
    match url::cross_domain(parameter, arena) {
        Ok((user, time)) => {
            event.set(Field::RefrDomainUserid, user);
            event.set(Field::RefrDvceTstamp, time);
            Ok(())
        }
        Err(CrossDomainError::OnlyDots) => Ok(()),
        Err(CrossDomainError::Timestamp { value, error }) => {
            Err(failed(Reason::input("sp_dtm", Some(&value), error.to_string())))
        }
    }
}

/// Sets which schema describes the event.
pub(crate) fn event_schema<'a>(
    event: &mut Event<'a>,
    unstruct: Option<&Entity<'a>>,
    arena: &'a Bump,
) -> Step<()> {
    const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
    let (vendor, name, format, version) = match event.get(Field::Event) {
        Some(name @ ("page_view" | "page_ping" | "transaction" | "transaction_item")) => {
            (SNOWPLOW, name, "jsonschema", "1-0-0")
        }
        Some("struct") => ("com.google.analytics", "event", "jsonschema", "1-0-0"),
        Some("unstruct") => {
            let Some(entity) = unstruct else { return Ok(()) };
            let key = Parts::parse(entity.uri).expect("an entity's URI was checked");
            let version = match entity.superseded_by {
                Some(version) => arena.alloc_str(&version.to_string()),
                None => key.version_text,
            };
            (key.vendor, key.name, key.format, version)
        }
        other => {
            let expectation = format!(
                "trying to extract the schema of the enriched event but event type [{}] doesn't \
                 match\n          any of page_view, page_ping, struct, transaction, \
                 transaction_item and unstruct\n          ",
                other.unwrap_or("null")
            );
            return Err(failed(Reason::input("event", other, Words::own(expectation))));
        }
    };
    event.set(Field::EventVendor, Some(vendor));
    event.set(Field::EventName, Some(name));
    event.set(Field::EventFormat, Some(format));
    event.set(Field::EventVersion, Some(version));
    Ok(())
}

fn simple(error: Words) -> Box<Failure> {
    failed(Reason::simple(error))
}

fn failed(reason: Reason) -> Box<Failure> {
    Box::new(reason.into())
}

/// The texts of the two ports that nearly every URL has need no room in the arena.
fn port(port: i32, arena: &Bump) -> &str {
    match port {
        443 => "443",
        80 => "80",
        port => arena.alloc_str(&port.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_time_trusts_the_collector_more_than_the_device() {
        let times =
            |created, sent, true_time| Times { collector: 10_000, created, sent, true_time };
        assert_eq!(derived_ms(&times(None, None, None)), 10_000);
        assert_eq!(derived_ms(&times(Some(1_000), Some(3_500), None)), 7_500);
        assert_eq!(derived_ms(&times(Some(3_500), Some(1_000), None)), 10_000);
        assert_eq!(derived_ms(&times(Some(1_000), None, None)), 10_000);
        assert_eq!(derived_ms(&times(Some(1_000), Some(3_500), Some(5))), 5);
        let (first, last) = (-62_167_219_200_000, 253_402_300_799_999);
        assert_eq!(derived_ms(&times(Some(first), Some(last), None)), 10_000);
    }

    #[test]
    fn an_event_is_described_by_a_schema_or_fails() {
        let arena = Bump::new();
        let entity = Entity {
            superseded_by: Some(event::SchemaVer::new(1, 0, 7)),
            ..Entity::new("iglu:com.acme/click/jsonschema/1-0-0", "{}")
        };
        let plain = Entity::new("iglu:com.acme/click/jsonschema/2-1-3", "{}");
        for (name, unstruct, expected) in [
            ("unstruct", Some(&plain), "com.acme click jsonschema 2-1-3"),
            ("page_ping", None, "com.snowplowanalytics.snowplow page_ping jsonschema 1-0-0"),
            ("struct", None, "com.google.analytics event jsonschema 1-0-0"),
            ("unstruct", Some(&entity), "com.acme click jsonschema 1-0-7"),
            ("unstruct", None, "   "),
        ] {
            let mut event = Event::new();
            event.set(Field::Event, Some(name));
            assert!(event_schema(&mut event, unstruct, &arena).is_ok());
            let fields =
                [Field::EventVendor, Field::EventName, Field::EventFormat, Field::EventVersion];
            let found = fields.map(|field| event.get(field).unwrap_or_default()).join(" ");
            assert_eq!(found, expected, "{name}");
        }
        let mut event = Event::new();
        assert!(event_schema(&mut event, None, &arena).is_err());
        event.set(Field::Event, Some("ad_impression"));
        assert!(event_schema(&mut event, None, &arena).is_err());
    }
}
