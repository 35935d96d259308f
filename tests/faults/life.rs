//! What a worker owes to whoever starts and ends it: systemd, which is told over a socket, and EC2,
//! whose notices it heeds.

use std::collections::{BTreeMap, BTreeSet};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::faults::{Api, Fault, Rule};
use tests::metadata::{self, Metadata};
use tests::workers::{self, Worker};
use tests::{emulators, leases, scratch, wait};

use crate::stage::{Config, SOON, Stage, TABLE};

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_of_a_life() -> Result<()> {
    scratch::run(async |scratch| be_supervised(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_ec2_start_the_drain() -> Result<()> {
    let Some(mock) = metadata::program() else {
        println!("notices of EC2 are left out: the mock is not built (tests/run does it)");
        return Ok(());
    };
    scratch::run(async |scratch| heed(&mock, scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_go_to_statsd() -> Result<()> {
    scratch::run(async |scratch| count(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_one_line_until_there_are_others() -> Result<()> {
    scratch::run(async |scratch| expire(scratch).await).await
}

async fn expire(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let config = stage.config().with("admin.patience", "1s");
    let mut worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    const WORDS: &str = "The security token included in the request is expired";
    let expired = Fault::Refuse(400, "ExpiredTokenException", WORDS);
    stage.faults.add(Rule::all(Api::Kinesis, expired.clone()));
    stage.faults.add(Rule::all(Api::Dynamodb, expired));
    stage.faults.add(Rule::all(Api::S3, Fault::Refuse(400, "ExpiredToken", WORDS)));
    producer.send_up_to(20).await?;
    wait::until("reasons", SOON, async || {
        let answer = worker.get("/ready").await?;
        let told = |what: &str| {
            answer.body.lines().any(|line| line.contains(what) && line.contains("ExpiredToken"))
        };
        Ok((told("stream payloads, reading") && told("table leases")).then_some(()))
    })
    .await?;
    stage.faults.clear();
    stage.wait_until_stored(&producer).await?;
    let status = worker.terminate(SOON).await?;
    let log = worker.log()?;
    ensure!(status.success(), "{status}: {log}");
    let about: Vec<&str> = log.lines().filter(|line| line.contains("ExpiredToken")).collect();
    // One of the worker, and those of the keeper of its leases.
    let own = about.iter().filter(|line| line.contains("\"what\":\"AWS credentials\"")).count();
    ensure!(own == 1 && about.len() <= 3, "{about:#?}");
    Ok(())
}

/// Where a supervisor listens.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn listen(address: &SocketAddr) -> Result<Supervisor> {
        let socket = UnixDatagram::bind_addr(address)?;
        socket.set_nonblocking(true)?;
        Ok(Supervisor(socket))
    }

    /// The lines that have come since the last time.
    fn heard(&self) -> Vec<String> {
        let mut datagram = [0; 4096];
        let datagrams = std::iter::from_fn(|| {
            let length = self.0.recv(&mut datagram).ok()?;
            Some(String::from_utf8_lossy(&datagram[..length]).into_owned())
        });
        datagrams.flat_map(|one| one.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Waits for a line that begins so; answers with all up to it.
    async fn wait_for(&self, line: &str) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let waited = wait::until(line, SOON, async || {
            all.extend(self.heard());
            Ok(all.iter().any(|told| told.starts_with(line)).then_some(()))
        })
        .await;
        waited.with_context(|| format!("{all:#?}"))?;
        Ok(all)
    }
}

async fn be_supervised(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let name = format!("snowmelt-test-{}", std::process::id());
    let path = scratch.join("notify");
    for (socket, address) in [
        (path.display().to_string(), SocketAddr::from_pathname(&path)?),
        (format!("@{name}"), SocketAddr::from_abstract_name(&name)?),
    ] {
        let supervisor = Supervisor::listen(&address)?;
        // It starts in an outage, which it outlives.
        stage.faults.add(Rule::all(Api::Kinesis, Fault::BROKEN));
        let admin = emulators::free_address()?;
        let mut command = workers::snowmelt()?;
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1500000");
        let text = stage.config().named("worker", admin);
        let mut worker = Worker::spawn("worker", admin, &text, scratch, command, None)?;
        supervisor.wait_for("EXTEND_TIMEOUT_USEC=").await?;
        let told = supervisor.wait_for("STATUS=not ready: stream payloads").await?;
        ensure!(!told.iter().any(|line| line == "READY=1"), "{told:#?}");
        stage.faults.clear();
        supervisor.wait_for("READY=1").await?;
        ensure!(worker.get("/ready").await?.status == 200, "it says so too early");
        supervisor.wait_for("WATCHDOG=1").await?;

        // Who stands still is silent, and goes on where it stood.
        worker.signal("STOP")?;
        let quiet = wait::until("silence", SOON, async || {
            supervisor.heard();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            Ok(supervisor.heard().is_empty().then_some(()))
        });
        let quiet = quiet.await;
        worker.signal("CONT")?;
        quiet?;
        supervisor.wait_for("WATCHDOG=1").await?;

        let status = worker.terminate(SOON).await?;
        ensure!(status.success(), "{status}: {}", worker.log()?);
        let told = supervisor.wait_for("STOPPING=1").await?;
        ensure!(told.iter().any(|line| line == "EXTEND_TIMEOUT_USEC=75000000"), "{told:#?}");
    }
    Ok(())
}

/// Everything of it can be seen from outside: events go on, leases are free, the process is gone.
async fn heed(mock: &Path, scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let mut producer = stage.producer();
    let config = stage.config().with("aws.autoscaling_endpoint_url", stage.aws.s3_url.clone());
    let hook: toml::Table = toml::from_str("group = \"fleet\"\nname = \"drain\"")?;
    let group = config.clone().with("life.notices", vec!["group"]).with("life.hook", hook.clone());
    // Each first leaves the worker time to take its lease.
    for (args, config, notice, completed) in [
        (
            &["spot", "-d", "8", "--rebalance-delay-sec", "600"][..],
            config.clone().with("life.notices", vec!["spot", "rebalance"]),
            "spot",
            false,
        ),
        (
            &["spot", "-d", "600", "--rebalance-delay-sec", "8"],
            config.clone().with("life.notices", vec!["rebalance"]),
            "rebalance",
            false,
        ),
        (&["asglifecycle", "--asg-termination-delay-sec", "8"], group.clone(), "group", true),
    ] {
        let metadata = Metadata::start(mock, args, scratch).await?;
        let mut worker = start_on(&stage, &config, &metadata)?;
        worker.wait_until_live().await?;
        stage.wait_until_held(&worker, 1).await.with_context(|| notice)?;
        producer.send_up_to(producer.sent.len() as u32 + 20).await?;
        let status = worker.end(SOON).await?;
        let log = worker.log()?;
        ensure!(status.success(), "{notice}: {status}: {log}");
        ensure!(log.contains(&format!("\"notice\":\"{notice}\"")), "{notice}: {log}");
        ensure!(log.contains("the lifecycle hook is completed") == completed, "{notice}: {log}");
        let left = leases::read(&stage.aws.dynamodb, TABLE).await?;
        ensure!(left.values().all(|lease| lease.owner.is_none()), "{notice}: {left:?}");
    }

    // Started again on a machine that is to go, it takes nothing.
    let metadata = Metadata::start(mock, &["asglifecycle"], scratch).await?;
    let mut worker = start_on(&stage, &group, &metadata)?;
    let status = worker.end(SOON).await?;
    let log = worker.log()?;
    ensure!(status.success() && !log.contains("lease held"), "{status}: {log}");
    ensure!(log.contains("the lifecycle hook is completed"), "{log}");

    // Where another notice came first, it stays for the group's until it is asked to end.
    let metadata = Metadata::start(mock, &["spot"], scratch).await?;
    let config = config.with("life.notices", vec!["spot", "group"]).with("life.hook", hook);
    let mut worker = start_on(&stage, &config, &metadata)?;
    wait::until("the notice", SOON, async || {
        Ok(worker.log()?.contains("\"notice\":\"spot\"").then_some(()))
    })
    .await?;
    ensure!(worker.ended()?.is_none(), "it stays");
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);

    // Without a metadata service the work goes on, and one line a minute says so.
    drop(metadata);
    let nowhere = format!("http://{}", emulators::free_address()?);
    let mut worker = start_at(&stage, &group, &nowhere)?;
    worker.wait_until_live().await?;
    stage.wait_until_held(&worker, 1).await?;
    stage.wait_until_stored(&producer).await?;
    let status = worker.terminate(SOON).await?;
    let log = worker.log()?;
    ensure!(status.success(), "{status}: {log}");
    let told = log.lines().filter(|line| line.contains("instance metadata")).count();
    ensure!((1..=2).contains(&told), "{told}: {log}");
    Ok(())
}

fn start_on(stage: &Stage<'_>, config: &Config, metadata: &Metadata) -> Result<Worker> {
    start_at(stage, config, &metadata.url)
}

fn start_at(stage: &Stage<'_>, config: &Config, metadata: &str) -> Result<Worker> {
    let mut command = workers::snowmelt()?;
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    let admin = emulators::free_address()?;
    let text = config.named("worker", admin);
    Worker::spawn("worker", admin, &text, stage.scratch, command, None)
}

async fn count(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let config = stage.config().with("metrics.statsd", server.local_addr()?.to_string());
    let tags: toml::Table = toml::from_str("env = \"test\"")?;
    let config = config.with("metrics.period", "1s").with("metrics.tags", tags);
    let mut worker = stage.start("worker", &config).await?;
    let mut producer = stage.producer();
    producer.send_up_to(200).await?;
    stage.wait_until_stored(&producer).await?;
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    let (mut sums, mut gauges) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    let mut datagram = [0; 512];
    while let Ok(length) = server.try_recv(&mut datagram) {
        let line = String::from_utf8_lossy(&datagram[..length]).into_owned();
        let parts = line.strip_prefix("snowplow.enrich.").and_then(|rest| rest.split_once(':'));
        let (name, rest) = parts.with_context(|| line.clone())?;
        let value: Vec<&str> = rest.split('|').collect();
        ensure!(value.last() == Some(&"#env:test") && value.len() == 3, "{line}");
        match value[1] {
            "c" => *sums.entry(name.to_owned()).or_default() += value[0].parse::<u64>()?,
            _ => drop(gauges.insert(name.to_owned())),
        }
    }
    let sum = |name: &str| sums.get(name).copied().unwrap_or_default();
    ensure!(sum("good") + sum("bad") == 200, "{sums:?}");
    ensure!(sum("raw") > 0 && sum("good_bytes") > 100 * sum("good"), "{sums:?}");
    let expected = ["e2e_latency_millis", "latency", "latency_millis"];
    ensure!(gauges.iter().eq(expected), "{gauges:?}");
    Ok(())
}
