//! `snowmelt local`: the whole path on one machine, on embedded parts: a collector that trackers
//! send to, stream and leases in SQLite files, a fleet's workers, outputs in files, and generated
//! traffic where it is wanted. The same loop as in production, with nothing to install.
//!
//! Everything is in one folder. A run that was killed goes on where its leases stand when the
//! folder is given again. Each run counts its own events while it lasts; the account at the end is
//! of all runs in the folder.

mod account;
mod api;
mod asked;
mod beats;
mod collector;
mod edit;
mod feed;
mod fleet;
mod inquiry;
mod intake;
mod ledger;
mod live;
mod pulse;
mod request;
mod rest;
mod settings;
mod spelling;
mod store;
pub mod streaming;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lease::LeaseStore;
use lease::store::sqlite::Sqlite;
use tokio::net::TcpListener;

use super::tolerance::Tolerance;
use crate::budget::Hurry;
use crate::exit::{EXIT_GRACE, Usage};
use crate::life::End;
use crate::rules::Rules;
use crate::signal::Stop;
use crate::source::local::Local;
use crate::{admin, log, terminal};
use account::Account;
use api::Parts;
use beats::Beating;
use collector::Collector;
use fleet::{Fleet, LEASE};
use intake::Watched;
use ledger::Ledger;
use pulse::Pulse;
use rest::Rest;
use settings::Settings;
use store::Store;

/// What `snowmelt local` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the stream, the leases and the outputs; schemas in its schemas/ count.
    #[arg(long, default_value = "snowmelt-local", value_name = "DIR")]
    dir: PathBuf,
    /// Where trackers send to; 9090, or a free one if that is taken.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The address to listen on. Others than this machine reach one that is not loopback.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    listen: IpAddr,
    /// A name by which requests may call this machine, besides localhost and addresses.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// How many workers.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = at_most(64))]
    workers: u16,
    /// How many shards a new stream has.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = at_most(1024))]
    shards: u16,
    /// A worker's configuration: what it says of data counts, streams and buckets do not.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write events as flat JSON, too, in folders of their own.
    #[arg(long)]
    json: bool,
    /// Write no tables: files of Parquet that `snowmelt query --data DIR/tables` asks.
    #[arg(long)]
    no_tables: bool,
    /// Begin anew: delete the folder's stream, leases and outputs first.
    #[arg(long)]
    reset: bool,
    /// Feed generated traffic.
    #[arg(long)]
    demo: bool,
    /// Stop when this run has sent so many generated events.
    #[arg(long, value_name = "N", requires = "demo")]
    events: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Generated events sent a second.
    #[arg(long, default_value_t = 2000, value_name = "N", requires = "demo")]
    rate: u64,
    /// The share of generated payloads that are bad, from 0 to 1.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE", requires = "demo")]
    bad: f64,
    /// The same seed makes the same traffic.
    #[arg(long, default_value_t = 1, value_name = "N", requires = "demo")]
    seed: u64,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    tolerance: Tolerance,
}

/// From 1 to so many.
fn at_most(most: i64) -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=most)
}

/// The port that trackers are told of in examples.
const PORT: u16 = 9090;

/// How often somebody looks whether all is worked off.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `snowmelt local`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !(0.0..=1.0).contains(&args.bad) {
        return Err(Usage("--bad is a share from 0 to 1".to_owned()).into());
    }
    let quiet = log::Levels::parse("warn").expect("it is a level");
    let _log = log::start(&quiet).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(all(args))
}

