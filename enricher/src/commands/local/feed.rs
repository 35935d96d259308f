//! Generated traffic for a demo.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use traffic::Generator;

use super::Args;
use crate::clock;
use crate::source::local::{Local, Put};

/// How often a share of it is put.
const SHARE: Duration = Duration::from_millis(100);

/// Puts traffic into the stream until there is enough of it, or somebody asks to stop.
pub(super) async fn feed(
    stream: &Local,
    args: &Args,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (shards, sent) = (stream.shard_ids().await?, stream.sum().await?);
    // Another run in this folder goes on with other events.
    let mut generator = Generator::new(args.seed ^ sent.records, args.bad, clock::now_ms());
    let mut events = 0;
    let most = args.events.unwrap_or(u64::MAX);
    let until = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let share = args.rate.div_ceil(10).max(1);
    let mut tick = tokio::time::interval(SHARE);
    while events < most && until.is_none_or(|until| Instant::now() < until) {
        tick.tick().await;
        if stop.is_cancelled() {
            break;
        }
        generator.advance_to(clock::now_ms());
        let mut records = Vec::new();
        let target = most.min(events + share);
        while events < target {
            let payload = generator.payload();
            let (good, bad) = (payload.good.len(), payload.bad.len());
            let shard = shards[fastrand::usize(..shards.len())].clone();
            events += (good + bad) as u64;
            records.push(Put { shard, data: payload.bytes, good, bad });
        }
        stream.put(records).await?;
    }
    Ok(())
}
