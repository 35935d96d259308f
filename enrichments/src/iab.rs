//! Spiders and robots: whether address and user agent are on the lists of the IAB.
//!
//! Configured by `iab_spiders_and_robots_enrichment`; the assets are the three published lists.
//! Derives one entity for events with a user agent and a readable address. Fails an event whose
//! user agent meets a record with an impact that has no meaning, as a running peer does.
//!
//! Patterns of a list are found all at once in one pass over the user agent.

mod lists;

use event::reason::{EnrichmentId, Words};
use event::{Bump, Entity, Event, Failure, Field, Reason};

use crate::assets::{Asset, Folder};
use crate::reader::Node;
use crate::step::{Step, Times};
use crate::{address, built_in};
use lists::{Addresses, Exclude, Impact, Include, Patterns};

const URI: &str = "iglu:com.iab.snowplow/spiders_and_robots/jsonschema/1-0-0";

/// The assets and the lists that stand in the configuration itself.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    addresses: Asset,
    exclude: Asset,
    include: Asset,
    own_exclude: Vec<String>,
    own_include: Vec<String>,
    uri: String,
}

/// The lists, ready to match.
#[derive(Debug)]
pub(crate) struct Iab {
    addresses: Addresses,
    exclude: Patterns<Exclude>,
    include: Patterns<Include>,
    own_exclude: Vec<String>,
    own_include: Vec<String>,
    uri: String,
}

impl Config {
    /// Reads the parameters of a configuration with this schema.
    pub(crate) fn read(parameters: &Node<'_>, uri: &str) -> Option<Config> {
        const FILES: [&str; 3] = ["ipFile", "excludeUseragentFile", "includeUseragentFile"];
        const OWN: [&str; 2] = ["excludeUseragents", "includeUseragents"];
        parameters.only(&[FILES[0], FILES[1], FILES[2], OWN[0], OWN[1]])?;
        let [addresses, exclude, include] = FILES.map(|name| parameters.field(name).asset());
        let [own_exclude, own_include] = OWN.map(|name| match parameters.field(name).present() {
            Some(node) => node.texts().map(|t| t.iter().map(|t| t.to_lowercase()).collect()),
            None => Some(Vec::new()),
        });
        Some(Config {
            addresses: addresses?,
            exclude: exclude?,
            include: include?,
            own_exclude: own_exclude?,
            own_include: own_include?,
            uri: uri.to_owned(),
        })
    }

    /// The lists named.
    pub(crate) fn assets(&self) -> impl Iterator<Item = &Asset> {
        [&self.addresses, &self.exclude, &self.include].into_iter()
    }
}

/// What the lists say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Browser,
    ListedAddress,
    NotIncluded,
    OwnExclude,
    Excluded { active: bool, impact: Impact },
}

impl Iab {
    /// Reads the lists.
    pub(crate) fn load(config: Config, folder: &mut Folder<'_>) -> Option<Iab> {
        const WHAT: &str = "a readable list of the IAB";
        let addresses = folder.read(&config.addresses, WHAT);
        let exclude = folder.read(&config.exclude, WHAT);
        let include = folder.read(&config.include, WHAT);
        let mut build = |asset: &Asset, error: String| folder.errors.push(asset.error(WHAT, error));
        let exclude = Patterns::read(&exclude?).map_err(|e| build(&config.exclude, e)).ok();
        let include = Patterns::read(&include?).map_err(|e| build(&config.include, e)).ok();
        Some(Iab {
            addresses: Addresses::read(&addresses?),
            exclude: exclude?,
            include: include?,
            own_exclude: config.own_exclude,
            own_include: config.own_include,
            uri: config.uri,
        })
    }

    /// Derives the entity.
    pub(crate) fn run<'a>(
        &self,
        event: &Event<'_>,
        times: &Times,
        arena: &'a Bump,
    ) -> Step<Option<Entity<'a>>> {
        let useragent = event.get(Field::Useragent).filter(|ua| !ua.trim().is_empty());
        let address = event.get(Field::UserIpaddress).and_then(address::parse_block);
        let (Some(useragent), Some(address)) = (useragent, address) else { return Ok(None) };
        let lower = if useragent.is_ascii() {
            useragent
        } else {
            arena.alloc_str(&useragent.to_lowercase())
        };
        let moment = built_in::derived_ms(times);
        let finding = if contains_any(lower, &self.own_include) {
            Finding::Browser
        } else if contains_any(lower, &self.own_exclude) {
            Finding::OwnExclude
        } else if self.addresses.contain(address) {
            Finding::ListedAddress
        } else {
            self.by_lists(lower, moment)?
        };
        Ok(Some(Entity::new(URI, finding.data(arena))))
    }

    fn by_lists(&self, lower: &str, moment: i64) -> Step<Finding> {
        if self.include.first(lower, |record, _| record.is_live(moment)).is_none() {
            return Ok(Finding::NotIncluded);
        }
        match self.exclude.first(lower, |record, text| record.applies(text)) {
            None => Ok(Finding::Browser),
            Some(record) => {
                let active = record.until.is_none_or(|until| moment < until);
                let impact = record.impact.as_ref().map_err(|flag| self.failure(flag))?;
                Ok(Finding::Excluded { active, impact: *impact })
            }
        }
    }

    fn failure(&self, flag: &str) -> Box<Failure> {
        Box::new(Failure {
            enrichment: Some(EnrichmentId {
                schema_key: self.uri.clone(),
                identifier: "iab-spiders-and-robots",
            }),
            // The flag is the operator's, from the list.
            reason: Reason::simple(Words::own(format!(
                "Invalid value of impression flag: '{flag}'"
            ))),
        })
    }
}

/// Whether a text in lower case, or at least ASCII, contains one of some in lower case.
fn contains_any(text: &str, wanted: &[String]) -> bool {
    !wanted.is_empty() && {
        let text = text.to_ascii_lowercase();
        wanted.iter().any(|wanted| text.contains(wanted))
    }
}

impl Finding {
    /// The entity's data.
    fn data(self, arena: &Bump) -> &str {
        let (robot, category, reason, impact) = match self {
            Finding::Browser => (false, "BROWSER", "PASSED_ALL", "NONE"),
            Finding::ListedAddress => (true, "SPIDER_OR_ROBOT", "FAILED_IP_EXCLUDE", "UNKNOWN"),
            Finding::NotIncluded => (true, "SPIDER_OR_ROBOT", "FAILED_UA_INCLUDE", "UNKNOWN"),
            Finding::OwnExclude => (true, "SPIDER_OR_ROBOT", "FAILED_UA_EXCLUDE", "UNKNOWN"),
            Finding::Excluded { active, impact } => {
                let category =
                    if active { "ACTIVE_SPIDER_OR_ROBOT" } else { "INACTIVE_SPIDER_OR_ROBOT" };
                (true, category, "FAILED_UA_EXCLUDE", impact.name())
            }
        };
        bumpalo::format!(
            in arena,
            "{{\"spiderOrRobot\":{robot},\"category\":\"{category}\",\"reason\":\"{reason}\",\
             \"primaryImpact\":\"{impact}\"}}",
        )
        .into_bump_str()
    }
}
