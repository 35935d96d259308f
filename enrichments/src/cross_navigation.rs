//! Cross navigation: an entity with all that a link from another domain says of its follower.
//!
//! Configured by `cross_navigation_config`, which has no parameters. The parameter `_sp` is
//! `user.time.session.user-id.source-id.platform.reason`, where everything after the time may be
//! empty or missing, and user id, source id and reason are in URL-safe base64. A part that cannot
//! be read becomes null; without a user and a time there is no entity. Never fails: the built-in
//! step reports a time that is none.

use event::convert::{platform, uuid_strict};
use event::{Bump, Entity, base64, json, time};

use crate::cache::written;

const URI: &str = "iglu:com.snowplowanalytics.snowplow/cross_navigation/jsonschema/1-0-0";

/// Reads the parameter.
pub(crate) fn run<'a>(
    parameter: &'a str,
    scratch: &mut Vec<u8>,
    arena: &'a Bump,
) -> Option<Entity<'a>> {
    let mut parts = parameter.split('.');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let user = part()?;
    let moment: i64 = part()?.parse().ok()?;
    if !time::is_redshift_compatible(moment) {
        return None;
    }
    let session = part().and_then(|session| uuid_strict(session, arena));
    let user_id = part().and_then(|text| decoded(text, arena));
    let source_id = part().and_then(|text| decoded(text, arena));
    let source_platform = part().filter(|code| platform(code) || *code == "headset");
    let reason = part().and_then(|text| decoded(text, arena));
    let data = written(scratch, arena, |out| {
        out.extend_from_slice(b"{\"domain_user_id\":");
        json::write_string(user, out);
        out.extend_from_slice(b",\"timestamp\":\"");
        time::write_instant_millis(moment, out);
        out.push(b'"');
        for (name, value) in [
            ("session_id", session),
            ("user_id", user_id),
            ("source_id", source_id),
            ("source_platform", source_platform),
            ("reason", reason),
        ] {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            json::write_optional(value, out);
        }
        out.push(b'}');
    });
    Some(Entity::new(URI, data))
}

/// The text of a part in base64; none where the bytes are no text.
fn decoded<'a>(text: &str, arena: &'a Bump) -> Option<&'a str> {
    std::str::from_utf8(base64::decode_bytes(text.as_bytes(), arena)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_or_null() {
        let data = |parameter| {
            let arena = Bump::new();
            run(parameter, &mut Vec::new(), &arena).map(|entity| entity.data.to_owned())
        };
        let full =
            "6de9.1680681134458.2f7c2b8a-0b2b-4a3c-9d2e-3c2c3ce43f9a.dXNlcg.bXktYXBw.web.bGluaw";
        assert_eq!(
            data(full).as_deref(),
            Some(
                "{\"domain_user_id\":\"6de9\",\"timestamp\":\"2023-04-05T07:52:14.458Z\",\
                 \"session_id\":\"2f7c2b8a-0b2b-4a3c-9d2e-3c2c3ce43f9a\",\"user_id\":\"user\",\
                 \"source_id\":\"my-app\",\"source_platform\":\"web\",\"reason\":\"link\"}"
            )
        );
        let short = data("6de9.1680681134458...bXktYXBw.nowhere").expect("an entity");
        assert!(short.contains("\"session_id\":null,\"user_id\":null,\"source_id\":\"my-app\""));
        assert!(short.ends_with("\"source_platform\":null,\"reason\":null}"));
        for nothing in
            ["", "6de9", "6de9.", ".1680681134458", "6de9.soon", "6de9.99999999999999999"]
        {
            assert_eq!(data(nothing), None, "{nothing}");
        }
    }
}
