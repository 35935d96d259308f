//! What fails and comes back: requests and lines do not grow while it is away, and nothing is lost.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::faults::{Fault, Rule};
use tests::{scratch, wait};

use crate::stage::{SOON, Stage};

/// Batches that wait for the stream before requests are counted.
const BATCHES: u64 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_gets_one_request_at_a_time() -> Result<()> {
    scratch::run(async |scratch| fail_downstream(scratch).await).await
}

/// However many batches wait, what they ask together is what one probe asks: the count of requests
/// between two probes does not depend on how much piled up.
async fn fail_downstream(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 4).await?;
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 4).await?;
    stage.faults.add(Rule::of("PutRecords", Fault::BROKEN));
    let mut producer = stage.producer();
    let mut sent = 0;
    wait::until("batches that wait", SOON, async || {
        sent += 8;
        producer.send_up_to(sent).await?;
        let read = worker.metric("snowmelt_batches_read_total").await?;
        Ok((read >= BATCHES as f64).then_some(()))
    })
    .await?;
    // Delays are at their longest by now; a probe comes every 2.5 to 5 seconds.
    stage.faults.forget();
    let started = tokio::time::Instant::now();
    wait::until("some probes", SOON, async || {
        Ok((stage.faults.count("PutRecords").requests >= 3).then_some(()))
    })
    .await?;
    let took = started.elapsed();
    ensure!(took > Duration::from_secs(4), "three probes within {took:?}");
    let lines = worker.log()?.lines().filter(|line| line.contains("PutRecords")).count();
    ensure!(lines <= 2, "{lines} lines: {}", worker.log()?);
    stage.faults.clear();
    stage.wait_until_stored(&producer).await
}
