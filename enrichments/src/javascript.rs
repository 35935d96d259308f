//! JavaScript: what operators wrote themselves, run on each event.
//!
//! Configured by `javascript_script_config`, once or several times; scripts run in the order of
//! their files. A script defines `process(event, params, headers)`: it reads and sets columns
//! through `event` and gives back entities. It sees no file, no network, no clock but the batch's
//! and no chance but the event's, so that a replay repeats its results. Its steps, its memory and
//! its stack are bounded; what cannot be bounded from outside is a single call of a built-in
//! function on something huge. A script that fails, fails its event: nothing that it had changed
//! by then stays.
//!
//! The engine is QuickJS, and the names of Java's that scripts use are a short table (`java.js`);
//! a script that needs another is refused when it is read.

mod engine;
mod names;
mod natives;
mod slots;

use bumpalo::collections::Vec as BumpVec;
use event::json::{Elements, Members};
use event::reason::{EnrichmentId, Words};
use event::schema_key::{ParseError, Parts};
use event::{Bump, Entity, Event, Failure, Field, Reason, json};

use crate::reader::Node;
use crate::step::Step;
pub(crate) use engine::Engine;
use engine::Error;

/// As bad rows name this enrichment.
const IDENTIFIER: &str = "Javascript enrichment";

/// What a script may use. The defaults are far above what scripts of the field need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The engine's steps for one event: an empty loop takes some 10 ms for the default.
    pub steps: u64,
    /// Bytes of a thread's engine, all scripts together.
    pub memory: usize,
    /// Bytes of stack.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 5_000_000, memory: 32 << 20, stack: 256 << 10 }
    }
}

/// How often scripts were cut off, by the limit that they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutOffs {
    /// By their steps.
    pub steps: u32,
    /// By their memory.
    pub memory: u32,
    /// By their stack.
    pub stack: u32,
}

impl std::ops::AddAssign for CutOffs {
    fn add_assign(&mut self, more: CutOffs) {
        self.steps += more.steps;
        self.memory += more.memory;
        self.stack += more.stack;
    }
}

/// A script as it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// The Iglu URI of its configuration.
    pub(crate) uri: String,
    /// Its text.
    pub(crate) source: String,
    /// Its parameters, as JSON.
    pub(crate) config: Option<String>,
}

/// What a script knows besides the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'m> {
    /// The batch's time, in milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The headers of the request.
    pub(crate) headers: &'m [&'m str],
    /// The entities derived so far, in the order in which they are written.
    pub(crate) derived: &'m [Entity<'m>],
}

/// What a script made of an event.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    /// Its entities, in its order.
    pub(crate) entities: BumpVec<'a, Entity<'a>>,
    /// It wants the event to vanish.
    pub(crate) dropped: bool,
    /// It wants those entities forgotten that were derived before it.
    pub(crate) erased: bool,
}

/// How scripts are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What each may use.
    pub limits: Limits,
    /// What becomes of one that cannot be evaluated.
    pub broken: Broken,
}

impl Options {
    /// For input that stays where it is: a script that cannot be evaluated fails its events.
    pub fn offline() -> Options {
        Options { broken: Broken::Fails, ..Options::default() }
    }
}

/// What becomes of a script that cannot be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    /// Its configuration is refused.
    #[default]
    Refused,
    /// Every event fails, as with a peer.
    Fails,
}

/// What is wrong with a script's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be evaluated.
    Evaluation(String),
    /// It uses something of Java's that is not here.
    Java {
        /// The line of the script.
        line: usize,
        /// The name.
        path: String,
    },
}

impl Fault {
    /// What the configuration should hold.
    pub(crate) fn expected(&self) -> &'static str {
        match self {
            Fault::Evaluation(_) => "a script that can be evaluated",
            Fault::Java { .. } => "a script that uses of Java only what is available here",
        }
    }

    /// What it holds.
    pub(crate) fn found(&self) -> String {
        match self {
            Fault::Evaluation(words) => words.clone(),
            Fault::Java { line, path } => format!("{path} in line {line} of the script"),
        }
    }
}

impl Script {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>, uri: &str) -> Option<Script> {
        parameters.only(&["script", "config"])?;
        let node = parameters.field("script");
        let text = node.text()?;
        let source = event::base64::decode(&text, &Bump::new()).to_owned();
        if source.trim().is_empty() {
            node.wrong("a script in Base64");
            return None;
        }
        let config = match parameters.field("config").present() {
            Some(node) => Some(node.object()?.to_string()),
            None => None,
        };
        Some(Script { uri: uri.to_owned(), source, config })
    }

    /// Everything that can be known to be wrong before an event comes.
    pub(crate) fn faults(&self, limits: Limits) -> Vec<Fault> {
        let engine = Engine::new(limits);
        let names = names::java(&self.source).into_iter();
        let missing = names.filter(|name| !engine.has_java(&name.path));
        let mut faults: Vec<Fault> =
            missing.map(|name| Fault::Java { line: name.line, path: name.path }).collect();
        if let Err(Error::Script(words) | Error::Run(words)) = engine.check(self) {
            faults.push(Fault::Evaluation(words));
        }
        faults
    }

    fn failure(&self, error: Words) -> Box<Failure> {
        let enrichment = EnrichmentId { schema_key: self.uri.clone(), identifier: IDENTIFIER };
        Box::new(Failure { enrichment: Some(enrichment), reason: Reason::Simple { error } })
    }
}

