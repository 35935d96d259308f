//! The autonomous system as an entity, marked when its number is listed as one of bots.
//!
//! The entity comes from `ip_lookups`; `asn_lookups` lists numbers, inline and in a CSV file, and
//! the platforms on which the list says nothing. A number that is not listed leaves the entity
//! unmarked. Never fails.

use std::collections::HashSet;

use event::{Bump, Entity, Event, Field};

use crate::assets::{Asset, Folder};
use crate::ip_lookups::Asn;
use crate::reader::Node;

const URI: &str = "iglu:com.snowplowanalytics.snowplow/asn/jsonschema/1-0-0";
const MARKED_URI: &str = "iglu:com.snowplowanalytics.snowplow/asn/jsonschema/1-0-1";

/// Which numbers are listed.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The list to read.
    pub(crate) file: Option<Asset>,
    numbers: HashSet<String>,
    bypassed: Vec<String>,
}

/// The numbers of bots.
#[derive(Debug)]
pub(crate) struct AsnLookups {
    numbers: HashSet<String>,
    bypassed: Vec<String>,
}

impl Config {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Config> {
        parameters.only(&["botAsnsFile", "botAsns", "bypassPlatforms"])?;
        let mut config = Config { file: None, numbers: HashSet::new(), bypassed: Vec::new() };
        if let Some(file) = parameters.field("botAsnsFile").present() {
            config.file = Some(file.asset()?);
        }
        if let Some(listed) = parameters.field("botAsns").present() {
            for entry in listed.elements()? {
                entry.only(&["asn", "name"])?;
                let number = entry.field("asn").number(0, i32::MAX as u64)?;
                config.numbers.insert(number.to_string());
            }
        }
        if let Some(platforms) = parameters.field("bypassPlatforms").present() {
            config.bypassed = platforms.texts()?;
        }
        Some(config)
    }
}

impl AsnLookups {
    /// Reads the list of numbers.
    pub(crate) fn load(config: Config, folder: &mut Folder<'_>) -> AsnLookups {
        let Config { file, mut numbers, bypassed } = config;
        let text = file.and_then(|file| {
            folder.open(&file, "a CSV file with numbers in its first column", |path| {
                std::fs::read_to_string(path)
            })
        });
        // The first line is a heading; names may be quoted but numbers come before them.
        for line in text.iter().flat_map(|text| text.lines().skip(1)) {
            let number = line.split(',').next().unwrap_or_default().trim().trim_matches('"');
            if let Ok(number) = number.parse::<u32>() {
                numbers.insert(number.to_string());
            }
        }
        AsnLookups { numbers, bypassed }
    }

    fn lists(&self, asn: Asn<'_>, platform: Option<&str>) -> bool {
        let bypassed = self.bypassed.iter().any(|bypassed| Some(bypassed.as_str()) == platform);
        !bypassed && self.numbers.contains(asn.number)
    }
}

/// The entity of an autonomous system.
pub(crate) fn entity<'a>(
    asn: Asn<'a>,
    lookups: Option<&AsnLookups>,
    event: &Event<'_>,
    arena: &'a Bump,
) -> Entity<'a> {
    let platform = event.get(Field::Platform);
    if !lookups.is_some_and(|lookups| lookups.lists(asn, platform)) {
        return Entity::new(URI, asn.data);
    }
    let mut data = bumpalo::collections::String::with_capacity_in(asn.data.len() + 18, arena);
    data.push_str(asn.data.trim_end_matches('}'));
    data.push_str(",\"likelyBot\":true}");
    Entity::new(MARKED_URI, data.into_bump_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_number_marks_the_entity_unless_the_platform_is_bypassed() {
        let lookups =
            AsnLookups { numbers: ["7".to_owned()].into(), bypassed: vec!["srv".to_owned()] };
        let arena = Bump::new();
        for (number, platform, marked) in
            [("7", "web", true), ("7", "srv", false), ("8", "web", false)]
        {
            let mut event = Event::new();
            event.set(Field::Platform, Some(platform));
            let data = arena.alloc_str(&format!("{{\"number\":{number},\"organization\":null}}"));
            let entity = entity(Asn { number, data }, Some(&lookups), &event, &arena);
            assert_eq!(entity.uri, if marked { MARKED_URI } else { URI });
            assert_eq!(entity.data.ends_with(",\"likelyBot\":true}"), marked);
        }
    }
}
