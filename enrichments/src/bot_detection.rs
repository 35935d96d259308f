//! Whether some other enrichment, or the page itself, took the client for a robot, as one entity.
//!
//! Configured by `bot_detection_enrichment_config`, whose four switches say whom to believe. Runs
//! after all of them. A switch whose source is not there for an event says nothing; the entity is
//! derived for every event. Never fails.

use event::{Bump, Entity, Event, Field, json};

use crate::reader::Node;

const URI: &str = "iglu:com.snowplowanalytics.snowplow/bot_detection/jsonschema/1-0-1";

/// The entity in which a page says what it found out about its browser, in any version of model 1.
const CLIENT_SIDE: &str =
    "iglu:com.snowplowanalytics.snowplow/client_side_bot_detection/jsonschema/1-";

/// Whom to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BotDetection {
    yauaa: bool,
    iab: bool,
    asn: bool,
    client: bool,
}

/// What the other enrichments said of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs<'s, 'a> {
    /// Whether the user agent is that of a robot.
    pub(crate) yauaa: bool,
    /// What was derived, in any order.
    pub(crate) entities: &'s [Entity<'a>],
}

impl BotDetection {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<BotDetection> {
        let names = ["useYauaa", "useIab", "useAsnLookups", "useClientSideDetection"];
        parameters.only(&names)?;
        let client = parameters.field("useClientSideDetection").present();
        let flag = |name: &str| parameters.field(name).flag();
        Some(BotDetection {
            yauaa: flag("useYauaa")?,
            iab: flag("useIab")?,
            asn: flag("useAsnLookups")?,
            // Version 1-0-0 of the configuration does not have it.
            client: client.map_or(Some(false), |client| client.flag())?,
        })
    }

    /// Derives the entity.
    pub(crate) fn run<'a>(
        self,
        event: &Event<'_>,
        signs: Signs<'_, '_>,
        arena: &'a Bump,
    ) -> Entity<'a> {
        let derived = |vendor_and_name: &str, key: &str| {
            let found =
                signs.entities.iter().find(|entity| entity.uri.starts_with(vendor_and_name));
            found.is_some_and(|entity| json::member(entity.data, key) == Some("true"))
        };
        let iab = "iglu:com.iab.snowplow/spiders_and_robots/";
        let asn = "iglu:com.snowplowanalytics.snowplow/asn/";
        let indicators = [
            ("\"yauaa\"", self.yauaa && signs.yauaa),
            ("\"iab\"", self.iab && derived(iab, "spiderOrRobot")),
            ("\"asnLookups\"", self.asn && derived(asn, "likelyBot")),
            ("\"clientSideDetection\"", self.client && client_says_so(event)),
        ];
        let bot = indicators.iter().any(|(_, says_so)| *says_so);
        let mut data = bumpalo::collections::String::new_in(arena);
        data.push_str(if bot { "{\"bot\":true" } else { "{\"bot\":false" });
        data.push_str(",\"indicators\":[");
        let named = indicators.iter().filter(|(_, says_so)| *says_so);
        for (index, (name, _)) in named.enumerate() {
            data.push_str(if index == 0 { "" } else { "," });
            data.push_str(name);
        }
        data.push_str("]}");
        Entity::new(URI, data.into_bump_str())
    }
}

/// Whether the page took its browser for a robot.
fn client_says_so(event: &Event<'_>) -> bool {
    let contexts = event.get(Field::Contexts).filter(|contexts| contexts.contains(CLIENT_SIDE));
    let entities = contexts.and_then(|contexts| json::member(contexts, "data"));
    let mut entities = entities.and_then(json::Elements::of).into_iter().flatten();
    entities.any(|entity| {
        let uri = json::member(entity, "schema").unwrap_or_default().trim_matches('"');
        let data = json::member(entity, "data").filter(|_| uri.starts_with(CLIENT_SIDE));
        data.and_then(|data| json::member(data, "bot")) == Some("true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: BotDetection = BotDetection { yauaa: true, iab: true, asn: true, client: true };
    const ROBOT: &str = r#"{"spiderOrRobot":true,"category":"SPIDER_OR_ROBOT"}"#;
    const BROWSER: &str = r#"{"spiderOrRobot":false,"category":"BROWSER"}"#;
    const IAB: &str = "iglu:com.iab.snowplow/spiders_and_robots/jsonschema/1-0-0";
    const ASN: &str = "iglu:com.snowplowanalytics.snowplow/asn/jsonschema/1-0-1";

    fn check(
        detection: BotDetection,
        yauaa: bool,
        entities: &[(&'static str, &'static str)],
        contexts: &str,
        expected: &str,
    ) {
        let arena = Bump::new();
        let mut event = Event::new();
        event.set(Field::Contexts, Some(contexts));
        let entities: Vec<Entity<'_>> =
            entities.iter().map(|(uri, data)| Entity::new(uri, data)).collect();
        let signs = Signs { yauaa, entities: &entities };
        assert_eq!(detection.run(&event, signs, &arena).data, expected);
    }

    fn contexts(version: &str, bot: bool) -> String {
        let name = "com.snowplowanalytics.snowplow/client_side_bot_detection";
        let page =
            format!(r#"{{"schema":"iglu:{name}/jsonschema/{version}","data":{{"bot":{bot}}}}}"#);
        let other = r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":{"bot":true}}"#;
        format!(r#"{{"schema":"iglu:x/contexts/jsonschema/1-0-1","data":[{other},{page}]}}"#)
    }

    #[test]
    fn each_source_is_named_that_says_so() {
        let robot = [(IAB, ROBOT), (ASN, r#"{"number":7,"likelyBot":true}"#)];
        let all = r#"{"bot":true,"indicators":["yauaa","iab","asnLookups","clientSideDetection"]}"#;
        check(ALL, true, &robot, &contexts("1-0-3", true), all);
        let none = r#"{"bot":false,"indicators":[]}"#;
        check(ALL, false, &[(IAB, BROWSER), (ASN, r#"{"number":7}"#)], "", none);
        check(ALL, false, &[], &contexts("1-0-0", false), none);
        check(ALL, false, &[], &contexts("2-0-0", true), none);
        check(ALL, false, &robot[..1], "", r#"{"bot":true,"indicators":["iab"]}"#);
    }

    #[test]
    fn a_source_that_is_not_to_be_believed_is_not() {
        let nobody = BotDetection { yauaa: false, iab: false, asn: false, client: false };
        let robot = [(IAB, ROBOT), (ASN, r#"{"number":7,"likelyBot":true}"#)];
        let none = r#"{"bot":false,"indicators":[]}"#;
        check(nobody, true, &robot, &contexts("1-0-0", true), none);
        let page = BotDetection { client: true, ..nobody };
        let one = r#"{"bot":true,"indicators":["clientSideDetection"]}"#;
        check(page, true, &robot, &contexts("1-0-0", true), one);
    }
}
