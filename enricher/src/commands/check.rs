//! `snowmelt check`: everything that is wrong with a worker's configuration, what it will need, and
//! whether that can be had.

use std::path::PathBuf;
use std::process::ExitCode;

use enrichments::lookup::Then;
use event::reason::Words;
use lookups::{Lookups, Trouble};

use crate::config::{self, Config};
use crate::exit::{EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE, Usage};
use crate::health::Unfit;
use crate::iam::{self, Whereabouts};
use crate::worker::{build, plan::Plan};
use crate::{clock, log, preflight, terminal};

/// What `snowmelt check` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file of a worker.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also make every call that a start makes: read the stream, write to each destination
    /// (nothing, or an empty object), open the lease table (made if it is not there), reach
    /// look-ups.
    #[arg(long)]
    online: bool,
    /// Print the least policy of IAM that the worker needs, as JSON, and nothing else; with a role
    /// that the configuration has the worker assume, that of the role.
    #[arg(
        long,
        value_name = "ROLE",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "online"
    )]
    iam: Option<String>,
    /// The account that streams and tables are in, for --iam; without it the policy has `*` there.
    #[arg(long, value_name = "ID", requires = "iam")]
    account: Option<String>,
    /// The region, for --iam, where not that of `[aws] region`; without either it is `*`.
    #[arg(long, value_name = "NAME", requires = "iam")]
    region: Option<String>,
}

impl Args {
    /// Those of a worker that only checks.
    pub(super) fn of(config: PathBuf, online: bool) -> Args {
        Args { config, online, iam: None, account: None, region: None }
    }
}

/// Runs `snowmelt check`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load_all(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            errors.iter().for_each(|error| terminal::note(&format!("snowmelt: {error}")));
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    if let Some(role) = &args.iam {
        return policy(&config, &args, role);
    }
    let _log = log::start(&config.log.level).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(check(&config, args.online));
    runtime.shutdown_background();
    code
}

fn policy(config: &Config, args: &Args, role: &str) -> anyhow::Result<ExitCode> {
    let plan = Plan::of(config, "check")?;
    let region = args.region.as_deref().or(config.aws.region.as_deref());
    let place = Whereabouts {
        region: region.unwrap_or("*"),
        account: args.account.as_deref().unwrap_or("*"),
    };
    let actor = Some(role).filter(|role| !role.is_empty());
    let policy = iam::policy(config, &plan, place, actor);
    if let Some(role) = actor.filter(|_| policy["Statement"].as_array().is_some_and(Vec::is_empty))
    {
        return Err(
            Usage(format!("--iam: the configuration has no destination as `{role}`")).into()
        );
    }
    terminal::line(&serde_json::to_string_pretty(&policy)?);
    Ok(ExitCode::SUCCESS)
}

async fn check(config: &Config, online: bool) -> anyhow::Result<ExitCode> {
    let begun = clock::now_ms();
    let plan = Plan::of(config, "check")?;
    let parts = build::build(config, &plan).await?;
    for destination in &plan.destinations {
        terminal::line(&destination.to_string());
        let examples = destination.examples(begun);
        examples.iter().for_each(|name| terminal::line(&format!("{:<12} as {name}", "")));
    }
    for lookup in parts.worker.lookups.names() {
        terminal::line(&format!("{:<10} → {}", "look-up", told(lookup, config)));
    }
    if online {
        let (source, sinks) = (&*parts.worker.source, &parts.worker.sinks);
        let table = config.leases.table.to_string();
        let unfit = preflight::look_at_all(source, &*parts.store, &table, sinks).await;
        unfit.iter().for_each(|unfit| terminal::line(&refusal(unfit)));
        let reached = reach(&parts.worker.lookups).await;
        if !unfit.is_empty() {
            terminal::line("the configuration can be read, but not all it needs can be used");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
        if !reached {
            terminal::line("the configuration can be read, but not all it asks can be reached");
            return Ok(ExitCode::from(EXIT_UNAVAILABLE));
        }
    }
    terminal::line("the configuration can be used");
    Ok(ExitCode::SUCCESS)
}

/// What cannot be used, and what may be missing.
fn refusal(unfit: &Unfit) -> String {
    let advice = match unfit.failure.is_refusal() {
        true => "; `snowmelt check --iam` prints what has to be allowed",
        false => "",
    };
    format!("{unfit}{advice}")
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
