//! Referer parser: what kind of page, which source and which search led to this page.
//!
//! Configured by `referer_parser`; the asset is the published list of referers in JSON, which is
//! never part of this project because its licence is another. Sets `refr_medium`, `refr_source`
//! and `refr_term` from the referrer that the built-in step took apart. Never fails an event.
//!
//! Where a list or the configuration names `utm_sources`, a page whose `utm_source` is one of them
//! also gets the entity `utm_referrer`.

mod list;

use bumpalo::collections::String as BumpString;
use event::convert::tsv_safe;
use event::raw_event::Parameter;
use event::url::Url;
use event::{Bump, Entity, Event, Field, json};

use crate::assets::{Asset, Folder};
use crate::cache::written;
use crate::reader::Node;
use list::{Entry, List};

const UTM_URI: &str = "iglu:com.snowplowanalytics.snowplow/utm_referrer/jsonschema/1-0-0";

/// The list to read and what the configuration adds to it.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) database: Asset,
    internal: Vec<String>,
    own: List,
}

/// The lists, ready to look up.
#[derive(Debug)]
pub(crate) struct Referers {
    internal: Vec<String>,
    list: List,
}

impl Config {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Config> {
        parameters.only(&["internalDomains", "database", "uri", "referrers"])?;
        let internal = parameters.field("internalDomains").texts();
        let database = parameters.asset();
        let own = match parameters.field("referrers").present() {
            Some(referrers) => List::configured(&referrers),
            None => Some(List::default()),
        };
        let internal = internal?.iter().map(|domain| domain.trim().to_owned()).collect();
        Some(Config { database: database?, internal, own: own? })
    }
}

impl Referers {
    /// Reads the list.
    pub(crate) fn load(config: Config, folder: &mut Folder<'_>) -> Option<Referers> {
        let Config { database, internal, own } = config;
        let mut list = folder.open(&database, "a list of referers in JSON", |path| {
            let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
            List::read(&bytes)
        })?;
        list.overwrite(own);
        Some(Referers { internal, list })
    }

    /// Sets the three fields.
    pub(crate) fn run<'a>(&self, event: &mut Event<'a>, referrer: &Url<'a>, arena: &'a Bump) {
        let Some(host) = referrer.host else { return };
        if !matches!(referrer.scheme, Some("http" | "https" | "android-app")) {
            return;
        }
        let internal = event.get(Field::PageUrlhost) == Some(host)
            || self.internal.iter().any(|domain| domain == host);
        if internal {
            return event.set(Field::RefrMedium, Some("internal"));
        }
        let Some(entry) = self.find(host, referrer.path.unwrap_or_default(), arena) else {
            return event.set(Field::RefrMedium, Some("unknown"));
        };
        let field = |text: &str| tsv_safe(arena.alloc_str(text), arena);
        event.set(Field::RefrMedium, field(&entry.medium));
        if entry.medium != "unknown" && entry.medium != "internal" {
            event.set(Field::RefrSource, field(&entry.source));
            let term = entry.term(referrer.query, arena);
            event.set(Field::RefrTerm, term.and_then(|term| tsv_safe(term, arena)));
        }
    }

    /// The entity for a page that names its source in `utm_source`.
    pub(crate) fn utm_source<'a>(
        &self,
        query: &[Parameter<'a>],
        scratch: &mut Vec<u8>,
        arena: &'a Bump,
    ) -> Option<Entity<'a>> {
        if self.list.utm_sources.is_empty() {
            return None;
        }
        let (_, value) = crate::last(query, "utm_source")?;
        let (source, medium) = self.list.utm_sources.get((*value)?)?;
        let data = written(scratch, arena, |out| {
            out.extend_from_slice(b"{\"source\":");
            json::write_string(source, out);
            out.extend_from_slice(b",\"medium\":");
            json::write_string(medium, out);
            out.push(b'}');
        });
        Some(Entity::new(UTM_URI, data))
    }

    /// The entry of the most telling part of the address: the whole path before its first segment
    /// before no path, and for each of them the whole host before its parents.
    fn find(&self, host: &str, path: &str, arena: &Bump) -> Option<&Entry> {
        let host = host.trim_end_matches('.');
        let whole = decoded(path, b'+', arena);
        let segment = whole.split('/').find(|segment| !segment.is_empty());
        let mut key = BumpString::with_capacity_in(host.len() + whole.len() + 1, arena);
        for depth in 0..3 {
            let path = match (depth, segment) {
                (2, _) => ("", ""),
                (_, None) => continue,
                (0, Some(_)) => ("", whole),
                (_, Some(segment)) => ("/", segment),
            };
            let mut rest = Some(host);
            while let Some(host) = rest {
                key.clear();
                key.push_str(host);
                key.push_str(path.0);
                key.push_str(path.1);
                if let Some(entry) = self.list.get(&key) {
                    return Some(entry);
                }
                rest = host.split_once('.').map(|(_, parent)| parent);
            }
        }
        None
    }
}

