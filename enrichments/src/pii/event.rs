//! The event about a pseudonymised event: what was hashed, for those who may know both.

use event::entity::UNSTRUCT_EVENT_URI;
use event::{Bump, Event, Field, json};

use super::{Change, Pii, Rule};

impl Pii {
    /// The event about these changes (oldest first) of an event, which stamps it with an
    /// identifier and a time; none if nothing changed. Both lists are newest first, as a running
    /// peer has them.
    pub(crate) fn event<'a>(
        &self,
        parent: &Event<'a>,
        changes: &[Change<'a>],
        id: &'a str,
        now: &'a str,
        arena: &'a Bump,
    ) -> Option<Event<'a>> {
        if changes.is_empty() {
            return None;
        }
        let mut event = Event::new();
        for field in [Field::AppId, Field::EtlTstamp, Field::CollectorTstamp, Field::VEtl] {
            event.set(field, parent.get(field));
        }
        for (field, text) in [
            (Field::Platform, "srv"),
            (Field::Event, "pii_transformation"),
            (Field::EventId, id),
            (Field::EventVendor, "com.snowplowanalytics.snowplow"),
            (Field::EventName, "pii_transformation"),
            (Field::EventFormat, "jsonschema"),
            (Field::EventVersion, "1-0-0"),
            (Field::DerivedTstamp, now),
            (Field::TrueTstamp, now),
        ] {
            event.set(field, Some(text));
        }
        let text =
            |bytes: Vec<u8>| &*arena.alloc_str(std::str::from_utf8(&bytes).expect("made of texts"));
        event.set(Field::UnstructEvent, Some(text(self.account(changes))));
        event.set(Field::Contexts, parent.get(Field::EventId).map(|id| text(parent_event(id))));
        Some(event)
    }

    fn account(&self, changes: &[Change<'_>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"{\"schema\":\"");
        out.extend_from_slice(UNSTRUCT_EVENT_URI.as_bytes());
        out.extend_from_slice(
            b"\",\"data\":{\"schema\":\"iglu:com.snowplowanalytics.snowplow/\
              pii_transformation/jsonschema/1-0-0\",\"data\":{\"pii\":{",
        );
        let mut empty = true;
        for (name, inside) in [("pojo", false), ("json", true)] {
            let newest_first = changes.iter().rev().filter(|c| c.inside.is_some() == inside);
            for (index, change) in newest_first.enumerate() {
                if index == 0 {
                    out.extend_from_slice(if empty { b"\"" } else { b"],\"" });
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(b"\":[");
                    empty = false;
                } else {
                    out.push(b',');
                }
                self.change(change, &mut out);
            }
        }
        out.extend_from_slice(b"]},\"strategy\":{\"pseudonymize\":{\"hashFunction\":");
        json::write_string(self.hash_name, &mut out);
        out.extend_from_slice(b"}}}}}");
        out
    }

    fn change(&self, change: &Change<'_>, out: &mut Vec<u8>) {
        let mut member = |name: &str, value: &str| {
            out.extend_from_slice(if name == "fieldName" { b"{" } else { b"," });
            json::write_string(name, out);
            out.push(b':');
            json::write_string(value, out);
        };
        member("fieldName", change.field.name());
        member("originalValue", change.original);
        member("modifiedValue", change.modified);
        if let Some((rule, schema)) = change.inside {
            if let Rule::Json { path_text, .. } = &self.rules[rule] {
                member("jsonPath", path_text);
            }
            member("schema", schema);
        }
        out.push(b'}');
    }
}

fn parent_event(id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(
        b"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0\",\
          \"data\":[{\"schema\":\"iglu:com.snowplowanalytics.snowplow/parent_event/jsonschema/\
          1-0-0\",\"data\":{\"parentEventId\":",
    );
    json::write_string(id, &mut out);
    out.extend_from_slice(b"}}]}");
    out
}
