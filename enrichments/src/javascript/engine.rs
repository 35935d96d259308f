//! A thread's engine: one runtime with its limits, and for each script a realm in which it was
//! evaluated once.
//!
//! The bound on a script's time is one on its steps, which the runtime counts by itself, so that a
//! slow machine fails no event that a fast one enriches, and a replay repeats what was. It is asked
//! about every 10,000 steps. A realm that was cut off, or grew too large, is made anew.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rquickjs::function::Args;
use rquickjs::{CatchResultExt, CaughtError, Context, Function, Persistent, Runtime, Value};

use super::natives::{self, evaluate};
use super::slots::Slots;
use super::{CutOffs, Limits, Script};

/// How many steps the runtime takes between two looks at the bound.
const STEPS_AT_A_TIME: u64 = 10_000;

/// For evaluating a script or making a realm, in the same unit as a call's steps: large scripts
/// build tables when they are evaluated.
const STEPS_TO_EVALUATE: u64 = 50_000_000;

/// A thread's engine.
pub(crate) struct Engine {
    /// One for each script, in their order; made when first needed.
    realms: Vec<Option<Realm>>,
    slots: Rc<RefCell<Slots>>,
    looks: Rc<Cell<u64>>,
    limits: Limits,
    cut_offs: CutOffs,
    // Last: what the realms hold must go before it.
    runtime: Runtime,
}

/// Where a script was evaluated.
struct Realm {
    run: Persistent<Function<'static>>,
    /// Whether the script looks at the request's headers.
    headers: bool,
    context: Context,
}

