//! Everything that adds to an event after its parameters were read, in the order in which it runs.
//!
//! [`Enrichments::run`] is that order, in one body: the built-in steps, which every event passes,
//! and between them the enrichments that the operator configured. Each step sets fields, adds
//! entities, or fails; a failure stops nothing, all are collected. After the derived entities were
//! validated the caller has [`Enrichments::anonymise`] mask what must not leave and checks the
//! [`limits`] of the fields.
//!
//! Running is pure: no I/O, no clock. Configurations and assets are read once, by
//! [`Enrichments::load`].

mod address;
pub mod anon_ip;
mod asn_lookups;
mod assets;
mod bot_detection;
mod built_in;
mod cache;
mod caches;
mod campaign;
mod client_hints;
mod config;
mod cookies;
mod criterion;
mod cross_navigation;
mod database;
mod fingerprint;
mod headers;
mod iab;
mod inputs;
mod ip_lookups;
pub mod javascript;
pub mod limits;
pub mod lookup;
mod mistake;
mod path;
mod pii;
mod protection;
mod reader;
mod referer;
mod step;
mod tree;
mod ua_parser;
mod woothee;
mod yauaa;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::collections::Vec as BumpVec;
use event::raw_event::Parameter;
use event::{Bump, Entity, Event, Failure, Field, RawEvent};

pub use assets::Asset;
pub use caches::Caches;
pub use config::{Configuration, Options, check_allowed, runs};
use lookup::currency::Known;
use lookup::{Answers, Asked, Lookup};
pub use mistake::ConfigError;
pub use pii::Change;
pub use protection::{Protection, opaque};
use step::Step;
pub use step::Times;
pub use yauaa::{Explained, MatcherFired};

/// The configured enrichments with their assets loaded. Immutable; swapped whole. The default has
/// none configured: only the built-in steps run.
#[derive(Default)]
pub struct Enrichments {
    /// Tells these enrichments from any others of the process, for the threads' caches.
    generation: u64,
    iab: Option<iab::Iab>,
    woothee: woothee::Woothee,
    ua_parser: Option<ua_parser::UaParser>,
    referer: Option<referer::Referers>,
    campaign: Option<campaign::Campaign>,
    cross_navigation: bool,
    fingerprint: Option<fingerprint::Fingerprint>,
    cookies: Option<cookies::Cookies>,
    headers: Option<headers::Headers>,
    client_hints: bool,
    yauaa: Option<yauaa::Yauaa>,
    ip_lookups: Option<ip_lookups::IpLookups>,
    asn_lookups: Option<asn_lookups::AsnLookups>,
    bot_detection: Option<bot_detection::BotDetection>,
    anon_ip: Option<anon_ip::AnonIp>,
    pii: Option<pii::Pii>,
    scripts: Vec<javascript::Script>,
    script_limits: javascript::Limits,
    lookups: Arc<[Lookup]>,
    warnings: Vec<String>,
}

/// What is known of an event beside its fields.
#[derive(Clone, Copy, Debug)]
pub struct Input<'i, 'a> {
    /// The event as the adapter made it.
    pub raw: &'i RawEvent<'a>,
    /// Its moments.
    pub times: Times,
    /// The entities that came with it, each with the version that superseded its schema.
    pub contexts: &'i [Entity<'a>],
    /// The self-describing event, if it has one, likewise.
    pub unstruct: Option<&'i Entity<'a>>,
    /// Its fingerprint, if it was made beforehand: see [`Enrichments::fingerprints`].
    pub fingerprint: Option<&'a str>,
    /// The batch's time, in milliseconds since the epoch: the only clock that scripts have.
    pub now_ms: i64,
    /// The answers to look-ups that are there; none where nobody is asked.
    pub answers: Option<&'i dyn Answers>,
}

impl<'i, 'a> Input<'i, 'a> {
    /// An event that came with nothing self-describing, in a batch of 1970, with nobody to ask.
    pub fn new(raw: &'i RawEvent<'a>, times: Times) -> Input<'i, 'a> {
        Input {
            raw,
            times,
            contexts: &[],
            unstruct: None,
            fingerprint: None,
            now_ms: 0,
            answers: None,
        }
    }

