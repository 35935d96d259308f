//! User agent parser: browser, system and device by the published rules of uap-core, as an entity.
//!
//! Configured by `ua_parser_config`; the asset is a `regexes.yaml`. None is bundled: without an
//! asset in the configuration the file is still looked for by its usual name. What no rule knows
//! is `Other`. Never fails an event; rules that cannot be read stop the start.

use event::{Bump, Entity, Event, Field, json};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use ua_parser::{Extractor, Regexes, device, os, user_agent};

use crate::assets::{Asset, Folder};
use crate::caches::{Cache, Packed};
use crate::config::Node;

const URI: &str = "iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0";

/// The rules to read.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) rules: Asset,
}

/// The rules, ready to match.
pub(crate) struct UaParser {
    extractor: Extractor<'static>,
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
    /// Reads and compiles the rules.
    pub(crate) fn load(config: &Config, folder: &mut Folder<'_>) -> Option<UaParser> {
        let extractor = folder.open(&config.rules, "rules in the format of uap-core", |path| {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            Extractor::try_from(rules(&text)?).map_err(|error| error.to_string())
        })?;
        Some(UaParser { extractor })
    }

    /// Derives the entity.
    pub(crate) fn run<'a>(
        &self,
        event: &Event<'_>,
        cache: &mut Cache,
        arena: &'a Bump,
    ) -> Option<Entity<'a>> {
        let useragent = event.get(Field::Useragent)?;
        let [data] = cache.get(useragent, arena, || {
            let data = String::from_utf8(self.data(useragent)).expect("made of texts");
            Packed::new(&[Some(&data)])
        });
        Some(Entity::new(URI, data.expect("an entity is always made")))
    }

    fn data(&self, useragent: &str) -> Vec<u8> {
        let browser = self.extractor.ua.extract(useragent).unwrap_or_default();
        let system = self.extractor.os.extract(useragent).unwrap_or_default();
        let device = self.extractor.dev.extract(useragent).unwrap_or_default();
        let family = known(&browser.family);
        let browser = [browser.major, browser.minor, browser.patch];
        let os_family = known(&system.os);
        let system = [&system.major, &system.minor, &system.patch, &system.patch_minor];
        let system = system.map(Option::as_deref);
        let version = version(family, &browser);
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
            ("deviceFamily", Some(known(&device.device))),
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

fn known(family: &str) -> &str {
    if family.is_empty() { "Other" } else { family }
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

/// Reads the rules from YAML.
fn rules(text: &str) -> Result<Regexes<'static>, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let document = documents.first().ok_or("an empty file")?;
    Ok(Regexes {
        user_agent_parsers: list(document, "user_agent_parsers", |rule| {
            Ok(user_agent::Parser {
                regex: required(rule)?.into(),
                family_replacement: optional(rule, "family_replacement")?.map(Into::into),
                v1_replacement: optional(rule, "v1_replacement")?.map(Into::into),
                v2_replacement: optional(rule, "v2_replacement")?.map(Into::into),
                v3_replacement: optional(rule, "v3_replacement")?.map(Into::into),
                v4_replacement: optional(rule, "v4_replacement")?.map(Into::into),
            })
        })?,
        os_parsers: list(document, "os_parsers", |rule| {
            Ok(os::Parser {
                regex: required(rule)?.into(),
                os_replacement: optional(rule, "os_replacement")?.map(Into::into),
                os_v1_replacement: optional(rule, "os_v1_replacement")?.map(Into::into),
                os_v2_replacement: optional(rule, "os_v2_replacement")?.map(Into::into),
                os_v3_replacement: optional(rule, "os_v3_replacement")?.map(Into::into),
                os_v4_replacement: optional(rule, "os_v4_replacement")?.map(Into::into),
            })
        })?,
        device_parsers: list(document, "device_parsers", |rule| {
            let ignore_case = optional(rule, "regex_flag")?.is_some_and(|flag| flag == "i");
            Ok(device::Parser {
                regex: required(rule)?.into(),
                regex_flag: ignore_case.then_some(device::Flag::IgnoreCase),
                device_replacement: optional(rule, "device_replacement")?.map(Into::into),
                brand_replacement: None,
                model_replacement: None,
            })
        })?,
    })
}

fn list<T>(
    document: &Yaml<'_>,
    name: &str,
    read: impl Fn(&Yaml<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let rules = document.as_mapping_get(name).and_then(Yaml::as_vec);
    rules.ok_or_else(|| format!("no list {name}"))?.iter().map(read).collect()
}

fn required(rule: &Yaml<'_>) -> Result<String, String> {
    optional(rule, "regex")?.ok_or_else(|| "a rule without regex".to_owned())
}

fn optional(rule: &Yaml<'_>, name: &str) -> Result<Option<String>, String> {
    match rule.as_mapping_get(name) {
        None | Some(Yaml::Value(Scalar::Null)) => Ok(None),
        Some(Yaml::Value(Scalar::String(text))) => Ok(Some(text.to_string())),
        Some(Yaml::Value(Scalar::Integer(number))) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("a rule whose {name} is no text")),
    }
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
        let extractor = Extractor::try_from(rules(RULES).expect("rules")).expect("rules");
        String::from_utf8(UaParser { extractor }.data(useragent)).expect("text")
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
            assert!(rules(text).is_err(), "{text}");
        }
    }
}
