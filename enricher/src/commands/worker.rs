//! `snowmelt worker`: one of a fleet that reads a Kinesis stream.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use enrichments::lookup::Then;
use event::reason::Words;
use lease::Position;
use lookups::{Lookups, Trouble};

use crate::causes::chain;
use crate::config::{self, Config};
use crate::exit::{EXIT_GRACE, EXIT_REFUSED, EXIT_UNAVAILABLE, Usage};
use crate::health::Unfit;
use crate::life::{self, End};
use crate::preflight;
use crate::signal::Stop;
use crate::status::Observed;
use crate::worker::{build, plan::Plan};
use crate::{admin, clock, log, shard, terminal};

/// What `snowmelt worker` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration and everything it names, say what is wrong with it, and end.
    #[arg(long)]
    check: bool,
    /// With --check: also connect to those whom look-ups ask.
    #[arg(long, requires = "check")]
    online: bool,
}

/// Runs `snowmelt worker`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config).map_err(|error| Usage(error.to_string()))?;
    let _log = log::start(&config.log.level).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(work(&config, &args));
    // What still runs after a drain that was cut off is not waited for.
    runtime.shutdown_background();
    code
}

async fn work(config: &Config, args: &Args) -> anyhow::Result<ExitCode> {
    // A process that starts anew must not be taken for its predecessor.
    let begun = clock::now_ms();
    let run = format!("{begun:x}-{:04x}", fastrand::u16(..));
    let mut plan = Plan::of(config, &run)?;
    plan.leases.latest_ms = Some(begun);
    let parts = build::build(config, &plan).await?;
    if args.check {
        for destination in &plan.destinations {
            terminal::line(&destination.to_string());
            let examples = destination.examples(begun);
            examples.iter().for_each(|name| terminal::line(&format!("{:<12} as {name}", "")));
        }
        for lookup in parts.worker.lookups.names() {
            terminal::line(&format!("{:<10} → {}", "look-up", told(lookup, config)));
        }
        let reached = !args.online || reach(&parts.worker.lookups).await;
        if !reached {
            terminal::line("the configuration can be read, but not all it asks can be reached");
            return Ok(ExitCode::from(EXIT_UNAVAILABLE));
        }
        terminal::line("the configuration can be used");
        return Ok(ExitCode::SUCCESS);
    }
    let stop = Stop::default();
    let listener = admin::bind(parts.admin)
        .await
        .with_context(|| format!("cannot listen on {}", parts.admin))?;
    let address = listener.local_addr()?;
    let worker = Arc::new(parts.worker);
    tracing::info!(worker = %plan.leases.worker_id, admin = %address, "started");
    let (owners, seen) = (parts.owners, Arc::clone(&worker));
    let observed = Arc::new(Observed::new(&plan, seen, owners, stop.clone()));
    let grace = config.worker.grace.get();
    let table = config.leases.table.to_string();
    let life = async {
        let look = preflight::look(&*worker.source, &*parts.store, &table, &worker.sinks);
        tokio::select! {
            looked = look => if let Err(unfit) = looked {
                if plan.leases.initial_position == Position::Latest {
                    let store = Arc::clone(&parts.store);
                    preflight::pin(&*worker.source, store, plan.leases.clone()).await;
                }
                return Err(unfit);
            },
            () = stop.drain.cancelled() => return Ok(End::Drained),
        }
        let (worker, store) = (Arc::clone(&worker), Arc::clone(&parts.store));
        Ok::<End, Unfit>(life::run(worker, store, plan.leases, grace, stop.clone()).await)
    };
    let end = tokio::select! {
        end = life => end?,
        served = admin::serve(listener, observed) => {
            served.context("the admin server ended")?;
            anyhow::bail!("the admin server ended");
        }
        never = parts.renewal.keep_fresh() => never,
        signals = stop.on_signals() => {
            signals.context("cannot listen to signals")?;
            anyhow::bail!("signals ended");
        }
    };
    Ok(match end {
        End::Drained => ExitCode::SUCCESS,
        End::CutOff => ExitCode::from(EXIT_GRACE),
        End::Failed(error @ shard::Error::Pool(_)) => return Err(error.into()),
        End::Failed(error) => refused(&error),
        End::Leaseless(error) => refused(&error),
    })
}

/// What becomes of events when a look-up cannot be asked.
fn told(name: &str, config: &Config) -> String {
    let settings = config.lookups.of(name);
    let patience = settings.patience.as_secs_f64();
    let outage = match settings.then {
        Then::Fail => "events fail".to_owned(),
        Then::Skip => format!("after {patience} s events go on without"),
        Then::Park => format!("after {patience} s events are parked"),
    };
    format!("{name}; when it cannot be asked, {outage}")
}

/// Connects to those whom look-ups ask, and says what came of it. Whether all could be reached.
async fn reach(lookups: &Lookups) -> bool {
    let mut all = true;
    for (name, reached) in lookups.reach().await {
        let said = match reached {
            Ok(()) => "answers".to_owned(),
            Err(Trouble::Refused(why) | Trouble::Outage(why)) => {
                all = false;
                let why: Vec<_> = why.iter().map(Words::text).collect();
                format!("cannot be asked: {}", why.join(", "))
            }
        };
        terminal::line(&format!("{:<10} → {name} {said}", "look-up"));
    }
    all
}

/// What the worker needs cannot be used; the operator has to do something about it.
fn refused(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    terminal::last_note(format!("snowmelt: {}", chain(error)));
    ExitCode::from(EXIT_REFUSED)
}
