//! `snowmelt worker`: one of a fleet that reads a Kinesis stream.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lease::{LeaseStore, Position};

use super::check;
use crate::causes::chain;
use crate::config::{self, Config};
use crate::exit::{EXIT_GRACE, EXIT_REFUSED, Usage};
use crate::health::Unfit;
use crate::life::{self, End};
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::preflight;
use crate::signal::Stop;
use crate::statsd::{self, Statsd};
use crate::status::Observed;
use crate::supervisor::{Look, Supervisor};
use crate::worker::{Worker, build, plan::Plan};
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
    let supervisor = supervisor();
    let parts = tokio::select! {
        parts = build::build(config, &plan) => parts?,
        never = supervisor.tell_of_start() => never,
    };
    let stop = Stop::default();
    let listener = admin::bind(parts.admin)
        .await
        .with_context(|| format!("cannot listen on {}", parts.admin))?;
    let address = listener.local_addr()?;
    let worker = Arc::new(parts.worker);
    tracing::info!(worker = %plan.leases.worker_id, admin = %address, "started");
    let streams = streams(config);
    let (owners, seen) = (parts.owners, Arc::clone(&worker));
    let observed = Arc::new(Observed::new(streams, &plan, seen, owners, stop.clone()));
    let grace = config.worker.grace.get();
    let table = config.leases.table.to_string();
    let statsd = statsd(config, &worker.metrics);
    let company = Company { supervisor, notices: parts.notices, statsd };
    let life = async {
        if let Some(notices) = &company.notices {
            notices.look(&stop).await;
        }
        let look = preflight::look(&*worker.source, &*parts.store, &table, &worker.sinks);
        let looked = tokio::select! {
            looked = look => looked,
            () = stop.drain.cancelled() => return Ok(End::Drained),
        };
        if let Err(unfit) = looked {
            pin(&worker, &parts.store, plan.leases).await;
            return Err(unfit);
        }
        let (worker, store) = (Arc::clone(&worker), Arc::clone(&parts.store));
        Ok::<End, Unfit>(life::run(worker, store, plan.leases, grace, stop.clone()).await)
    };
    let lived = async {
        let end = life.await?;
        company.see_off(&end, &stop).await;
        Ok::<End, Unfit>(end)
    };
    let end = tokio::select! {
        end = lived => end?,
        never = parts.renewal.keep_fresh() => never,
        never = company.keep(&observed, &stop, grace) => never,
        served = admin::serve(listener, Arc::clone(&observed)) => {
            served.context("the admin server ended")?;
            anyhow::bail!("the admin server ended");
        }
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

/// Keeps where the newest records begin for whoever starts next, where those are what is asked for.
async fn pin(worker: &Worker, store: &Arc<dyn LeaseStore>, leases: lease::Config) {
    if leases.initial_position == Position::Latest {
        preflight::pin(&*worker.source, Arc::clone(store), leases).await;
    }
}

/// The streams that are read, for people.
fn streams(config: &Config) -> String {
    let inputs = config.source.inputs();
    inputs.iter().map(|input| input.name()).collect::<Vec<_>>().join(", ")
}

/// What goes on beside the work.
struct Company {
    supervisor: Supervisor,
    notices: Option<Notices>,
    statsd: Option<Statsd>,
}

impl Company {
    /// Keeps everybody informed for ever.
    async fn keep(&self, observed: &Observed, stop: &Stop, grace: Duration) -> ! {
        let noticed = async {
            match &self.notices {
                Some(notices) => notices.watch(stop).await,
                None => std::future::pending().await,
            }
        };
        let stays = || self.notices.as_ref().is_some_and(Notices::stays);
        let look = || Look { stays: stays(), ..observed.look() };
        let counted = async {
            match &self.statsd {
                Some(statsd) => statsd.tell().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = self.supervisor.tell(look, &stop.drain, grace) => never,
            never = noticed => never,
            never = counted => never,
        }
    }

    /// Says what is left to say once the work is done.
    async fn see_off(&self, end: &End, stop: &Stop) {
        if let (Some(notices), End::Drained | End::CutOff) = (&self.notices, end) {
            notices.see_off(stop).await;
        }
        if let Some(statsd) = &self.statsd {
            statsd.report().await;
        }
    }
}

fn supervisor() -> Supervisor {
    Supervisor::of(config::environment).unwrap_or_else(|why| {
        tracing::warn!(why, "systemd cannot be told anything");
        Supervisor::none()
    })
}

/// Who is told of metrics, if anybody is.
fn statsd(config: &Config, metrics: &Arc<Metrics>) -> Option<Statsd> {
    let config::Metrics { statsd, prefix, tags, period } = &config.metrics;
    let settings = statsd::Settings {
        to: statsd.as_ref()?.to_string(),
        prefix: prefix.to_string(),
        tags: tags.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
        period: period.get(),
    };
    Some(Statsd::new(settings, Arc::clone(metrics)))
}

/// What the worker needs cannot be used; the operator has to do something about it.
fn refused(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    terminal::last_note(format!("snowmelt: {}", chain(error)));
    ExitCode::from(EXIT_REFUSED)
}
