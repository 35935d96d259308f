//! A list of referers, by the domains (perhaps with a path) that each is known by.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::Deserialize;

use crate::reader::Node;

/// What is known of a referer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) medium: String,
    pub(super) source: String,
    /// Parameters that hold a search term.
    pub(super) parameters: Vec<String>,
}

/// Referers by domain.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    entries: Vec<Entry>,
    by_domain: HashMap<String, usize, FixedState>,
    /// Source and medium by a value of `utm_source`.
    pub(super) utm_sources: HashMap<String, (String, String), FixedState>,
}

#[derive(Deserialize)]
struct Source {
    domains: Vec<String>,
    #[serde(default)]
    parameters: Vec<String>,
    #[serde(default)]
    utm_sources: Vec<String>,
}

impl List {
    /// Reads the published form, `{medium: {source: {"domains": […], "parameters": […]}}}`.
    pub(super) fn read(bytes: &[u8]) -> Result<List, String> {
        let media: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut list = List::default();
        for (medium, sources) in media {
            let sources: serde_json::Map<String, serde_json::Value> =
                serde_json::from_value(sources).map_err(|error| format!("{medium}: {error}"))?;
            for (source, value) in sources {
                let fields: Source = serde_json::from_value(value)
                    .map_err(|error| format!("{medium}, {source}: {error}"))?;
                list.add(&medium, &source, fields);
            }
        }
        Ok(list)
    }

    /// Reads the same form from a configuration.
    pub(super) fn configured(node: &Node<'_>) -> Option<List> {
        let mut list = List::default();
        for (medium, sources) in node.members()? {
            for (source, fields) in sources.members()? {
                fields.only(&["domains", "parameters", "utm_sources"])?;
                let texts = |name| match fields.field(name).present() {
                    Some(node) => node.texts(),
                    None => Some(Vec::new()),
                };
                let domains = fields.field("domains").texts()?;
                let (parameters, utm_sources) = (texts("parameters")?, texts("utm_sources")?);
                list.add(medium, source, Source { domains, parameters, utm_sources });
            }
        }
        Some(list)
    }

    fn add(&mut self, medium: &str, source: &str, fields: Source) {
        let search = medium == "search" || !PUBLISHED.contains(&medium);
        let index = self.entries.len();
        self.entries.push(Entry {
            medium: medium.to_owned(),
            source: source.to_owned(),
            parameters: if search { fields.parameters } else { Vec::new() },
        });
        self.by_domain.extend(fields.domains.into_iter().map(|domain| (domain, index)));
        for value in fields.utm_sources {
            let _ = self.utm_sources.insert(value, (source.to_owned(), medium.to_owned()));
        }
    }

    /// Adds another list, whose entries beat those here.
    pub(super) fn overwrite(&mut self, other: List) {
        let offset = self.entries.len();
        self.entries.extend(other.entries);
        self.by_domain.extend(other.by_domain.into_iter().map(|(d, index)| (d, index + offset)));
        self.utm_sources.extend(other.utm_sources);
    }

    /// The entry of a domain, or of a domain with a path, exactly as listed.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.by_domain.get(key).map(|index| &self.entries[*index])
    }
}

/// The media of the published list. Only `search` has terms among them; media that a configuration
/// invents have terms where they name parameters.
const PUBLISHED: [&str; 6] = ["unknown", "email", "social", "paid", "chatbot", "internal"];