/// Scripts that run one after the other, each with globals of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripts<'s> {
    pub(crate) all: &'s [Script],
    pub(crate) limits: Limits,
}

impl Scripts<'_> {
    /// Runs one of them on an event. The engine is the thread's, made when it is first needed.
    pub(crate) fn run<'a>(
        &self,
        at: usize,
        event: &mut Event<'a>,
        moment: Moment<'_>,
        engine: &mut Option<Engine>,
        arena: &'a Bump,
    ) -> Step<Made<'a>> {
        let script = &self.all[at];
        let engine = engine.get_or_insert_with(|| Engine::new(self.limits));
        enter(script, event, moment, engine);
        let result = engine.run(self.all, at, moment.headers).map_err(|error| match error {
            Error::Script(words) => quoting("Error compiling JavaScript function: ", &words),
            Error::Run(words) => quoting("Error during execution of JavaScript function: ", &words),
        });
        let mut entities = BumpVec::new_in(arena);
        if let Some(text) = result.map_err(|error| script.failure(error))? {
            read(&text, &mut entities, arena).map_err(|error| script.failure(error))?;
        }
        let slots = engine.slots().borrow();
        slots.leave(event, arena);
        Ok(Made { entities, dropped: slots.dropped, erased: slots.erased })
    }
}

fn enter(script: &Script, event: &Event<'_>, moment: Moment<'_>, engine: &Engine) {
    let mut slots = engine.slots().borrow_mut();
    let seed = event.get(Field::EventId).unwrap_or_default();
    slots.enter(event, moment.now_ms, seed);
    // Written for those alone who may look at it; both styles end alike.
    if !moment.derived.is_empty() && script.source.contains("erived_contexts") {
        let arena = Bump::new();
        let envelope = event::entity::envelope(moment.derived, &arena);
        slots.show(Field::DerivedContexts, Some(envelope));
    }
}

/// Reads what a script gave back: a list of self-describing JSON.
fn read<'a>(
    text: &str,
    entities: &mut BumpVec<'a, Entity<'a>>,
    arena: &'a Bump,
) -> Result<(), Words> {
    let compact = json::compact(arena.alloc_str(text), arena).map_err(|error| {
        let words = "Could not parse output JSON of Javascript function. Error: ";
        quoting(words, &error.to_string())
    })?;
    let Some(elements) = Elements::of(compact) else {
        let but = "could be parsed as JSON but is not read as an array";
        let shown = format!("[{}] {but}", pretty(compact));
        return Err(Words::quoting("Output of JavaScript function ", shown));
    };
    let mut refused = Vec::new();
    for element in elements {
        match entity(element, arena) {
            Ok(entity) => entities.push(entity),
            Err(code) => refused.push(format!("error code:[{code}],json:[{element}]")),
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        // The peer's own spelling, which its users search for.
        false => Err(quoting(
            "Resulting contexts are not self-desribing. Error(s): ",
            &refused.join(";"),
        )),
    }
}

/// Words of ours and, in brackets, what a script said: it may say anything of the event.
fn quoting(own: &'static str, quoted: &str) -> Words {
    Words::quoting(own, format!("[{quoted}]"))
}

fn entity<'a>(element: &'a str, arena: &'a Bump) -> Result<Entity<'a>, ParseError> {
    let uri = json::member(element, "schema").and_then(|uri| json::unescape(uri, arena));
    let (Some(uri), Some(data)) = (uri, json::member(element, "data")) else {
        return Err(ParseError::InvalidDataPayload);
    };
    Parts::parse(uri)?;
    Ok(Entity::new(uri, data))
}

/// JSON over several lines, as the peer quotes it.
fn pretty(compact: &str) -> String {
    let mut text = String::new();
    write_pretty(compact, 1, &mut text);
    text
}

/// Deeper than anybody reads; what is below stands on one line.
const PRETTY_DEPTH: usize = 40;

fn write_pretty(compact: &str, depth: usize, out: &mut String) {
    let parts: Vec<(&str, &str)> = match (Members::of(compact), Elements::of(compact)) {
        (Some(members), _) => members.collect(),
        (None, Some(elements)) => elements.map(|element| ("", element)).collect(),
        (None, None) => return out.push_str(compact),
    };
    if depth > PRETTY_DEPTH {
        return out.push_str(compact);
    }
    let (open, close) = compact.split_at(1);
    let line = |depth: usize| format!("\n{:1$}", "", 2 * depth);
    out.push_str(open);
    if parts.is_empty() {
        out.push_str(&line(depth));
    }
    for (at, (name, value)) in parts.into_iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str(&line(depth));
        if !name.is_empty() {
            out.push_str(name);
            out.push_str(" : ");
        }
        write_pretty(value, depth + 1, out);
    }
    out.push_str(&line(depth - 1));
    out.push_str(&close[close.len() - 1..]);
}

#[cfg(test)]
mod tests;