impl Entry {
    /// The search term: the value of the first parameter of the referrer that this entry names.
    fn term<'a>(&self, text: Option<&'a str>, arena: &'a Bump) -> Option<&'a str> {
        if self.parameters.is_empty() {
            return None;
        }
        for pair in text?.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').map_or((pair, None), |(n, v)| (n, Some(v)));
            let name = decoded(name, b' ', arena);
            if self.parameters.iter().any(|parameter| parameter == name) {
                return value.map(|value| decoded(value, b' ', arena));
            }
        }
        None
    }
}

/// The text with its escapes decoded and `plus` in place of plus signs.
fn decoded<'a>(text: &'a str, plus: u8, arena: &'a Bump) -> &'a str {
    if !text.contains(['%', '+']) {
        return text;
    }
    let mut bytes = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(if byte == b'+' { plus } else { byte });
                rest = after;
            }
        }
    }
    arena.alloc_str(&std::string::String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{
        "search": {
            "Google": {"domains": ["google.com"], "parameters": ["q", "query"]},
            "Google Images": {"domains": ["google.com/imgres"], "parameters": ["q"]}
        },
        "social": {"Hacker News": {"domains": ["news.example"], "parameters": ["q"]}},
        "unknown": {"Google": {"domains": ["support.google.com"]}},
        "chatbot": {"Claude": {"domains": ["claude.ai"], "utm_sources": ["claude.ai"]}}
    }"#;

    fn run(url: &str) -> [Option<String>; 3] {
        let arena = Bump::new();
        let list = List::read(LIST.as_bytes()).expect("a list");
        let referers = Referers { internal: vec!["www.internal.example".to_owned()], list };
        let referrer = event::url::parse(url, &arena).expect("a URL");
        let mut event = Event::new();
        event.set(Field::PageUrlhost, Some("www.acme.example"));
        referers.run(&mut event, &referrer, &arena);
        [Field::RefrMedium, Field::RefrSource, Field::RefrTerm]
            .map(|field| event.get(field).map(str::to_owned))
    }

    #[test]
    fn the_most_telling_entry_wins() {
        for (url, expected) in [
            (
                "https://www.google.com/search?q=a+b&hl=en",
                [Some("search"), Some("Google"), Some("a b")],
            ),
            (
                "https://a.b.google.com/search?query=%C3%A9",
                [Some("search"), Some("Google"), Some("é")],
            ),
            ("http://google.com./?q=&query=x", [Some("search"), Some("Google"), None]),
            (
                "http://www.google.com/imgres/more?q=c",
                [Some("search"), Some("Google Images"), Some("c")],
            ),
            ("http://support.google.com/answer?q=x", [Some("unknown"), None, None]),
            ("http://news.example/item?q=x", [Some("social"), Some("Hacker News"), None]),
            ("android-app://news.example", [Some("social"), Some("Hacker News"), None]),
            ("https://www.acme.example/", [Some("internal"), None, None]),
            ("https://www.internal.example/", [Some("internal"), None, None]),
            ("https://WWW.GOOGLE.COM/", [Some("unknown"), None, None]),
            ("ftp://www.google.com/", [None, None, None]),
            ("www.google.com/search?q=x", [None, None, None]),
        ] {
            assert_eq!(run(url).each_ref().map(Option::as_deref), expected, "{url}");
        }
    }

    #[test]
    fn a_page_may_name_its_source() {
        let arena = Bump::new();
        let list = List::read(LIST.as_bytes()).expect("a list");
        let referers = Referers { internal: Vec::new(), list };
        let run = |value| {
            let query = [("utm_source", Some(value))];
            referers.utm_source(&query, &mut Vec::new(), &arena).map(|entity| entity.data)
        };
        assert_eq!(run("claude.ai"), Some(r#"{"source":"Claude","medium":"chatbot"}"#));
        assert_eq!(run("Claude.ai"), None);
    }
}
