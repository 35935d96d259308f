//! What schemas are used for, as far as it is known of those that trackers and enrichments bring.

/// What a schema is used for. The schema itself does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// Self-describing events.
    pub event: bool,
    /// Entities.
    pub entity: bool,
}

/// Vendors whose schemas are of no data in events: configurations, bad rows, envelopes.
const APART: [&str; 4] = [
    "com.snowplowanalytics.iglu",
    "com.snowplowanalytics.self-desc",
    "com.snowplowanalytics.snowplow.badrows",
    "com.snowplowanalytics.snowplow.enrichments",
];

/// Schemas of that kind among others of [`SNOWPLOW`], besides those that end in `_config`.
const NO_DATA: [&str; 9] = [
    "anon_ip",
    "atomic",
    "campaign_attribution",
    "contexts",
    "enrichments",
    "ip_lookups",
    "payload_data",
    "referer_parser",
    "unstruct_event",
];

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";

/// Vendors of entities only.
const OF_ENTITIES: [&str; 10] = [
    "com.android.installreferrer.api",
    "com.google.analytics",
    "com.google.ga4",
    "com.google.privacysandbox",
    "com.iab.snowplow",
    "com.maxmind",
    "com.youtube",
    "org.ietf",
    "org.w3",
    "org.whatwg",
];

/// Entities of [`SNOWPLOW`], besides those that end in `_context`.
const ENTITIES: [&str; 17] = [
    "application",
    "asn",
    "bot_detection",
    "client_session",
    "client_side_bot_detection",
    "component_parents",
    "cross_navigation",
    "duplicate",
    "element",
    "element_content",
    "element_statistics",
    "event_specification",
    "failure",
    "gdpr",
    "identity",
    "parent_event",
    "web_page",
];

impl Uses {
    /// What is known of a schema; what is not known may be used for both.
    pub fn of(vendor: &str, name: &str) -> Uses {
        let is_config = name.ends_with("_config");
        if is_config || APART.contains(&vendor) || vendor == SNOWPLOW && NO_DATA.contains(&name) {
            return Uses { event: false, entity: false };
        }
        let is_entity = name.ends_with("_context")
            || OF_ENTITIES.contains(&vendor)
            || vendor == SNOWPLOW && ENTITIES.contains(&name);
        Uses { event: !is_entity, entity: true }
    }
}

/// Whether a schema is the one of what failed, which is attached to failed events alone.
pub fn is_of_failures(vendor: &str, name: &str) -> bool {
    vendor == SNOWPLOW && name == "failure"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_may_be_both() {
        for (vendor, name, event, entity) in [
            ("com.acme", "checkout", true, true),
            ("com.acme", "user_context", false, true),
            ("com.acme", "lookup_config", false, false),
            (SNOWPLOW, "web_page", false, true),
            (SNOWPLOW, "link_click", true, true),
            (SNOWPLOW, "payload_data", false, false),
            ("com.snowplowanalytics.snowplow.badrows", "size_violation", false, false),
            ("org.w3", "PerformanceTiming", false, true),
        ] {
            assert_eq!(Uses::of(vendor, name), Uses { event, entity }, "{vendor}/{name}");
        }
    }
}
