//! YAUAA: what a user agent is, by the published rules of the library of that name, as an entity.
//!
//! Configured by `yauaa_enrichment_config`; the asset is the library's jar as it is published, of
//! which the rules are read, or its folder of rules. None is bundled. Reads the user agent and the
//! headers in which browsers speak of themselves; derives one entity for every event. Never fails
//! an event; an asset that cannot be read stops the start.
//!
//! The road of a user agent: [`repair`], [`lexer`], [`parse`] make a [`tree`] of it; [`run`] tells
//! the tree to the matchers of the [`engine`], which set [`fields`]; [`hints`] better them and
//! [`calculate`] completes them. A user agent that asks for more work than any real one is called
//! an attack, as the library calls those it cannot read.

mod asset;
mod calculate;
mod compiled;
mod domains;
mod engine;
mod explain;
mod expression;
mod fields;
mod grammar;
mod hints;
mod index;
mod lexer;
mod normalise;
mod output;
mod parse;
mod predict;
mod repair;
mod rules;
mod run;
mod samples;
mod stacks;
mod steps;
mod tables;
mod tree;
mod words;
mod yaml;

use std::path::PathBuf;

use event::{Bump, Entity, Event, Field};

use crate::assets::{Asset, Folder};
use crate::cache::{Cache, Packed};
use crate::reader::Node;
use engine::Engine;
pub use explain::{Explained, MatcherFired};
use fields::Fields;
use hints::Hints;
use output::Output;
pub(crate) use run::Room;
use run::Witness;

const URI: &str = "iglu:nl.basjes/yauaa_context/jsonschema/1-0-4";

/// The entity of an event without a user agent.
const NO_USER_AGENT: &str = "{\"deviceClass\":\"Unknown\"}";

/// The asset where a configuration names none. Its place is left to the operator: it is published
/// for build tools, and no fleet should depend on such a registry when it starts.
const DEFAULT: (&str, &str) = ("yauaa-7.31.0.jar", "");

/// The rules to read.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) rules: Asset,
    cached: bool,
}

/// The rules, ready to run.
pub(crate) struct Yauaa {
    engine: Engine,
    output: Output,
    cached: bool,
}

/// What a thread keeps for this step.
pub(crate) struct Kept {
    outputs: Cache,
    key: String,
    /// Made when it is first needed: threads without this step do without it.
    room: Option<Box<Room>>,
}

/// What the step derived.
pub(crate) struct Derived<'a> {
    pub(crate) entity: Entity<'a>,
    /// Whether the user agent is that of a robot.
    pub(crate) robot: bool,
}

impl Default for Config {
    fn default() -> Config {
        let (database, uri) = (DEFAULT.0.to_owned(), DEFAULT.1.to_owned());
        let (file, pointer) = (PathBuf::from("--assets"), String::new());
        Config { rules: Asset { database, uri, file, pointer }, cached: true }
    }
}

impl Config {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Config> {
        let given = parameters.clone().present();
        if let Some(given) = &given {
            given.only(&["cacheSize", "database", "uri"])?;
        }
        let field = |name: &str| given.as_ref().and_then(|given| given.field(name).present());
        let size = match field("cacheSize") {
            None => None,
            Some(size) => Some(size.number(0, i32::MAX as u64)?),
        };
        let named = field("uri").is_some() || field("database").is_some();
        let rules = if named { parameters.asset()? } else { parameters.default_asset(DEFAULT) };
        Some(Config { rules, cached: size != Some(0) })
    }
}

impl Kept {
    /// At most so many bytes of outputs.
    pub(crate) fn new(bytes: usize) -> Kept {
        Kept { outputs: Cache::new(bytes), key: String::new(), room: None }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Yauaa {
    /// Reads the rules.
    pub(crate) fn load(config: &Config, folder: &mut Folder<'_>) -> Option<Yauaa> {
        let what = "the jar of YAUAA 7.24 or later, or its folder of rules";
        let engine = folder.open(&config.rules, what, asset::open)?;
        samples::prepare();
        let output = Output::new(&engine.names);
        Some(Yauaa { engine, output, cached: config.cached })
    }

    /// Derives the entity.
    pub(crate) fn run<'a>(
        &self,
        event: &Event<'_>,
        headers: &[&str],
        kept: &mut Kept,
        arena: &'a Bump,
    ) -> Derived<'a> {
        let useragent = event.get(Field::Useragent).filter(|useragent| !useragent.is_empty());
        let Some(useragent) = useragent else {
            return Derived { entity: Entity::new(URI, NO_USER_AGENT), robot: false };
        };
        let Kept { outputs, key, room } = kept;
        let hints = || headers.iter().filter_map(|header| hint(header));
        let mut make = || self.packed(useragent, hints(), room.get_or_insert_default());
        // What is too long is soon said, and would push others out of the cache.
        if !self.cached || run::is_too_long(useragent) {
            let [data, robot] = make().unpack(arena);
            let data = data.expect("an entity is always made");
            return Derived { entity: Entity::new(URI, data), robot: robot.is_some() };
        }
        let key = if hints().next().is_none() {
            useragent
        } else {
            key.clear();
            key.push_str(useragent);
            // No header holds a line break, so no two inputs share a key.
            hints().for_each(|(name, value)| key.extend(["\n", name, ":", value]));
            key.as_str()
        };
        let ([data, robot], number) = outputs.get(key, arena, make);
        let data = data.expect("an entity is always made");
        let entity = Entity { origin: Some(number), ..Entity::new(URI, data) };
        Derived { entity, robot: robot.is_some() }
    }

    fn packed<'h>(
        &self,
        useragent: &str,
        hints: impl Iterator<Item = (&'h str, &'h str)>,
        room: &mut Room,
    ) -> Packed {
        analyse(&self.engine, Some(useragent), hints, room, None, |fields| {
            let data = self.output.write(fields);
            let robot = output::is_robot(fields);
            Packed::new(&[Some(&data), robot.then_some("")])
        })
    }

    /// How the fields of a user agent come about.
    pub(crate) fn explain(&self, useragent: &str, headers: &[(&str, &str)]) -> Explained {
        explain::explain(&self.engine, useragent, headers)
    }
}

/// A header in which a browser speaks of itself: its name and value.
fn hint(header: &str) -> Option<(&str, &str)> {
    // Few headers are hints, and to look at how each begins costs least.
    let (name, value) = Some(header).filter(|header| hints::is_hint(header))?.split_once(": ")?;
    Some((name, value.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])))
}

/// Finds the fields of a user agent.
fn analyse<'h, T>(
    engine: &Engine,
    useragent: Option<&str>,
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    room: &mut Room,
    witness: Option<&mut dyn Witness>,
    use_fields: impl FnOnce(&Fields<'_>) -> T,
) -> T {
    let (parts, arena) = room.open();
    let mut fields = Fields::new(&engine.names, arena);
    let useragent = useragent.map(|useragent| fields.keep(useragent));
    run::run(engine, useragent, parts, &mut fields, witness);
    let mut headers = headers.peekable();
    if headers.peek().is_some() {
        Hints::read(headers, engine.rules.version).apply(engine, &mut fields);
    }
    calculate::calculate(engine, &mut fields);
    use_fields(&fields)
}

#[cfg(test)]
mod tests;
