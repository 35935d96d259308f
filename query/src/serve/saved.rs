//! Saved queries: a JSON file each in `queries/` beside the tables, so that they are copied, kept
//! in version control and read by others as files are.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// So many queries may be saved in one place.
const MOST: usize = 1000;

/// The longest name, statement and description, in bytes.
const LONGEST: [usize; 3] = [120, 256 << 10, 4000];

/// A query with a name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    /// The last part of its address.
    #[serde(default)]
    slug: String,
    name: String,
    sql: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chart: Option<Chart>,
    /// How often it was saved: whoever saves again says which one was changed.
    #[serde(default)]
    revision: u64,
}

/// How its answer is drawn.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Chart {
    /// `line` or `bar`.
    #[serde(rename = "type")]
    kind: String,
    x: String,
    y: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<String>,
}

/// Why nothing is given or kept.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// There is none.
    Absent,
    /// It cannot be kept as it is.
    Wrong(String),
    /// It is another than the one that was changed.
    Changed,
    /// The folder cannot be read or written.
    Failed(String),
}

/// Where queries are kept. One process writes at a time.
pub(super) struct Shelf {
    folder: Option<PathBuf>,
    writing: Mutex<()>,
}

impl Shelf {
    /// Beside tables that lie in a folder.
    pub(super) fn new(data: Option<PathBuf>) -> Shelf {
        Shelf { folder: data.map(|data| data.join("queries")), writing: Mutex::default() }
    }

    /// Whether queries can be kept.
    pub(super) fn is_there(&self) -> bool {
        self.folder.is_some()
    }

    /// All, by their names.
    pub(super) async fn list(&self) -> Result<Vec<Saved>, Refusal> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let mut entries = match tokio::fs::read_dir(folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(failed)?,
        };
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name();
            let slug = name.to_str().and_then(|name| name.strip_suffix(".json"));
            // What is no query of ours is not in the way of those that are.
            if let Some(slug) = slug.filter(|slug| is_slug(slug))
                && let Ok(saved) = self.get(slug).await
            {
                all.push(saved);
            }
        }
        all.sort_by(|a, b| (&a.name, &a.slug).cmp(&(&b.name, &b.slug)));
        Ok(all)
    }

    /// The one of an address.
    pub(super) async fn get(&self, slug: &str) -> Result<Saved, Refusal> {
        let text = match tokio::fs::read(self.file(slug)?).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::Absent),
            read => read.map_err(failed)?,
        };
        let saved: Saved = serde_json::from_slice(&text)
            .map_err(|error| Refusal::Failed(format!("queries/{slug}.json: {error}")))?;
        Ok(Saved { slug: slug.to_owned(), ..saved })
    }

    /// Keeps one, a new one or the next revision of one.
    pub(super) async fn put(&self, slug: &str, saved: Saved) -> Result<Saved, Refusal> {
        let file = self.file(slug)?;
        saved.check()?;
        let _alone = self.writing.lock().await;
        let revision = match self.get(slug).await {
            Ok(there) => there.revision,
            Err(Refusal::Absent) if self.list().await?.len() >= MOST => {
                return Err(Refusal::Wrong(format!("{MOST} queries are saved already")));
            }
            Err(Refusal::Absent) => 0,
            Err(other) => return Err(other),
        };
        if saved.revision != revision {
            return Err(Refusal::Changed);
        }
        let saved = Saved { slug: slug.to_owned(), revision: revision + 1, ..saved };
        let text = serde_json::to_vec_pretty(&saved).expect("JSON can be written");
        let part = file.with_extension("part");
        tokio::fs::create_dir_all(file.parent().expect("a folder")).await.map_err(failed)?;
        tokio::fs::write(&part, text).await.map_err(failed)?;
        tokio::fs::rename(&part, &file).await.map_err(failed)?;
        Ok(saved)
    }

    /// Forgets one.
    pub(super) async fn delete(&self, slug: &str) -> Result<(), Refusal> {
        let file = self.file(slug)?;
        let _alone = self.writing.lock().await;
        match tokio::fs::remove_file(file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::Absent),
            removed => removed.map_err(failed),
        }
    }

    fn file(&self, slug: &str) -> Result<PathBuf, Refusal> {
        let folder = self.folder.as_ref();
        let folder = folder.ok_or_else(|| Refusal::Wrong("nothing is saved here".to_owned()))?;
        match is_slug(slug) {
            true => Ok(folder.join(format!("{slug}.json"))),
            false => Err(Refusal::Wrong(
                "an address has up to 64 lower-case letters, digits and hyphens".to_owned(),
            )),
        }
    }
}

impl Saved {
    fn check(&self) -> Result<(), Refusal> {
        let description = self.description.as_deref().unwrap_or_default();
        let texts =
            [("name", self.name.as_str()), ("sql", &self.sql), ("description", description)];
        for ((what, text), most) in texts.into_iter().zip(LONGEST) {
            if text.len() > most {
                return Err(Refusal::Wrong(format!("{what}: expected at most {most} bytes")));
            }
        }
        match self.name.trim().is_empty() || self.sql.trim().is_empty() {
            true => Err(Refusal::Wrong("expected a name and a statement".to_owned())),
            false => Ok(()),
        }
    }
}

fn failed(error: io::Error) -> Refusal {
    Refusal::Failed(format!("the folder of saved queries: {error}"))
}

/// Nothing that is a path.
fn is_slug(slug: &str) -> bool {
    let right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&slug.len()) && slug.bytes().all(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(revision: u64) -> Saved {
        let (slug, name, sql) = (String::new(), "By day".to_owned(), "SELECT 1".to_owned());
        Saved { slug, name, sql, description: None, chart: None, revision }
    }

    #[tokio::test]
    async fn a_query_is_kept_and_nobody_overwrites_what_he_has_not_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(Some(folder.path().to_owned()));
        assert_eq!(shelf.list().await, Ok(Vec::new()));
        assert_eq!(shelf.put("by-day", saved(0)).await.map(|saved| saved.revision), Ok(1));
        assert_eq!(shelf.put("by-day", saved(0)).await, Err(Refusal::Changed));
        assert_eq!(shelf.put("by-day", saved(1)).await.map(|saved| saved.revision), Ok(2));
        std::fs::write(folder.path().join("queries/other.json"), "{").expect("it can be written");
        let all = shelf.list().await.expect("it can be read");
        assert_eq!(all.iter().map(|saved| saved.slug.as_str()).collect::<Vec<_>>(), ["by-day"]);
        assert_eq!(shelf.delete("by-day").await, Ok(()));
        assert_eq!(shelf.get("by-day").await, Err(Refusal::Absent));
    }

    #[tokio::test]
    async fn addresses_are_no_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(Some(folder.path().to_owned()));
        for slug in ["", "..", "a/b", "../a", "A", "a.b", "ä", &"a".repeat(65)] {
            assert!(matches!(shelf.put(slug, saved(0)).await, Err(Refusal::Wrong(_))), "{slug}");
        }
        let nameless = Saved { name: " ".to_owned(), ..saved(0) };
        assert!(matches!(shelf.put("a", nameless).await, Err(Refusal::Wrong(_))));
        assert!(!folder.path().join("queries").exists());
    }
}