async fn all(args: Args) -> anyhow::Result<ExitCode> {
    let dir = &args.dir;
    let settings = Settings::of(&args)?;
    let listener = bind(&args).await?;
    if args.reset {
        fleet::reset(dir)?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let ledger = Ledger::open(dir)?;
    let (resolver, schemas) = settings.resolver(dir)?;
    let stream = Local::open(&dir.join("stream.db"), args.shards.into())?;
    let leases = Arc::new(Sqlite::open(&dir.join("leases.db"))?);
    leases.open().await?;
    let (stop, address) = (Stop::default(), listener.local_addr()?);
    tell_start(dir, address, leases.as_ref()).await?;
    let (intake, taken) = intake::open();
    let collector = Collector::new(intake.clone(), args.hosts.clone(), "local");
    let (store, pulse) = (Store::new(), Pulse::default());
    store.reached().begin_after(stream.newest().await?);
    let (seen, keeping) = store.open(pulse.clone());
    let rest = Rest::new(store.clone(), &stream, &resolver, &settings, &stop.drain).routes();
    let page = Parts::new(store, pulse, intake, dir.clone(), stop.drain.clone());
    let page = Arc::new(page);
    let others = rest.merge(api::routes(Arc::clone(&page)));
    let others = others.merge(asked::routes(dir, &settings.rules));
    let watched = Watched::new(vec![schemas], resolver.clone());
    let serving = async {
        let served = collector.serve(others, listener, stop.drain.clone());
        tokio::try_join!(async { served.await.context("the collector") }, async {
            Ok(taken.write(&stream, watched).await?)
        })?;
        // Who is still at work decides when the run ends.
        std::future::pending::<anyhow::Result<ExitCode>>().await
    };
    let working = async {
        let parts = (&stream, &leases);
        let end = Stop::default();
        let (mut fleet, renewal) =
            Fleet::start(&args, &settings, &resolver, parts, seen, &end).await?;
        // Nobody else sets it.
        let _ = page.inquiry.set(Arc::clone(&fleet.inquiry));
        let workers = fleet.metrics.clone();
        let beating = Beating {
            pulse: &page.pulse,
            store: &page.store,
            stream: &stream,
            leases: leases.as_ref(),
            workers: &workers,
        };
        tokio::select! {
            code = run_fleet(&mut fleet, &args, parts, &stop, &end) => code,
            never = renewal.keep_fresh() => never,
            never = beating.run(&page.beats) => match never? {},
            never = ledger.keep() => match never? {},
            // It ends with the workers, of which the account is still to be given.
            never = async { keeping.await; std::future::pending().await } => never,
        }
    };
    let code = tokio::select! {
        code = working => code?,
        failed = serving => failed?,
        signals = stop.on_signals() => { signals?; unreachable!("signals never end") }
    };
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    account_for(dir, &stream, leases.as_ref(), ledger).await
}

/// Says what became of everything in the folder, and what to do next.
async fn account_for(
    dir: &Path,
    stream: &Local,
    leases: &dyn LeaseStore,
    ledger: Ledger,
) -> anyhow::Result<ExitCode> {
    fleet::drop_done(stream, leases, i64::MAX).await?;
    let left = fleet::backlog(stream, leases).await?;
    let account = Account { sent: stream.sum().await?, left, counts: ledger.close().await? };
    terminal::line(&account.to_string());
    terminal::line(&account::next(dir)?);
    Ok(if account.adds_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Listens where the arguments say, or near by.
async fn bind(args: &Args) -> anyhow::Result<TcpListener> {
    let at = |port| SocketAddr::new(args.listen, port);
    let wanted = at(args.port.unwrap_or(PORT));
    match admin::bind(wanted).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && args.port.is_none() => {
            admin::bind(at(0)).await.with_context(|| format!("cannot listen on {}", args.listen))
        }
        bound => bound.map_err(|error| Usage(format!("cannot listen on {wanted}: {error}")).into()),
    }
}

/// Runs until there is no more to do or somebody asks to stop; then takes nothing more, works what
/// was taken, and drains.
async fn run_fleet(
    fleet: &mut Fleet,
    args: &Args,
    (stream, leases): (&Local, &Arc<Sqlite>),
    asked: &Stop,
    end: &Stop,
) -> anyhow::Result<ExitCode> {
    let coming = async {
        match (args.demo, args.seconds) {
            (true, _) => feed::feed(stream, args, &asked.drain).await,
            (false, Some(seconds)) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(())
            }
            (false, None) => std::future::pending().await,
        }
    };
    let hurry = fleet.hurry.clone();
    let work = async {
        tokio::select! {
            come = coming => come?,
            () = asked.drain.cancelled() => {}
        }
        asked.drain.cancel();
        while fleet::backlog(stream, leases.as_ref()).await? > 0 {
            // Nothing more is to come for what is open.
            hurry.iter().for_each(Hurry::call);
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = work => done?,
        () = asked.now.cancelled() => end.now.cancel(),
        ended = fleet.workers.join_next() => tracing::error!(?ended, "a worker ended early"),
        never = live::live(&fleet.metrics, stream) => never?,
        never = fleet::tend(stream, leases.as_ref()) => never?,
    }
    end.drain.cancel();
    let mut code = ExitCode::SUCCESS;
    loop {
        let ended = tokio::select! {
            ended = fleet.workers.join_next() => ended,
            () = asked.now.cancelled(), if !end.now.is_cancelled() => {
                end.now.cancel();
                continue;
            }
        };
        match ended {
            None => return Ok(code),
            Some(ended) => match ended? {
                End::Drained => {}
                End::CutOff => code = ExitCode::from(EXIT_GRACE),
                End::Failed(error) => return Err(error.into()),
                End::Leaseless(error) => return Err(error.into()),
            },
        }
    }
}

/// Says where everything is, and why nothing may happen at first.
async fn tell_start(
    dir: &Path,
    address: SocketAddr,
    leases: &dyn LeaseStore,
) -> anyhow::Result<()> {
    let place = dir.display();
    terminal::tell(&format!("the page is at http://{address}"));
    terminal::tell(&format!("trackers send to http://{address}"));
    terminal::tell(&format!(
        "everything is in {place}; Ctrl-C stops, and what came is finished first"
    ));
    // A run that ends in order gives its leases back.
    if leases.scan().await?.leases.iter().any(|lease| lease.owner.is_some()) {
        terminal::tell(&format!(
            "an earlier run was killed: its leases expire {} s after it renewed them last,\n\
             and until then nothing is read",
            LEASE.as_secs()
        ));
    }
    Ok(())
}
