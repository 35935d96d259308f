//! What is read from buckets, against an emulator of S3: schemas by the commands, assets by what
//! keeps them fresh in a worker; how what is written there is encrypted; and tables whose files are
//! there.

#[path = "buckets/catalogs.rs"]
mod catalogs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use enricher::assets::source::{Fetched, Fetcher, Source};
use enricher::assets::{Assets, Settings};
use enricher::batch::{Arrival, Batch, Record};
use enricher::metrics::Metrics;
use enricher::process::this_program;
use enricher::sink::s3::Bucket;
use enrichments::{Configuration, Enrichments, Options};
use event::Field;
use lease::{Position, SequenceNumber, ShardId};
use pipeline::{Outcome, Pipeline};
use resolver::Resolver;
use tests::emulators::Emulators;
use tests::{scratch, wait, workers};
use traffic::requests;

const BUCKET: &str = "assets";
const KEY: &str = "lists/referers.json";
const NAME: &str = "referers.json";

// Many times what it takes.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn schemas_in_a_bucket_are_listed_shown_and_pulled() -> Result<()> {
    scratch::run(async |scratch| read_bucket_of_schemas(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changed_takes_over_and_the_same_one_is_not_fetched_again() -> Result<()> {
    scratch::run(async |scratch| follow_an_object(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_object_leaves_the_last_good_one_in_use() -> Result<()> {
    scratch::run(async |scratch| survive_a_broken_object(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_kept_until_it_is_too_old() -> Result<()> {
    scratch::run(async |scratch| outlive_an_object(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn enrich_fetches_assets_from_a_bucket() -> Result<()> {
    scratch::run(async |scratch| enrich_from_a_bucket(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn enrich_reads_objects_like_files() -> Result<()> {
    scratch::run(async |scratch| enrich_objects(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_encrypted_with_the_key_that_is_named() -> Result<()> {
    scratch::run(async |scratch| encrypt_objects(scratch).await).await
}

/// An object says with which key it was encrypted; one without a key of ours has the bucket's way.
async fn encrypt_objects(scratch: &Path) -> Result<()> {
    const KMS_KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef";
    let aws = Emulators::start(scratch).await?;
    aws.create_bucket(BUCKET).await?;
    for key in [None, Some(KMS_KEY)] {
        let bucket = Bucket::new(aws.s3.clone(), BUCKET).with_kms_key(key.map(str::to_owned));
        let name = format!("object-{}", key.is_some());
        let put = bucket.put(&name, Bytes::from_static(b"x")).await;
        ensure!(put.is_ok(), "{put:?}");
        let head = aws.s3.head_object().bucket(BUCKET).key(&name).send().await?;
        ensure!(head.ssekms_key_id() == key, "{name}: {head:?}");
    }
    Ok(())
}

async fn read_bucket_of_schemas(scratch: &Path) -> Result<()> {
    let aws = Emulators::start(scratch).await?;
    aws.create_bucket("schemas").await?;
    let plain = r#"{"type":"integer"}"#;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, br#"{"type":"string"}"#)?;
    let packed = packed.finish()?;
    let put = |name: &str| {
        let key = format!("iglu/schemas/com.acme/{name}/jsonschema/1-0-0");
        aws.s3.put_object().bucket("schemas").key(key)
    };
    put("plain").body(plain.as_bytes().to_vec().into()).send().await?;
    put("packed").body(packed.into()).content_encoding("gzip").send().await?;
    let config = serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
        "data": {"cacheSize": 500, "cacheTtl": 600, "repositories": [{
            "name": "Bucket", "priority": 0, "vendorPrefixes": ["com.acme"], "connection":
            {"s3": {"bucket": "schemas", "prefix": "iglu", "endpoint": aws.s3_url, "pathStyle": true}},
        }]}
    });
    let resolver = scratch.join("resolver.json");
    std::fs::write(&resolver, config.to_string())?;
    let run = |args: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = workers::snowmelt()?;
        let output = command.arg("schemas").args(args).arg("--resolver").arg(&resolver).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, listed) = run(&["list", "--vendor", "com.acme"])?;
    ensure!(code == Some(0) && listed.lines().count() == 3, "{code:?} {listed}");
    for (name, text) in [("plain", plain), ("packed", r#"{"type":"string"}"#)] {
        let (code, shown) = run(&["show", &format!("iglu:com.acme/{name}/jsonschema/1-0-0")])?;
        ensure!(code == Some(0) && shown.trim() == text, "{name}: {code:?} {shown}");
    }
    let (code, _) = run(&["show", "iglu:com.acme/none/jsonschema/1-0-0"])?;
    ensure!(code == Some(65), "missing: {code:?}");
    let bundle = scratch.join("bundle").display().to_string();
    let (code, said) = run(&["pull", "--all", "--output", &bundle])?;
    ensure!(code == Some(0), "{said}");
    let lines = std::fs::read_to_string(&bundle)?;
    ensure!(lines.contains("iglu:com.acme/packed/jsonschema/1-0-0"), "{said}");
    Ok(())
}

async fn follow_an_object(scratch: &Path) -> Result<()> {
    let place = Place::with(scratch, &list("One")).await?;
    let (mut assets, enrichments) = place.open(None).await?;
    ensure!(source_of(enrichments)? == "One");
    ensure!(refreshed(&mut assets).await.is_none(), "nothing has changed");
    place.counted("unchanged", 1)?;
    place.put(&list("Two")).await?;
    let enrichments = refreshed(&mut assets).await.context("it has changed")?;
    ensure!(source_of(enrichments)? == "Two");
    place.counted("replaced", 2)?;

    let source = Source::parse(&format!("s3://{BUCKET}/{KEY}")).context("it is a source")?;
    let fetcher = place.fetcher()?;
    let (first, second) = (scratch.join("first"), scratch.join("second"));
    let fetched = fetcher.fetch(&source, None, &first).await.map_err(anyhow::Error::msg)?;
    let Fetched::Another(edition) = fetched else { anyhow::bail!("nothing was known") };
    let again =
        fetcher.fetch(&source, Some(&edition), &second).await.map_err(anyhow::Error::msg)?;
    ensure!(again == Fetched::Unchanged && first.exists() && !second.exists(), "{again:?}");
    Ok(())
}

async fn survive_a_broken_object(scratch: &Path) -> Result<()> {
    let place = Place::with(scratch, &list("One")).await?;
    let (mut assets, _) = place.open(None).await?;
    let whole = list("Two");
    for (n, broken) in ["", "no list", &whole[..whole.len() / 2]].iter().enumerate() {
        place.put(broken).await?;
        ensure!(refreshed(&mut assets).await.is_none(), "{broken:?} was taken");
        ensure!(place.kept() == Some(list("One")), "{broken:?} has taken the place");
        place.counted("broken", n + 1)?;
    }
    let (_, enrichments) = place.open(None).await.context("a start while it is broken")?;
    ensure!(source_of(enrichments)? == "One");
    place.put(&whole).await?;
    let enrichments = refreshed(&mut assets).await.context("it is whole now")?;
    ensure!(source_of(enrichments)? == "Two");
    Ok(())
}

async fn outlive_an_object(scratch: &Path) -> Result<()> {
    let place = Place::with(scratch, &list("One")).await?;
    let (mut assets, _) = place.open(Some(Duration::from_secs(3600))).await?;
    place.delete().await?;
    ensure!(refreshed(&mut assets).await.is_none(), "an outage is no reason to delete");
    place.counted("failed", 1)?;
    place.metric("snowmelt_assets_missing 0")?;

    place.put(&list("One")).await?;
    let (mut assets, _) = place.open(Some(Duration::from_millis(1))).await?;
    place.delete().await?;
    let without =
        wait::until("the end of the asset", SOON, async || Ok(refreshed(&mut assets).await));
    ensure!(source_of(without.await?)?.is_empty(), "enrichments do without it");
    ensure!(place.kept().is_none(), "it was not deleted");
    place.metric("snowmelt_assets_missing 1")?;
    place.counted("expired", 1)?;

    place.put(&list("Two")).await?;
    let enrichments = refreshed(&mut assets).await.context("there is another")?;
    ensure!(source_of(enrichments)? == "Two");
    place.metric("snowmelt_assets_missing 0")
}

/// What `enrich` makes of an object, of those below a name, and of what is not there.
async fn enrich_objects(scratch: &Path) -> Result<()> {
    let aws = Emulators::start(scratch).await?;
    aws.create_bucket("payloads").await?;
    let (text, bin) = (scratch.join("p.txt"), scratch.join("p.bin"));
    for (file, seed) in [(&text, "1"), (&bin, "2")] {
        let mut generate = workers::snowmelt()?;
        generate.args(["generate", "--events", "300", "--seed", seed, "--output"]).arg(file);
        ensure!(generate.output()?.status.success(), "payloads were not made");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &std::fs::read(&bin)?)?;
    for (key, body) in [
        ("in/1/a.txt", std::fs::read(&text)?),
        ("in/2.gz", packed.finish()?),
        ("in/_manifests/m.json", b"{}".to_vec()),
        ("in/.hidden", b"no record".to_vec()),
        ("in/folder/", Vec::new()),
        ("inside", b"no record".to_vec()),
    ] {
        aws.s3.put_object().bucket("payloads").key(key).body(body.into()).send().await?;
    }
    let url = aws.s3_url.clone();
    let enrich = async |inputs: Vec<PathBuf>| -> Result<(Option<i32>, Vec<u8>, String)> {
        let mut enrich = workers::snowmelt()?;
        enrich.env("AWS_ENDPOINT_URL_S3", &url).args(["enrich", "--now", "0", "--input"]);
        enrich.args(inputs);
        let output = tokio::task::spawn_blocking(move || enrich.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), output.stdout, said))
    };
    for (name, files) in [
        ("s3://payloads/in", vec![text.clone(), bin.clone()]),
        ("s3://payloads/in/", vec![text.clone(), bin.clone()]),
        ("s3://payloads/in/1/a.txt", vec![text.clone()]),
        ("s3://payloads/in/2.gz", vec![bin.clone()]),
    ] {
        let (code, wanted, said) = enrich(files).await?;
        ensure!(code == Some(0) && !wanted.is_empty(), "{said}");
        let (code, found, said) = enrich(vec![name.into()]).await?;
        ensure!(code == Some(0), "{name}: {code:?} {said}");
        ensure!(found == wanted, "{name}: {} bytes, not {}", found.len(), wanted.len());
    }
    for (name, exit, word) in [
        ("s3://payloads/none", 64, "found none"),
        ("s3://", 64, "expected s3://BUCKET/NAME"),
        ("s3://nowhere/in", 1, "cannot list s3://nowhere/in: NoSuchBucket"),
    ] {
        let (code, _, said) = enrich(vec![name.into()]).await?;
        ensure!(code == Some(exit) && said.contains(word), "{name}: {code:?} {said}");
        ensure!(said.lines().count() == 1, "{said}");
    }
    Ok(())
}

async fn enrich_from_a_bucket(scratch: &Path) -> Result<()> {
    let place = Place::with(scratch, &list("One")).await?;
    let payloads = scratch.join("payloads.txt");
    std::fs::write(&payloads, event::base64::encode(&payload()))?;
    let mut enrich = workers::snowmelt()?;
    enrich.env("AWS_ENDPOINT_URL_S3", &place.aws.s3_url).arg("enrich");
    enrich.arg("--enrichments").arg(&place.configs).arg("--input").arg(&payloads);
    let output = tokio::task::spawn_blocking(move || enrich.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = output.stdout.strip_suffix(b"\n").context("no line")?;
    ensure!(source_in(line)? == "One");
    Ok(())
}

/// A bucket with an asset, a configuration that names it, and a folder to keep it in.
struct Place {
    aws: Emulators,
    configs: PathBuf,
    folder: PathBuf,
    metrics: Arc<Metrics>,
}

impl Place {
    async fn with(scratch: &Path, body: &str) -> Result<Place> {
        let aws = Emulators::start(scratch).await?;
        aws.create_bucket(BUCKET).await?;
        let configs = scratch.join("enrichments");
        std::fs::create_dir(&configs)?;
        let config = serde_json::json!({
            "schema": "iglu:com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0",
            "data": {"enabled": true, "parameters": {
                "internalDomains": [], "database": NAME, "uri": format!("s3://{BUCKET}/lists"),
            }},
        });
        std::fs::write(configs.join("referer_parser.json"), config.to_string())?;
        let folder = scratch.join("kept");
        let place = Place { aws, configs, folder, metrics: Arc::new(Metrics::new()) };
        place.put(body).await?;
        Ok(place)
    }

    async fn put(&self, body: &str) -> Result<()> {
        let put = self.aws.s3.put_object().bucket(BUCKET).key(KEY);
        put.body(body.as_bytes().to_vec().into()).send().await?;
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        self.aws.s3.delete_object().bucket(BUCKET).key(KEY).send().await?;
        Ok(())
    }

    fn fetcher(&self) -> Result<Fetcher> {
        Fetcher::new(Some(self.aws.s3.clone())).map_err(anyhow::Error::msg)
    }

    async fn open(&self, max_age: Option<Duration>) -> Result<(Assets, Enrichments)> {
        let configuration = Configuration::read(&self.configs, &Options::default());
        let configuration = configuration.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let folder = self.folder.clone();
        let settings = Settings { folder, refresh: Duration::from_secs(3600), max_age };
        let metrics = Arc::clone(&self.metrics);
        Ok(Assets::open(configuration, settings, self.fetcher()?, metrics).await?)
    }

    fn kept(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(NAME)).ok()
    }

    fn counted(&self, event: &str, times: usize) -> Result<()> {
        self.metric(&format!("snowmelt_asset_events_total{{event=\"{event}\"}} {times}"))
    }

    fn metric(&self, line: &str) -> Result<()> {
        let page = self.metrics.text();
        ensure!(page.lines().any(|found| found == line), "no {line} in {page}");
        Ok(())
    }
}

/// A list of referers that knows one host, by a name.
fn list(source: &str) -> String {
    format!(r#"{{"search":{{"{source}":{{"domains":["found.example"],"parameters":["q"]}}}}}}"#)
}

/// What one look at the bucket hands over.
async fn refreshed(assets: &mut Assets) -> Option<Enrichments> {
    let mut handed_over = None;
    assets.refresh(|enrichments| handed_over = Some(enrichments)).await;
    handed_over
}

/// The `refr_source` of the [`payload`] after these enrichments.
fn source_of(enrichments: Enrichments) -> Result<String> {
    let data = Bytes::from(payload());
    let sequence = SequenceNumber::parse("1").context("a number")?;
    let end = Position::After { sequence: sequence.clone(), sub_sequence: 0 };
    let records = vec![Record { sequence, sub_sequence: 0, arrival: Arrival::default(), data }];
    let batch = Batch { shard: ShardId::new("shard"), records, lag: None, end };
    let pipeline = Pipeline::new(pipeline::Settings::new(this_program()), Arc::new(enrichments));
    let outcome =
        pipeline.process(&batch.view(), &Resolver::embedded().schemas(), 1_714_558_272_345);
    let Outcome::Done(output) = outcome else { anyhow::bail!("page views need no schema") };
    let line = output.enriched.iter().next().context("no event was enriched")?;
    source_in(line)
}

/// A page view by somebody who came from the host in the list.
fn payload() -> Vec<u8> {
    let query = "e=pv&p=web&tv=t&refr=https%3A%2F%2Ffound.example%2F%3Fq%3Dx";
    requests::record(&requests::get("/i", query))
}

fn source_in(line: &[u8]) -> Result<String> {
    let columns = event::tsv::columns(std::str::from_utf8(line)?).context("131 columns")?;
    Ok(columns[Field::RefrSource as usize].to_owned())
}
