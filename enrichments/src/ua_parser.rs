//! User agent parser: browser, system and device by the published rules of uap-core, as an entity.
//!
//! Configured by `ua_parser_config`; the asset is a `regexes.yaml`. None is bundled: without an
//! asset in the configuration the file is still looked for by its usual name. What no rule knows
//! is `Other`. Never fails an event; rules that cannot be read stop the start.

mod pattern;
mod pieces;
mod rules;

use event::{Bump, Entity, Event, Field, json};

use crate::assets::{Asset, Folder};
use crate::cache::{Cache, Packed};
use crate::reader::Node;
use rules::Rules;

const URI: &str = "iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0";

/// The family where no rule knows one.
const OTHER: &str = "Other";

/// The rules to read.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) rules: Asset,
}

/// The rules, ready to match.
pub(crate) struct UaParser {
    rules: Rules,
}

impl Config {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Config> {
        let given = parameters.clone().present();
        if let Some(given) = &given {
            given.only(&["database", "uri"])?;
        }
        let named = given.is_some_and(|g| g.field("uri").is_present());
        let rules = if named { parameters.asset()? } else { parameters.default_asset(DEFAULT) };
        Some(Config { rules })
    }
}

/// The name and the place of the rules where a configuration names none.
const DEFAULT: (&str, &str) =
    ("regexes.yaml", "https://raw.githubusercontent.com/ua-parser/uap-core/master");

impl UaParser {
    /// Reads the rules.
    pub(crate) fn load(config: &Config, folder: &mut Folder<'_>) -> Option<UaParser> {
        let rules = folder.open(&config.rules, "rules in the format of uap-core", |path| {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            Rules::read(&text)
        })?;
        Some(UaParser { rules })
    }

    /// Derives the entity.
    pub(crate) fn run<'a>(
        &self,
        event: &Event<'_>,
        cache: &mut Cache,
        arena: &'a Bump,
    ) -> Option<Entity<'a>> {
        let useragent = event.get(Field::Useragent)?;
        let ([data], number) = cache.get(useragent, arena, || {
            let data = String::from_utf8(self.data(useragent)).expect("made of texts");
            Packed::new(&[Some(&data)])
        });
        let data = data.expect("an entity is always made");
        Some(Entity { origin: Some(number), ..Entity::new(URI, data) })
    }

    fn data(&self, useragent: &str) -> Vec<u8> {
        let Rules { browsers, systems, devices } = &self.rules;
        let browser = browsers.first(useragent);
        let system = systems.first(useragent);
        let device = devices.first(useragent);
        let [family, browser @ ..] = browser.each_ref().map(Option::as_deref);
        let [os_family, system @ ..] = system.each_ref().map(Option::as_deref);
        let (family, os_family) = (family.unwrap_or(OTHER), os_family.unwrap_or(OTHER));
        let version = version(family, &browser[..3]);
        let os_version = self::version(os_family, &system);
        let mut out = Vec::with_capacity(384);
        for (index, (name, value)) in [
            ("useragentFamily", Some(family)),
            ("useragentMajor", browser[0]),
            ("useragentMinor", browser[1]),
            ("useragentPatch", browser[2]),
            ("useragentVersion", Some(&*version)),
            ("osFamily", Some(os_family)),
            ("osMajor", system[0]),
            ("osMinor", system[1]),
            ("osPatch", system[2]),
            ("osPatchMinor", system[3]),
            ("osVersion", Some(&*os_version)),
            ("deviceFamily", Some(device[0].as_deref().unwrap_or(OTHER))),
        ]
        .into_iter()
        .enumerate()
        {
            out.push(if index == 0 { b'{' } else { b',' });
            json::write_string(name, &mut out);
            out.push(b':');
            json::write_optional(value, &mut out);
        }
        out.push(b'}');
        out
    }
}

/// Family and version in one text, without the parts that are missing.
fn version(family: &str, parts: &[Option<&str>]) -> String {
    let mut text = family.to_owned();
    for (index, part) in parts.iter().enumerate() {
        if let Some(part) = part {
            text.push(if index == 0 { ' ' } else { '.' });
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r"
user_agent_parsers:
  - regex: '(Acme)/(\d+)\.(\d+)'
    family_replacement: '$1 Browser'
os_parsers:
  - regex: 'AcmeOS (\d+)'
    os_replacement: 'Acme OS'
    os_v1_replacement: '$1'
device_parsers:
  - regex: 'ACMEPHONE-([A-Z]+)'
    regex_flag: 'i'
    device_replacement: 'Phone $1'
";

    fn run(useragent: &str) -> String {
        let rules = Rules::read(RULES).expect("rules");
        String::from_utf8(UaParser { rules }.data(useragent)).expect("text")
    }

    #[test]
    fn every_property_is_written_and_the_unknown_is_other() {
        assert_eq!(
            run("Acme/1.2 (AcmeOS 7; acmephone-x)"),
            "{\"useragentFamily\":\"Acme Browser\",\"useragentMajor\":\"1\",\
             \"useragentMinor\":\"2\",\"useragentPatch\":null,\
             \"useragentVersion\":\"Acme Browser 1.2\",\"osFamily\":\"Acme OS\",\
             \"osMajor\":\"7\",\"osMinor\":null,\"osPatch\":null,\"osPatchMinor\":null,\
             \"osVersion\":\"Acme OS 7\",\"deviceFamily\":\"Phone x\"}"
        );
        assert_eq!(run("?").matches("\"Other\"").count(), 5);
    }

    #[test]
    fn rules_that_are_none_are_refused() {
        for text in ["", "- a", "user_agent_parsers: []", "a: [", "user_agent_parsers: [{a: b}]"] {
            assert!(Rules::read(text).is_err(), "{text}");
        }
    }
}
