//! What a plan makes of lines: which destinations take one and where it goes there, and the names
//! that objects would have.

use event::{Event, Field};
use pipeline::{Output, Route};
use serde_json::{Map, Value, json};

use super::destinations::{Destination, To};
use super::plan::Plan;

/// Texts of sample events: a page view of a web site, and two that show what is escaped and what
/// stands for nothing.
const SAMPLES: [[&str; 4]; 3] = [
    ["shop", "web", "page_view", "com.snowplowanalytics.snowplow"],
    ["a/b c", "app", "ad_click", "com.acme"],
    ["", "srv", "", ""],
];

/// Where each line of an output goes and why not elsewhere, by destination.
pub fn ways(plan: &Plan, output: &Output, now_ms: i64) -> Value {
    let of = |route: Route, line: &[u8]| {
        let mine = plan.destinations.iter().filter(|destination| destination.route == route);
        let told = mine.map(|to| (to.label().to_owned(), json!(to.told(line, now_ms))));
        let told: Map<String, Value> = told.collect();
        json!({route.name(): told})
    };
    let lines = |route: Route| output.lines(route).iter().map(move |line| of(route, line));
    Route::ALL.into_iter().flat_map(lines).collect()
}

impl Destination {
    /// What it is called among those of its route.
    fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(match self.to {
            To::Stream { .. } => "kinesis",
            To::Objects(_) => "s3",
            To::Iceberg(_) => "iceberg",
        })
    }

    /// What becomes of a line.
    fn told(&self, line: &[u8], now_ms: i64) -> String {
        if !self.want.takes(self.route, line) {
            let condition = self.condition.as_deref().unwrap_or_default();
            return format!("not taken, by: where {condition}");
        }
        let folder = match &self.to {
            To::Stream { .. } | To::Iceberg(_) => String::new(),
            To::Objects(_) => format!("/{}", self.want.folder_of(self.route, line, now_ms)),
        };
        format!("{}{folder}", self.to)
    }

    /// Names of objects that sample events would be in, where columns tell the folder.
    pub fn examples(&self, now_ms: i64) -> Vec<String> {
        let To::Objects(objects) = &self.to else { return Vec::new() };
        if !self.want.folder.as_ref().is_some_and(|folder| folder.has_columns()) {
            return Vec::new();
        }
        let lines = SAMPLES.iter().map(|sample| line(self.route, *sample));
        let folders = lines.map(|line| self.want.folder_of(self.route, &line, now_ms));
        folders.map(|folder| objects.settings.name(&folder, now_ms, 1, 0)).collect()
    }
}

/// A line of a sample event, or a bad row about it.
fn line(route: Route, [app_id, platform, event_name, event_vendor]: [&str; 4]) -> Vec<u8> {
    let mut line = Vec::new();
    if route.is_of_events() {
        let mut event = Event::new();
        for (field, text) in [
            (Field::AppId, app_id),
            (Field::Platform, platform),
            (Field::EventName, event_name),
            (Field::EventVendor, event_vendor),
            (Field::CollectorTstamp, "2026-01-31 09:59:59.123"),
        ] {
            event.set(field, Some(text).filter(|text| !text.is_empty()));
        }
        event::tsv::write(&event, &mut line);
    } else {
        let enriched = json!({"app_id": app_id, "platform": platform});
        let row = json!({
            "schema": "iglu:com.acme/schema_violations/jsonschema/2-0-0",
            "data": {"payload": {"enriched": enriched}},
            "reason": {"killed_workers": 3},
            "route": "enriched",
        });
        line = row.to_string().into_bytes();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn plan() -> Plan {
        let text = r#"
[source]
stream = "in"
[leases]
table = "table"
[enriched]
to = [
  { name = "all", kinesis = { stream = "out" } },
  { name = "shop", where = "app_id == 'shop'", s3 = { bucket = "events", key = "{app_id}/{event_name}" } },
]
[bad]
to = [{ name = "rows", s3 = { bucket = "events", prefix = "bad", key = "{kind}/{platform}" } }]
"#;
        let config = config::parse(text, "worker.toml").expect("it is right");
        Plan::of(&config, "1").expect("it can be had")
    }

    #[test]
    fn it_is_told_where_lines_go_and_why_not_elsewhere() {
        let mut output = Output::default();
        for sample in &SAMPLES[..2] {
            let line = line(Route::Enriched, *sample);
            output.enriched.push_with(|out| out.extend_from_slice(&line));
        }
        let not = "not taken, by: where app_id == 'shop'";
        let expected = json!([
            {"enriched": {
                "all": "stream out", "shop": "s3://events/enriched-shop/shop/page_view/"
            }},
            {"enriched": {"all": "stream out", "shop": not}},
        ]);
        assert_eq!(ways(&plan(), &output, 0), expected);
    }

    #[test]
    fn names_of_objects_are_shown_by_example() {
        let plan = plan();
        let examples: Vec<_> =
            plan.destinations.iter().flat_map(|destination| destination.examples(0)).collect();
        let (shop, bad) = ("Z-enriched-shop-worker-1-1.tsv.zst", "Z-bad-rows-worker-1-1.jsonl.zst");
        let expected = [
            format!("enriched-shop/shop/page_view/19700101T000000.000{shop}"),
            format!("enriched-shop/a%2Fb%20c/ad_click/19700101T000000.000{shop}"),
            format!("enriched-shop/none/none/19700101T000000.000{shop}"),
            format!("bad/schema_violations/web/19700101T000000.000{bad}"),
            format!("bad/schema_violations/app/19700101T000000.000{bad}"),
            format!("bad/schema_violations/srv/19700101T000000.000{bad}"),
        ];
        assert_eq!(examples, expected);
    }
}
