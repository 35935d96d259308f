//! `snowmelt top`: a fleet in the terminal, as its workers tell it at `/status`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, Url};

use crate::causes::chain;
use crate::exit::{EXIT_UNAVAILABLE, Usage};
use crate::seam::{Pending, join};
use crate::status::Status;
use crate::terminal::{self, Look};

/// A worker that does not answer within this time is shown as one that does not.
const WITHIN: Duration = Duration::from_secs(5);

/// The largest answer that is read, in bytes: tens of thousands of shards.
const LARGEST: usize = 16 << 20;

/// What `snowmelt top` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The admin ports of the workers, as in `127.0.0.1:8000` or `http://worker-1:8000`.
    #[arg(required = true, value_name = "URL")]
    workers: Vec<String>,
    /// Show the fleet once, and end: 0 if all are ready, 69 otherwise. So it is where standard
    /// output is no terminal.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = seconds())]
    every: u64,
}

/// Runs `snowmelt top`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let urls = args.workers.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    let once = args.once || !std::io::stdout().is_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // For workers behind TLS; whoever installs a provider first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(WITHIN).build()?;
        loop {
            let asked = urls.iter().map(|url| ask(&client, url));
            let answers: Vec<_> =
                join(asked.map(|asked| Box::pin(asked) as Pending<'_, _>).collect()).await;
            let workers: Vec<(&str, Answer)> =
                args.workers.iter().map(String::as_str).zip(answers).collect();
            terminal::screen(&page(&workers));
            if once {
                let ready = workers.iter().all(|(_, it)| it.as_ref().is_ok_and(|it| it.ready));
                let code = if ready { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNAVAILABLE) };
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_secs(args.every)).await;
        }
    })
}

fn seconds() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=3600)
}

/// What a worker said, or why it did not.
type Answer = Result<Status, String>;

/// Where a worker tells its status.
fn address(text: &str) -> Result<Url, Usage> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let url = url.and_then(|url| url.join("/status").ok());
    url.ok_or_else(|| Usage(format!("expected HOST:PORT or an http URL, found `{text}`")))
}

async fn ask(client: &Client, url: &Url) -> Answer {
    let words = |error: reqwest::Error| chain(&error.without_url());
    let mut answer = client.get(url.clone()).send().await.map_err(words)?;
    if !answer.status().is_success() {
        return Err(format!("answered {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(words)? {
        if body.len() + chunk.len() > LARGEST {
            return Err("said too much for a status".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|error| format!("said no status: {error}"))
}

/// The lines of a look.
fn page(workers: &[(&str, Answer)]) -> Vec<(Look, String)> {
    let told: Vec<&Status> = workers.iter().filter_map(|(_, it)| it.as_ref().ok()).collect();
    let mut lines = vec![(Look::Heading, summary(workers.len(), &told))];
    let titles = ["worker", "state", "shards", "behind", "enriched/s", "bad/s", "cpu", "limit"];
    let head = row(titles);
    lines.push((Look::Heading, head));
    for (name, answer) in workers {
        match answer {
            Ok(status) => {
                let look = if status.ready { Look::Plain } else { Look::Bad };
                lines.push((look, of(status)));
                lines.extend(status.reasons.iter().map(|it| (Look::Bad, format!("    {it}"))));
            }
            Err(why) => lines.push((Look::Bad, format!("{name}: {why}"))),
        }
    }
    lines
}

fn summary(asked: usize, told: &[&Status]) -> String {
    let enriched: f64 = told.iter().map(|status| status.work.enriched_per_second).sum();
    let held: u64 = told.iter().map(|status| status.fleet.held).sum();
    let fleet = told.iter().map(|status| &status.fleet).max_by_key(|fleet| fleet.known);
    let (known, free) = fleet.map_or((0, 0), |fleet| (fleet.known, fleet.free));
    let wanted = told.iter().filter_map(|status| status.fleet.desired_workers).max();
    let wanted = wanted.map_or_else(|| "?".to_owned(), |wanted| wanted.to_string());
    let workers = told.len();
    format!(
        "{workers} of {asked} workers answer, {wanted} wanted; {held} of {known} shards are \
         theirs, {free} free; {enriched:.0} events/s"
    )
}

fn of(status: &Status) -> String {
    let here = status.shards.iter().filter(|shard| shard.here);
    let behind = here.filter_map(|shard| shard.undurable_seconds.or(shard.lag_seconds));
    let behind = behind.fold(0.0, f64::max);
    let state = match (status.draining, status.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "NOT READY",
    };
    let cpu = status.process.processors.map(|used| format!("{:.0}%", used * 100.0));
    row([
        &status.worker,
        state,
        &status.fleet.held.to_string(),
        &format!("{behind:.0} s"),
        &format!("{:.0}", status.work.enriched_per_second),
        &format!("{:.1}", status.work.bad_per_second),
        cpu.as_deref().unwrap_or("?"),
        &status.limit.stage,
    ])
}

/// A line that fits 80 columns as long as the worker's name does.
fn row([worker, state, shards, behind, enriched, bad, cpu, limit]: [&str; 8]) -> String {
    format!(
        "{worker:<26} {state:<9} {shards:>6} {behind:>8} {enriched:>10} {bad:>6} {cpu:>4} {limit}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_or_urls() {
        for (text, expected) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/status"),
            ("https://worker-1:8000/", "https://worker-1:8000/status"),
            ("http://[::1]:8000/metrics", "http://[::1]:8000/status"),
        ] {
            assert_eq!(address(text).expect("it is one").as_str(), expected);
        }
        let refused = address("file:///etc/passwd").expect_err("no server");
        assert!(refused.to_string().contains("file:///etc/passwd"), "{refused}");
    }
}
