//! What the manifest of an archive's object says of it, as far as a replay wants to know.

use serde::Deserialize;

use crate::commands::enrich::input::places::Place;
use crate::config;

#[derive(Deserialize)]
struct Manifest {
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    arrived: Option<[String; 2]>,
}

/// When the records of an object came to their stream, the first and the last; `None` where nobody
/// wrote that down.
pub(super) fn arrived(object: &Place) -> Option<(i64, i64)> {
    range(&object.beside(manifest_of)?)
}

fn range(manifest: &[u8]) -> Option<(i64, i64)> {
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let mut range: Option<(i64, i64)> = None;
    for shard in manifest.shards {
        let [first, last] = shard.arrived?;
        let (first, last) = (config::instant(&first)?, config::instant(&last)?);
        range = range.map_or(Some((first, last)), |(a, b)| Some((a.min(first), b.max(last))));
    }
    range
}

/// Where the manifest of an object of an archive is: beside its first folder, that of a day.
fn manifest_of(name: &str) -> Option<String> {
    let day = name.rfind("/date=").map(|at| at + 1).or(name.starts_with("date=").then_some(0))?;
    let (archive, rest) = name.split_at(day);
    rest.contains(".records").then(|| format!("{archive}_manifests/{rest}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_found_by_the_name_of_their_object() {
        for (name, expected) in [
            (
                "kept/raw/date=2026-01-31/hour=09/x-raw-7.records.zst",
                Some("kept/raw/_manifests/date=2026-01-31/hour=09/x-raw-7.records.zst.json"),
            ),
            ("date=2026-01-31/x.records", Some("_manifests/date=2026-01-31/x.records.json")),
            ("/raw/x.records.zst", None),
            ("bad/date=2026-01-31/hour=09/x-bad-7.jsonl.zst", None),
        ] {
            assert_eq!(manifest_of(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_manifest_tells_the_times_of_all_shards_or_none() {
        let shard = |first: &str, last: &str| format!(r#"{{"arrived":["{first}","{last}"]}}"#);
        let of =
            |shards: &[String]| range(format!(r#"{{"shards":[{}]}}"#, shards.join(",")).as_bytes());
        let one = shard("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:03.000Z");
        let two = shard("1970-01-01T00:00:02.000Z", "1970-01-01T00:00:04.500Z");
        assert_eq!(of(std::slice::from_ref(&one)), Some((1_000, 3_000)));
        assert_eq!(of(&[one.clone(), two]), Some((1_000, 4_500)));
        assert_eq!(of(&[one, "{}".to_owned()]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(range(b"no JSON"), None);
    }
}