    fn known(&self) -> Known<'i> {
        let (answers, now_ms) = (self.answers, self.now_ms);
        Known { answers, collector_ms: self.times.collector, now_ms }
    }
}

/// What the enrichments made of an event, besides what they set in it.
#[derive(Debug)]
pub struct Enriched<'a> {
    /// Entities derived, in the order in which they are written: the last step's first.
    pub entities: BumpVec<'a, Entity<'a>>,
    /// What went wrong, in the order in which bad rows list it: the last step's first.
    pub failures: Vec<Failure>,
    /// Whether a script wants the event to vanish.
    pub dropped: bool,
    /// How many entities there were when the first script ran, 0 if none did: a peer writes these
    /// into the event for scripts, and so into the bad row of one that fails.
    pub before_scripts: usize,
    /// What the look-ups asked. Where it waits, all else is worth nothing: the event comes again.
    pub asked: Asked,
}

impl Enrichments {
    /// Runs every step on one event. Never stops early: failures are collected.
    pub fn run<'a>(
        &self,
        event: &mut Event<'a>,
        input: &Input<'_, 'a>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) -> Enriched<'a> {
        let payload = input.raw.payload;
        let mut done = Enriched::new(arena);
        caches.enter(self.generation);

        done.check(built_in::collector_version(event));
        let page = done.value(built_in::page_url(event, payload.referer_uri, arena)).flatten();
        built_in::derived_time(event, &input.times, arena);
        if let Some(iab) = &self.iab {
            done.step(iab.run(event, &input.times, arena));
        }
        done.step(Ok(self.woothee.run(event, &mut caches.woothee, arena)));
        if let Some(ua_parser) = &self.ua_parser {
            done.step(Ok(ua_parser.run(event, &mut caches.ua_parser, arena)));
        }
        lookup::currency::run(&self.lookups, input.known(), event, &mut done, arena);
        let referrer = done.value(built_in::referrer_url(event, arena)).flatten();
        if let (Some(referers), Some(referrer)) = (&self.referer, referrer) {
            referers.run(event, &referrer, arena);
        }
        let query =
            page.and_then(|page| done.value(built_in::page_query(&page, payload.encoding, arena)));
        if let (Some(campaign), Some(query)) = (&self.campaign, query) {
            campaign.run(event, query, arena);
        }
        if let (Some(referers), Some(query)) = (&self.referer, query) {
            done.step(Ok(referers.utm_source(query, &mut caches.scratch, arena)));
        }
        if let Some(parameter) = query.and_then(built_in::cross_domain_parameter) {
            done.check(built_in::cross_domain(event, parameter, arena));
            if self.cross_navigation {
                done.step(Ok(cross_navigation::run(parameter, &mut caches.scratch, arena)));
            }
        }
        if let Some(fingerprint) = &self.fingerprint {
            let made = input.fingerprint;
            let text = made.unwrap_or_else(|| fingerprint.of(input.raw.parameters, arena));
            event.set(Field::EventFingerprint, Some(text));
        }
        if let Some(cookies) = &self.cookies {
            done.steps(cookies.run(payload.headers, &mut caches.scratch, arena));
        }
        if let Some(headers) = &self.headers {
            done.steps(headers.run(payload.headers, &mut caches.scratch, arena));
        }
        if self.client_hints {
            done.step(Ok(client_hints::run(payload.headers, &mut caches.scratch, arena)));
        }
        let mut robot = false;
        if let Some(yauaa) = &self.yauaa {
            let derived = yauaa.run(event, payload.headers, &mut caches.yauaa, arena);
            robot = derived.robot;
            done.step(Ok(Some(derived.entity)));
        }
        done.check(built_in::event_schema(event, input.unstruct, arena));
        self.last_steps(event, robot, caches, &mut done, arena);
        self.own_steps(event, input, caches, &mut done, arena);
        done
    }

    /// What operators wrote themselves: scripts, then look-ups.
    fn own_steps<'a>(
        &self,
        event: &mut Event<'a>,
        input: &Input<'_, 'a>,
        caches: &mut Caches,
        done: &mut Enriched<'a>,
        arena: &'a Bump,
    ) {
        let cut_offs = caches.cut_offs;
        self.run_scripts(event, input, caches, done, arena);
        if !done.dropped {
            let parts = (&*event, input.contexts, input.unstruct);
            lookup::run(&self.lookups, input.answers, parts, done, arena);
        }
        if done.asked.waits {
            // The event comes again, and is counted then.
            caches.cut_offs = cut_offs;
        }
    }

    /// The look-ups, in the order in which they run: whom to ask, and how.
    pub fn lookups(&self) -> &Arc<[Lookup]> {
        &self.lookups
    }

    /// The steps that look at what others derived.
    fn last_steps<'a>(
        &self,
        event: &mut Event<'a>,
        robot: bool,
        caches: &mut Caches,
        done: &mut Enriched<'a>,
        arena: &'a Bump,
    ) {
        if let Some(ip_lookups) = &self.ip_lookups {
            let asn = ip_lookups.run(event, &mut caches.addresses, arena);
            let entity =
                asn.map(|asn| asn_lookups::entity(asn, self.asn_lookups.as_ref(), event, arena));
            done.step(Ok(entity));
        }
        if let Some(bot_detection) = self.bot_detection {
            let signs = bot_detection::Signs { yauaa: robot, entities: &done.entities };
            let entity = bot_detection.run(event, signs, arena);
            done.step(Ok(Some(entity)));
        }
    }

    /// The scripts, in their order. None sees what an earlier one changed and failed after.
    fn run_scripts<'a>(
        &self,
        event: &mut Event<'a>,
        input: &Input<'_, 'a>,
        caches: &mut Caches,
        done: &mut Enriched<'a>,
        arena: &'a Bump,
    ) {
        if !self.scripts.is_empty() {
            done.before_scripts = done.entities.len();
        }
        for at in 0..self.scripts.len() {
            let derived = done.entities.clone();
            let (now_ms, headers) = (input.now_ms, input.raw.payload.headers);
            let moment = javascript::Moment { now_ms, headers, derived: &derived };
            let scripts = javascript::Scripts { all: &self.scripts, limits: self.script_limits };
            let made = scripts.run(at, event, moment, &mut caches.engine, arena);
            if let Some(engine) = &mut caches.engine {
                caches.cut_offs += engine.take_cut_offs();
                if let Some(printed) = &mut caches.printed {
                    printed.append(&mut engine.slots().borrow_mut().printed);
                }
            }
            if let Some(made) = done.value(made) {
                if made.erased {
                    done.entities.clear();
                }
                done.dropped |= made.dropped;
                done.steps(made.entities);
            }
        }
    }

    /// The fingerprints of some events by their parameters, if they are configured. Made of many
    /// events at a time they cost far less.
    pub fn fingerprints<'a>(
        &self,
        events: &[&[Parameter<'_>]],
        arena: &'a Bump,
    ) -> Option<BumpVec<'a, &'a str>> {
        self.fingerprint.as_ref().map(|fingerprint| fingerprint.of_all(events, arena))
    }

    /// Masks what must not leave: runs after the derived entities were validated and written.
    /// `headers` are those of the payload. Returns what was pseudonymised, oldest first, when the
    /// configuration asks for an event about it.
    pub fn anonymise<'a>(
        &self,
        event: &mut Event<'a>,
        headers: &[&str],
        arena: &'a Bump,
    ) -> Vec<Change<'a>> {
        if let Some(anon_ip) = &self.anon_ip {
            let masked = event.get(Field::UserIpaddress).map(|ip| anon_ip.mask(ip, arena));
            event.set(Field::UserIpaddress, masked);
        }
        self.pii.as_ref().map_or_else(Vec::new, |pii| pii.run(event, headers, arena))
    }

    /// The event that tells what was pseudonymised, stamped with an identifier and the text of a
    /// time; none if nothing changed.
    pub fn pii_event<'a>(
        &self,
        parent: &Event<'a>,
        changes: &[Change<'a>],
        id: &'a str,
        now: &'a str,
        arena: &'a Bump,
    ) -> Option<Event<'a>> {
        self.pii.as_ref()?.event(parent, changes, id, now, arena)
    }

    /// Whether there may be events that tell what was pseudonymised.
    pub fn emits_pii(&self) -> bool {
        self.pii.as_ref().is_some_and(pii::Pii::emits)
    }

    /// Reads the configurations of a folder and opens the assets they name from another; a folder
    /// of assets is needed only if one is named. All mistakes are reported at once.
    pub fn load(
        folder: &Path,
        assets: Option<&Path>,
        options: &Options,
    ) -> Result<Enrichments, Vec<ConfigError>> {
        Enrichments::open(Configuration::read(folder, options)?, assets)
    }

    /// Opens the assets that a configuration names.
    pub fn open(
        config: Configuration,
        assets: Option<&Path>,
    ) -> Result<Enrichments, Vec<ConfigError>> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let mut folder = assets::Folder::new(assets);
        let lookups = config.lookups().collect();
        let enrichments = Enrichments {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            iab: config.iab.and_then(|config| iab::Iab::load(config, &mut folder)),
            woothee: woothee::Woothee {
                columns: config.woothee || config.user_agent_utils,
                entity: config.woothee,
            },
            ua_parser: config.ua_parser.and_then(|c| ua_parser::UaParser::load(&c, &mut folder)),
            referer: config.referer.and_then(|c| referer::Referers::load(c, &mut folder)),
            campaign: config.campaign,
            cross_navigation: config.cross_navigation,
            fingerprint: config.fingerprint,
            cookies: config.cookies,
            headers: config.headers,
            client_hints: config.client_hints,
            yauaa: config.yauaa.and_then(|c| yauaa::Yauaa::load(&c, &mut folder)),
            ip_lookups: config.ip_lookups.map(|c| ip_lookups::IpLookups::load(&c, &mut folder)),
            asn_lookups: config.asn_lookups.map(|c| asn_lookups::AsnLookups::load(c, &mut folder)),
            bot_detection: config.bot_detection,
            anon_ip: config.anon_ip,
            pii: config.pii,
            scripts: config.scripts,
            script_limits: config.script_limits,
            lookups,
            warnings: config.warnings,
        };
        if folder.errors.is_empty() { Ok(enrichments) } else { Err(folder.errors) }
    }

    /// How YAUAA comes to the fields of a user agent, if it is configured.
    pub fn explain_useragent(
        &self,
        useragent: &str,
        headers: &[(&str, &str)],
    ) -> Option<Explained> {
        self.yauaa.as_ref().map(|yauaa| yauaa.explain(useragent, headers))
    }

    /// What the operator should know although it stopped nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl<'a> Enriched<'a> {
    fn new(arena: &'a Bump) -> Enriched<'a> {
        Enriched {
            entities: BumpVec::new_in(arena),
            failures: Vec::new(),
            dropped: false,
            before_scripts: 0,
            asked: Asked::default(),
        }
    }

    /// Notes the failure of a step that makes no entity.
    fn check(&mut self, outcome: Step<()>) {
        self.value(outcome);
    }

    /// Notes the failure of a step; its value if it has none.
    fn value<T>(&mut self, outcome: Step<T>) -> Option<T> {
        outcome.map_err(|failure| self.failures.insert(0, *failure)).ok()
    }

    /// Takes what a step derived.
    fn step(&mut self, outcome: Step<Option<Entity<'a>>>) {
        if let Some(Some(entity)) = self.value(outcome) {
            self.entities.insert(0, entity);
        }
    }

    /// Takes several entities of one step, which keep their order.
    fn steps(&mut self, mut derived: BumpVec<'a, Entity<'a>>) {
        derived.append(&mut self.entities);
        self.entities = derived;
    }
}

/// The last value of a parameter in a query string.
fn last<'q, 'a>(query: &'q [Parameter<'a>], name: &str) -> Option<&'q Parameter<'a>> {
    query.iter().rev().find(|(found, _)| *found == name)
}

#[cfg(test)]
mod tests;
