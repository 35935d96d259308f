//! Which names `allow_unsupported` may have: a name that allows nothing is a slip, and whoever made
//! it believes that a configuration is skipped which is not. What runs here and did not in an
//! earlier version may stand there still: a worker must start with the configuration that it had.

use std::path::Path;

use event::schema_key::Parts;
use serde_json::Value;

use super::{Fate, KNOWN, Known};

/// Checks a name of `allow_unsupported` against the enrichments that do not run here, and against
/// the configurations in a folder that are of no enrichment at all. The error says what was found
/// and which names there are.
pub fn check_allowed(name: &str, folder: Option<&Path>) -> Result<(), String> {
    let mut names = Vec::new();
    for known in KNOWN {
        match known.fate {
            Fate::Run { .. } if known.is_called(name) => return Ok(()),
            Fate::Run { .. } => {}
            Fate::Refuse { short, .. } if name == short || name == known.name => return Ok(()),
            Fate::Refuse { short, .. } => names.push(short.to_owned()),
        }
    }
    let unknown = folder.map(unknown_in).unwrap_or_default();
    if unknown.iter().any(|unknown| unknown == name) {
        return Ok(());
    }
    names.extend(unknown);
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Err(format!("unknown enrichment `{name}`, expected one of {}", names.join(", ")))
}

/// Whether configurations of that name run here; the name is the schema's.
pub fn runs(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name && matches!(known.fate, Fate::Run { .. }))
}

/// What to say of the names that need not be allowed.
pub(super) fn needless(names: &[String]) -> impl Iterator<Item = String> {
    let runs = |name: &&String| {
        let run = KNOWN.iter().filter(|known| matches!(known.fate, Fate::Run { .. }));
        run.into_iter().any(|known| known.is_called(name))
    };
    names.iter().filter(runs).map(|name| {
        format!("allow_unsupported: `{name}` runs here, configured or not: the entry can go")
    })
}

impl Known {
    /// Whether it is meant by a name of `allow_unsupported`: its own, or the short one that stands
    /// there for those that do not run.
    fn is_called(&self, name: &str) -> bool {
        let ends = ["_enrichment_config", "_script_config", "_config", "_enrichment"];
        let short = ends.iter().find_map(|end| self.name.strip_suffix(end));
        name == self.name || Some(name) == short
    }
}

/// The names in a folder's configurations that are of no enrichment. What cannot be read is left to
/// whoever reads the folder whole.
fn unknown_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let files = files.filter(|file| file.extension().is_some_and(|it| it == "json"));
    let names = files.filter_map(|file| {
        let json: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let name = Parts::parse(json.get("schema")?.as_str()?).ok()?.name.to_owned();
        KNOWN.iter().all(|known| known.name != name).then_some(name)
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_allowed_where_it_allows_something() {
        let dir = tempfile::tempdir().expect("a folder");
        let ours = r#"{"schema": "iglu:com.acme/acme_config/jsonschema/1-0-0", "data": {}}"#;
        std::fs::write(dir.path().join("acme.json"), ours).expect("a file");
        let check = |name| check_allowed(name, Some(dir.path()));
        for name in ["weather", "weather_enrichment_config", "acme_config"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert!(check("wether").is_err_and(|why| {
            why.starts_with("unknown enrichment `wether`, expected one of `weather`, ")
                && why.ends_with("`acme_config`")
        }));
        assert!(check("").is_err());
        for name in [
            "javascript",
            "javascript_script_config",
            "yauaa",
            "ip_lookups",
            "iab_spiders_and_robots",
            "sql_query",
            "currency_conversion",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
            let said: Vec<String> = needless(&[name.to_owned(), "weather".to_owned()]).collect();
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(
                said[0].starts_with(&format!("allow_unsupported: `{name}` runs here")),
                "{said:?}"
            );
        }
        assert!(check_allowed("acme_config", None).is_err());
    }
}
