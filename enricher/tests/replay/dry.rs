//! What would change, said without changing it.

use serde_json::json;

use crate::place::Place;

#[test]
fn a_dry_run_counts_what_it_would_do_and_writes_nothing() {
    let place = Place::new();
    let records = place.records(120, "0.2");
    place.archive(&records, 60);
    place.check(&["enrich", "--input", "records.bin", "--output", "first", "--now", "5"], 0);
    let [enriched, bad] = ["enriched.tsv", "bad.jsonl"]
        .map(|file| place.text(&format!("first/{file}")).lines().count());
    let output = place.run(&["replay", "raw", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let count = |label: &str, column: usize| -> usize {
        let rows = said.lines().filter(|line| line.starts_with(label));
        let counts = rows.map(|row| {
            let mut words = row.split_whitespace().rev();
            words.nth(1 - column).expect("a count").parse::<usize>().expect("a number")
        });
        counts.sum()
    };
    assert_eq!((count("archived", 0), count("archived", 1)), (enriched + bad, 0), "{said}");
    assert_eq!((count("enriched ", 0), count("enriched ", 1)), (0, enriched), "{said}");
    assert_eq!((count("bad: ", 0), count("bad: ", 1)), (0, bad), "{said}");
    assert!(bad > 10 && !place.at("_replay").exists());
    let said = place.check(&["replay", "raw"], 64);
    assert!(said.contains("--output <DIR>") || said.contains("--dry-run"), "{said}");
}

#[test]
fn two_configurations_are_compared_event_by_event() {
    let place = Place::new();
    let records = place.records(60, "0.2");
    place.archive(&records, 60);
    let least = "[source]\nstream = \"raw\"\n[leases]\ntable = \"leases\"\n[enriched.kinesis]\nstream = \
                 \"e\"\n[bad.s3]\nbucket = \"bucket\"\n[aws]\nregion = \"eu-central-1\"\n";
    place.write("before.toml", least);
    place.write("after.toml", format!("{least}[enrichments]\nfolder = \"enrichments\"\n"));
    let campaigns = json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/campaign_attribution/jsonschema/1-0-1",
        "data": {
            "name": "campaign_attribution", "vendor": "com.snowplowanalytics.snowplow",
            "enabled": true,
            "parameters": {"mapping": "static", "fields": {
                "mktMedium": ["utm_medium"], "mktSource": ["utm_source"], "mktTerm": [],
                "mktContent": [], "mktCampaign": ["utm_campaign"]}},
        },
    });
    place.write("enrichments/campaigns.json", campaigns.to_string());
    let args = ["replay", "raw", "--dry-run", "--config", "after.toml", "--against", "before.toml"];
    let output = place.run(&[&args[..], &["--examples", "3"]].concat());
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let noted = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{noted}");
    // Nothing becomes bad or good by campaigns; some events have other columns.
    for row in said.lines().skip(1).take_while(|row| !row.starts_with("events that")) {
        let mut words = row.split_whitespace().rev();
        assert_eq!(words.next(), words.next(), "{said}");
    }
    let changed = said.split("events that become something else: ").nth(1).expect("it is said");
    let changed: usize = changed.lines().next().expect("a line").parse().expect("a number");
    let with_campaign = place.with_campaign(&["enrich", "--input", "records.bin", "--output", "x"]);
    assert_eq!(changed, with_campaign, "{said}");
    assert!(changed > 3 && said.matches("\nevent ").count() == 3, "{said}");
    assert!(said.contains("  mkt_campaign: (nothing) → "), "{said}");
    assert!(!said.contains("etl_tags"), "{said}");
}

impl Place {
    /// How many events have a campaign.
    fn with_campaign(&self, enrich: &[&str]) -> usize {
        self.check(&[enrich, &["--enrichments", "enrichments"]].concat(), 0);
        let text = self.text("x/enriched.tsv");
        let campaign = event::Field::MktMedium as usize;
        text.lines().filter(|line| !line.split('\t').nth(campaign).unwrap_or("").is_empty()).count()
    }
}