/// Why a script gave no result, in words for a bad row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// It cannot be evaluated.
    Script(String),
    /// It threw, or was cut off.
    Run(String),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with no realm yet.
    pub(super) fn new(limits: Limits) -> Engine {
        let runtime = Runtime::new().expect("a runtime takes a few kilobytes");
        runtime.set_memory_limit(limits.memory);
        runtime.set_max_stack_size(limits.stack);
        let looks = Rc::new(Cell::new(u64::MAX));
        let left = Rc::clone(&looks);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            left.set(left.get().saturating_sub(1));
            left.get() == 0
        })));
        let (realms, slots, cut_offs) = (Vec::new(), Rc::default(), CutOffs::default());
        Engine { realms, slots, looks, limits, cut_offs, runtime }
    }

    /// How often scripts were cut off since this was last asked.
    pub(crate) fn take_cut_offs(&mut self) -> CutOffs {
        std::mem::take(&mut self.cut_offs)
    }

    /// What the scripts see and change.
    pub(crate) fn slots(&self) -> &RefCell<Slots> {
        &self.slots
    }

    /// Runs one of the scripts on the event in the slots: JSON, or nothing.
    pub(super) fn run(
        &mut self,
        scripts: &[Script],
        at: usize,
        headers: &[&str],
    ) -> Result<Option<String>, Error> {
        self.realms.resize_with(scripts.len(), || None);
        if self.realms[at].is_none() {
            self.realms[at] = Some(self.realm(&scripts[at])?);
        }
        let Some(realm) = &self.realms[at] else { unreachable!("it was made above") };
        self.looks.set(self.limits.steps / STEPS_AT_A_TIME + 1);
        let result = realm.context.with(|ctx| {
            let call = || {
                let run = realm.run.clone().restore(&ctx)?;
                let mut arguments = Args::new(ctx.clone(), 1);
                if realm.headers {
                    arguments.push_arg(headers.to_vec())?;
                }
                run.call_arg::<Option<String>>(arguments)
            };
            call().catch(&ctx).map_err(|error| self.words(&error))
        });
        let cut_off = self.looks.replace(u64::MAX) == 0;
        if result.is_ok() && !cut_off {
            return result.map_err(Error::Run);
        }
        let full = self.is_half_full();
        if cut_off || full {
            self.realms[at] = None;
            self.runtime.run_gc();
        }
        // The engine throws null where it has no memory left for an error.
        let words = match result {
            Err(words) if full && words == "null" => "out of memory".to_owned(),
            Err(words) => words,
            Ok(result) => return Ok(result),
        };
        self.cut_offs.steps += u32::from(cut_off);
        self.cut_offs.memory += u32::from(!cut_off && words.contains("out of memory"));
        self.cut_offs.stack += u32::from(!cut_off && words.contains("call stack size exceeded"));
        Err(Error::Run(words))
    }

    /// Whether a script can be evaluated and has its function, and whether a name of Java's is
    /// known to it.
    pub(super) fn check(&self, script: &Script) -> Result<(), Error> {
        self.realm(script).map(|_| ())
    }

    /// Whether a dotted name of Java's is there for scripts.
    pub(super) fn has_java(&self, name: &str) -> bool {
        let context = Context::full(&self.runtime).expect("a realm fits into the memory");
        context.with(|ctx| {
            let java = natives::java(&ctx, &self.slots).expect("the prelude evaluates");
            let has: Function<'_> = java.get("has").expect("the prelude has it");
            has.call((name,)).expect("it answers")
        })
    }

    /// Evaluates a script in a realm of its own.
    fn realm(&self, script: &Script) -> Result<Realm, Error> {
        let context =
            Context::full(&self.runtime).map_err(|_| Error::Script("out of memory".to_owned()))?;
        self.looks.set(STEPS_TO_EVALUATE / STEPS_AT_A_TIME);
        let made = context.with(|ctx| {
            let make = natives::install(&ctx, &self.slots).expect("the prelude evaluates");
            evaluate::<()>(&ctx, &script.source).catch(&ctx).map_err(|error| self.words(&error))?;
            let getter: Function<'_> = evaluate(&ctx, "(function () { return process; })")
                .map_err(|error| error.to_string())?;
            let config = script.config.as_deref().map_or_else(
                || Ok(Value::new_null(ctx.clone())),
                |config| rquickjs::String::from_str(ctx.clone(), config).map(Into::into),
            );
            let config: Value<'_> = config.map_err(|error| error.to_string())?;
            let run: Function<'_> =
                make.call((getter, config)).map_err(|error| error.to_string())?;
            let length: Option<usize> =
                evaluate(&ctx, "typeof process === 'function' ? process.length : null")
                    .map_err(|error| error.to_string())?;
            let headers = length.is_some_and(|length| length > 2)
                || script.source.contains("arguments")
                || script.source.contains("...");
            Ok((Persistent::save(&ctx, run), headers))
        });
        self.looks.set(u64::MAX);
        let (run, headers) = made.map_err(Error::Script)?;
        Ok(Realm { run, headers, context })
    }

    /// A realm of a runtime as full as this goes after a failure: a script may have kept something
    /// that grows.
    fn is_half_full(&self) -> bool {
        let used = usize::try_from(self.runtime.memory_usage().malloc_size);
        used.is_ok_and(|used| used > self.limits.memory / 2)
    }

    /// What was thrown, as a peer's bad rows have it: the text, and where.
    fn words(&self, error: &CaughtError<'_>) -> String {
        if self.looks.get() == 0 {
            let steps = self.limits.steps;
            return format!("the script did not end within {steps} steps");
        }
        match error {
            CaughtError::Error(error) => error.to_string(),
            CaughtError::Exception(exception) => {
                let name: Option<String> = exception.as_object().get("name").ok();
                let message = exception.message().unwrap_or_default();
                let text = match name.as_deref() {
                    Some(name) if !name.is_empty() => format!("{name}: {message}"),
                    _ => message,
                };
                match exception.stack().as_deref().and_then(place) {
                    Some((line, column)) => {
                        format!("{text} in <eval> at line number {line} at column number {column}")
                    }
                    None => text,
                }
            }
            CaughtError::Value(value) => text_of(value),
        }
    }
}

/// The first place in a script that a stack names, as line and column.
fn place(stack: &str) -> Option<(u32, u32)> {
    let (_, rest) = stack.split_once("<eval>:")?;
    let rest = rest.split([')', '\n']).next()?;
    let (line, column) = rest.split_once(':')?;
    Some((line.parse().ok()?, column.trim().parse().ok()?))
}

/// A thrown value as JavaScript's own text of it.
fn text_of(value: &Value<'_>) -> String {
    let ctx = value.ctx();
    let text = evaluate::<Function<'_>>(ctx, "(value) => String(value).toWellFormed()")
        .and_then(|text| text.call::<_, String>((value.clone(),)));
    text.unwrap_or_else(|_| {
        ctx.catch();
        "a value that has no text".to_owned()
    })
}
