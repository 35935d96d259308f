//! `snowmelt collector`: the development collector in front of a Kinesis stream, for stacks on one
//! machine whose workers are processes of their own.
//!
//! It answers when the stream has the record, as a production collector does; it has neither that
//! one's buffers for a stream that is down nor its ways to run as many. Put it before test streams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context, bail};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use axum::Router;

use super::PORT;
use super::collector::Collector;
use super::intake::{self, Answer, Taken};
use crate::aws::{self, Aws};
use crate::backoff::Backoff;
use crate::exit::Usage;
use crate::signal::Stop;
use crate::{admin, log, terminal};

/// The most records of one request.
const REQUEST_RECORDS: usize = 500;

/// The most bytes of one request, a little less for what is around records.
const REQUEST_BYTES: usize = 4 << 20;

/// The largest record, its partition key included.
const RECORD_BYTES: usize = (1 << 20) - 64;

/// What `snowmelt collector` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Kinesis stream that events go to.
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Where Kinesis is, if not at AWS.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region; absent: as found by all AWS programs.
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Where trackers send to.
    #[arg(long, default_value_t = PORT, value_name = "PORT")]
    port: u16,
    /// The address to listen on. Others than this machine reach one that is not loopback.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    listen: IpAddr,
    /// A name by which requests may call this machine, besides localhost and addresses.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

/// Runs `snowmelt collector`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let quiet = log::Levels::parse("warn").expect("it is a level");
    let _log = log::start(&quiet).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(collect(args))
}

async fn collect(args: Args) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::new(args.listen, args.port);
    let listener = admin::bind(address).await;
    let listener =
        listener.map_err(|error| Usage(format!("cannot listen on {address}: {error}")))?;
    let address = listener.local_addr()?;
    let settings = aws::Settings {
        region: args.region,
        kinesis_endpoint: args.endpoint_url,
        ..aws::Settings::default()
    };
    let client = Aws::load(settings).await.check().await?.kinesis();
    let (stop, (intake, taken)) = (Stop::default(), intake::open());
    let collector = Collector::new(intake, args.hosts, "kinesis");
    terminal::tell(&format!("trackers send to http://{address}"));
    terminal::tell(&format!("events go to the stream {}; Ctrl-C stops", args.stream));
    let serving = async {
        let served = collector.serve(Router::new(), listener, stop.drain.clone());
        let (served, ()) = tokio::join!(served, put_all(taken, &client, &args.stream));
        served.context("the collector")
    };
    tokio::select! {
        served = serving => served?,
        () = stop.now.cancelled() => return Ok(ExitCode::from(crate::exit::EXIT_GRACE)),
        signals = stop.on_signals() => { signals?; unreachable!("signals never end") }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts what comes until no intake is left.
async fn put_all(mut taken: Taken, client: &Client, stream: &str) {
    let mut waiting = Vec::new();
    while taken.next(&mut waiting).await {
        for request in requests(waiting.drain(..)) {
            let (entries, answers): (Vec<_>, Vec<_>) = request.into_iter().unzip();
            let put = deliver(client, stream, entries).await;
            if let Err(error) = &put {
                tracing::error!(error = format!("{error:#}"), "the stream");
            }
            answers.into_iter().for_each(|answer| {
                // Who does not wait any more need not know.
                let _ = answer.send(put.is_ok());
            });
        }
    }
}

/// Records as they go into requests; those that no stream takes are answered.
fn requests(
    records: impl Iterator<Item = (Vec<u8>, Answer)>,
) -> Vec<Vec<(PutRecordsRequestEntry, Answer)>> {
    let (mut requests, mut bytes) = (vec![Vec::new()], 0);
    for (record, answer) in records {
        if record.len() > RECORD_BYTES {
            tracing::warn!(bytes = record.len(), "a record is larger than a stream takes");
            let _ = answer.send(false);
            continue;
        }
        let last: &Vec<_> = requests.last().expect("it starts with one");
        if last.len() == REQUEST_RECORDS || bytes + record.len() > REQUEST_BYTES {
            requests.push(Vec::new());
            bytes = 0;
        }
        bytes += record.len();
        let entry = PutRecordsRequestEntry::builder()
            .partition_key(format!("{:x}", fastrand::u64(..)))
            .data(Blob::new(record));
        let entry = entry.build().expect("it has data and a key");
        requests.last_mut().expect("it starts with one").push((entry, answer));
    }
    requests.retain(|request| !request.is_empty());
    requests
}

/// Puts entries until all are taken; gives up after failures that do not pass.
pub(in crate::commands) async fn deliver(
    client: &aws_sdk_kinesis::Client,
    stream: &str,
    mut entries: Vec<PutRecordsRequestEntry>,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    loop {
        let put = client.put_records().stream_name(stream);
        match put.set_records(Some(entries.clone())).send().await {
            Ok(answer) => {
                let taken = answer.records().iter().map(|record| record.sequence_number.is_some());
                let mut taken = taken.chain(std::iter::repeat(false));
                entries.retain(|_| !taken.next().unwrap_or(false));
                if entries.is_empty() {
                    return Ok(());
                }
            }
            Err(error) if aws::passes(&error) && backoff.failures() < 20 => {
                if backoff.failures() == 0 {
                    let why = aws::words(&error);
                    terminal::note(&format!("snowmelt: {stream}: {why}; it is tried again"));
                }
            }
            Err(error) => bail!("cannot put records into {stream}: {}", aws::words(&error)),
        }
        backoff.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn requests_stay_within_what_a_stream_takes() {
        let of = |sizes: &[usize]| {
            let (mut records, mut answers) = (Vec::new(), Vec::new());
            for size in sizes {
                let (sender, receiver) = oneshot::channel();
                records.push((vec![0; *size], sender));
                answers.push(receiver);
            }
            let requests = requests(records.into_iter());
            let refused = answers.iter_mut().filter_map(|answer| answer.try_recv().ok()).count();
            (requests.iter().map(Vec::len).collect::<Vec<_>>(), refused)
        };
        assert_eq!(of(&[1; 501]), (vec![500, 1], 0));
        assert_eq!(of(&[1 << 20, 1, RECORD_BYTES]), (vec![2], 1));
        assert_eq!(of(&[900 << 10; 9]), (vec![4, 4, 1], 0));
        assert_eq!(of(&[]), (vec![], 0));
    }
}
