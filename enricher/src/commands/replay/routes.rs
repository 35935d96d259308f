//! Results of a replay to the routes of a worker's configuration, by the sinks of a worker.
//!
//! What a part became is written down before it goes anywhere, and a part that was cut off is
//! written once more from there: so it is the same one, whatever has changed meanwhile. Objects of
//! a part have names that are known beforehand, so those that are there already are not written
//! twice. A stream cannot be asked what is in it: it may get the lines of one part once more, under
//! the same ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use pipeline::{Lines, Output, Route, Settings};
use resolver::Resolver;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::aws::Aws;
use crate::config::Config;
use crate::exit::Usage;
use crate::pool::Pool;
use crate::sink::Origin;
use crate::worker::Shared;
use crate::worker::build::{self, Clients};
use crate::worker::destinations::To;
use crate::worker::plan::Plan;

/// The routes of a configuration.
pub(super) struct Routes {
    config: Config,
    replay: String,
    now_ms: i64,
    clients: Clients,
    resolver: Resolver,
    pool: Arc<Pool>,
    runtime: Runtime,
    part: Output,
    records: usize,
}

/// The lines of a part, by route, and those that are wanted as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Written {
    records: usize,
    own: BTreeMap<String, String>,
    json: BTreeMap<String, String>,
}

impl Routes {
    /// The destinations of a configuration, for a replay that began then. Nobody is asked for
    /// anything yet.
    pub(super) fn open(config: &Config, replay: &str, now_ms: i64) -> anyhow::Result<Routes> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let plan = Plan::of_part(config, replay)?;
        if let Some(table) = plan.destinations.iter().find(|one| matches!(one.to, To::Iceberg(_))) {
            let why = format!(
                "[[{}.to]] {} is a table of Iceberg, which knows shards of streams and no replays: \
                 expected a configuration without it; `snowmelt enrich --format iceberg` appends \
                 files to tables",
                table.route.name(),
                table.name.as_deref().unwrap_or_default()
            );
            return Err(Usage(why).into());
        }
        let aws = build::aws(&config.aws);
        let resolver = build::rules(config).resolver(&aws)?.with_wait(config.schemas.wait());
        let clients = runtime.block_on(async {
            let aws = Aws::load(aws).await;
            let any = plan.destinations.iter().any(|destination| destination.is_in_aws());
            let aws = if any { aws.check().await? } else { aws };
            Clients::of(&plan, &aws).await
        })?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Arc::new(Pool::new(cores)?);
        let (config, replay) = (config.clone(), replay.to_owned());
        let part = Output::default();
        Ok(Routes { config, replay, now_ms, clients, resolver, pool, runtime, part, records: 0 })
    }

    /// How large the records of a part are: objects should not be many and small, and what is made
    /// of a part, several times as large, has to fit into what a worker may have in flight.
    pub(super) fn part_bytes(&self) -> usize {
        const MOST: usize = 16 << 20;
        (self.config.worker.bytes_in_flight.get() / 16).min(MOST)
    }

    /// Whether a line of that size has a place.
    pub(super) fn takes(&self, settings: &Settings, bytes: usize) -> bool {
        // Where a stream is all there is, lines have to be smaller than usual.
        settings.line_bytes_max >= Settings::LINE_BYTES_MAX || bytes <= settings.line_bytes_max
    }

    /// Adds lines to the present part.
    pub(super) fn take(&mut self, output: &Output, records: usize) {
        self.part.append(output, 0);
        self.records += records;
    }

    /// Ends the present part: what there is to be written.
    pub(super) fn end_of_part(&mut self) -> Written {
        let part = std::mem::take(&mut self.part);
        let text = |lines: &Lines| String::from_utf8_lossy(lines.as_bytes()).into_owned();
        let some = Route::ALL.into_iter().filter(|route| !part.lines(*route).is_empty());
        let own = some.map(|route| (route.name().to_owned(), text(part.lines(route))));
        let json = Route::ALL.into_iter().filter_map(|route| {
            let lines = part.json.lines(route).filter(|lines| !lines.is_empty())?;
            Some((route.name().to_owned(), text(lines)))
        });
        Written {
            records: std::mem::take(&mut self.records),
            own: own.collect(),
            json: json.collect(),
        }
    }

    /// Writes the n-th part; durable everywhere when this returns.
    pub(super) fn write(&self, number: u64, part: &Written) -> anyhow::Result<()> {
        let name = format!("replay-{}-{number}", self.replay);
        let plan = Plan::of_part(&self.config, &name)?;
        let output = part.output();
        self.runtime.block_on(async {
            let bytes = self.config.worker.bytes_in_flight.get();
            let shared = Shared::new(Arc::clone(&self.pool), bytes);
            let sinks = build::sinks(&plan, &shared, &self.clients, &self.resolver);
            let origin = Origin::of_replay(&name, number, part.records, self.now_ms);
            let mut permit = shared.budget.take(part.bytes()).await;
            let written = sinks.write(output, origin, &[], &mut permit);
            shared.hurry.until(written).await.with_context(|| format!("part {number}"))
        })
    }
}

impl Written {
    fn bytes(&self) -> usize {
        self.own.values().chain(self.json.values()).map(String::len).sum()
    }

    fn output(&self) -> Output {
        let lines = |texts: &BTreeMap<String, String>, route: Route| {
            let mut lines = Lines::default();
            for line in
                texts.get(route.name()).into_iter().flat_map(|text| text.split_terminator('\n'))
            {
                lines.push_with(|out| out.extend_from_slice(line.as_bytes()));
            }
            lines
        };
        let mut output = Output::default();
        for route in Route::ALL {
            *output.lines_mut(route) = lines(&self.own, route);
            if let Some(json) = output.json.lines_mut(route) {
                *json = lines(&self.json, route);
            }
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_written_down() {
        let mut output = Output::default();
        for line in ["a\tb", "", "é\u{2028}"] {
            output.enriched.push_with(|out| out.extend_from_slice(line.as_bytes()));
        }
        output.bad.push_with(|out| out.extend_from_slice(b"{}"));
        let text = |lines: &Lines| String::from_utf8_lossy(lines.as_bytes()).into_owned();
        let own = [Route::Enriched, Route::Bad];
        let own = own.map(|route| (route.name().to_owned(), text(output.lines(route))));
        let written = Written { records: 3, own: own.into(), json: BTreeMap::new() };
        let text = serde_json::to_vec(&written).expect("JSON");
        let again: Written = serde_json::from_slice(&text).expect("its own");
        for route in Route::ALL {
            let [before, after] = [&output, &again.output()]
                .map(|output| output.lines(route).iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            assert_eq!(before, after, "{route:?}");
        }
    }
}
