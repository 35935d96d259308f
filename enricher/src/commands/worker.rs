//! `snowmelt worker`: one of a fleet that reads a Kinesis stream.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use lease::Position;

use super::check;
use crate::causes::chain;
use crate::config::{self, Config};
use crate::exit::{EXIT_GRACE, EXIT_REFUSED, Usage};
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
    /// Do what `snowmelt check` does, and end.
    #[arg(long)]
    check: bool,
    /// With --check: as there.
    #[arg(long, requires = "check")]
    online: bool,
}

/// Runs `snowmelt worker`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.check {
        return check::run(check::Args::of(args.config, args.online));
    }
    let config = config::load(&args.config).map_err(|error| Usage(error.to_string()))?;
    let _log = log::start(&config.log.level).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(work(&config));
    // What still runs after a drain that was cut off is not waited for.
    runtime.shutdown_background();
    code
}

async fn work(config: &Config) -> anyhow::Result<ExitCode> {
    // A process that starts anew must not be taken for its predecessor.
    let begun = clock::now_ms();
    let run = format!("{begun:x}-{:04x}", fastrand::u16(..));
    let mut plan = Plan::of(config, &run)?;
    plan.leases.latest_ms = Some(begun);
    let parts = build::build(config, &plan).await?;
    let stop = Stop::default();
    let listener = admin::bind(parts.admin)
        .await
        .with_context(|| format!("cannot listen on {}", parts.admin))?;
    let address = listener.local_addr()?;
    let worker = Arc::new(parts.worker);
    tracing::info!(worker = %plan.leases.worker_id, admin = %address, "started");
    let inputs = config.source.inputs();
    let streams: Vec<&str> = inputs.iter().map(|input| input.name()).collect();
    let streams = streams.join(", ");
    let (owners, seen) = (parts.owners, Arc::clone(&worker));
    let observed = Arc::new(Observed::new(streams, &plan, seen, owners, stop.clone()));
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

/// What the worker needs cannot be used; the operator has to do something about it.
fn refused(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    terminal::last_note(format!("snowmelt: {}", chain(error)));
    ExitCode::from(EXIT_REFUSED)
}
