//! What is said of columns and of what is in them, by the dictionary that lies beside the tables:
//! what `snowmelt dictionary --format json` writes.

use std::collections::BTreeMap;

use object_store::ObjectStoreExt;
use serde::Deserialize;

use crate::place::Place;
use crate::said::say;

/// Its name.
const FILE: &str = "dictionary.json";

/// A larger one is not read: that of all published schemas has a quarter of this.
const MOST_BYTES: u64 = 32 << 20;

/// Descriptions by paths, such as `contexts_com_acme_cart_1[].items[].price`.
pub(crate) type Dictionary = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Entry {
    path: String,
    description: Option<String>,
    #[serde(default)]
    fields: Vec<Entry>,
}

/// That of a place. There may be none; one that cannot be read is told of, and is none.
pub(crate) async fn read(place: &Place) -> Dictionary {
    let file = place.root.clone().join(FILE);
    let found = match place.store.get(&file).await {
        Err(object_store::Error::NotFound { .. }) => return Dictionary::new(),
        found => found.map_err(|error| error.to_string()),
    };
    let text = match found {
        Ok(found) if found.meta.size > MOST_BYTES => {
            Err(format!("expected at most {MOST_BYTES} bytes, found {}", found.meta.size))
        }
        Ok(found) => found.bytes().await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let entries = text.and_then(|text| parsed(&text));
    entries.unwrap_or_else(|error| {
        say(&format!("snowmelt query: {place}/{FILE}: {error}"));
        Dictionary::new()
    })
}

fn parsed(text: &[u8]) -> Result<Dictionary, String> {
    let entries: Vec<Entry> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let all = entries.into_iter().flat_map(|Entry { path, description, fields }| {
        let own = Entry { path, description, fields: Vec::new() };
        std::iter::once(own).chain(fields)
    });
    Ok(all.filter_map(|entry| Some((entry.path, entry.description?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_what_is_in_them_are_described() {
        let text = r#"[{"path": "app_id", "description": "The application", "type": "string"},
            {"path": "c[]", "description": null, "fields": [
                {"path": "c[].price", "description": "What it costs"}]}]"#;
        let found = parsed(text.as_bytes()).expect("it is right");
        let expected = [("app_id", "The application"), ("c[].price", "What it costs")];
        assert_eq!(found, expected.map(|(path, text)| (path.into(), text.into())).into());
        let error = parsed(b"[{}]").expect_err("it has no path");
        assert!(error.contains("path") && error.contains("line 1"), "{error}");
    }
}
