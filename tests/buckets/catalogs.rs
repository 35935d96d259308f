//! Catalogs on the network: writers at the same time, owners and former owners, columns that are
//! added. Glue is an emulator's that holds a change to the version that it was made of, and so are
//! tables in S3. What no emulator here does is run by hand, against a server that somebody starts:
//! see the tests that are left out.

#[path = "catalogs/gate.rs"]
mod gate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field as Column, Schema};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use columns::{Field, Type};
use gate::{CLIENT, Gate};
use lakehouse::{
    Access, Auth, Aws, Buckets, CatalogConfig, GlueConfig, Growing, Lake, Mark, Move, Piece,
    Places, RestConfig, Secret, Settled, Shard, TableBucket,
};
use tests::emulators::{Emulators, REGION, s3_at};
use tests::{scratch, workers};
use tokio::task::JoinSet;

/// Commits of each writer, of which there are two.
const COMMITS: usize = 6;

// Many times what a request takes.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn tables_in_glue_hold_every_row_once() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let aws = Emulators::start(scratch).await?;
        aws.create_bucket("lake").await?;
        let warehouse = "s3://lake/tables/".to_owned();
        let config = CatalogConfig::Glue(GlueConfig { catalog: None, warehouse });
        hold_and_grow(&config, &access(aws.s3.clone(), &aws.s3_url)?).await
    })
    .await
}

/// As whoever runs the programs meets them: what is there already is not appended again, and a
/// query counts what is there.
#[tokio::test(flavor = "multi_thread")]
async fn enrich_appends_to_tables_in_glue_once() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let aws = Emulators::start(scratch).await?;
        aws.create_bucket("lake").await?;
        let place = |name: &str| scratch.join(name).display().to_string();
        let (payloads, ids) = (place("payloads.bin"), place("ids.txt"));
        let run = |args: &[&str]| -> Result<()> {
            let mut command = workers::snowmelt()?;
            let output = command.args(args).env("AWS_ENDPOINT_URL", &aws.s3_url).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        let asked = ["--data", "glue:s3://lake/tables", "--endpoint-url", &aws.s3_url];
        let said = count(&asked, &[], "events").expect_err("nothing is there").to_string();
        ensure!(said.contains("none of the tables events, failed, bad"), "{said}");
        run(&["generate", "--events", "300", "--output", &payloads, "--ids", &ids])?;
        let output = place("out");
        let enrich = ["enrich", "--input", &payloads, "--format", "iceberg", "--output", &output];
        let enrich: Vec<&str> =
            enrich.into_iter().chain(["--catalog", "glue:s3://lake/tables"]).collect();
        run(&enrich)?;
        run(&enrich)?;
        ensure!(!scratch.join("out/catalog.db").exists());
        let warehouse = "s3://lake/tables".to_owned();
        let config = CatalogConfig::Glue(GlueConfig { catalog: None, warehouse });
        let access = access(aws.s3.clone(), &aws.s3_url)?;
        let sent = std::fs::read_to_string(ids)?.lines().count() as u64;
        let lake = Lake::open(config.open(access)?, "snowmelt", "events", &[]).await?;
        ensure!(sent > 200 && rows(&lake).await? == sent, "{} of {sent}", rows(&lake).await?);
        let counted = count(&asked, &[], "events")?;
        ensure!(counted == sent, "{counted} of {sent}");
        let pages = count(&asked, &[], "events WHERE event_name = 'page_view'")?;
        let others = count(&asked, &[], "events WHERE event_name <> 'page_view'")?;
        ensure!(pages > 0 && others > 0 && pages + others == sent, "{pages} and {others}");
        ensure!(count(&asked, &[], "bad JOIN events ON bad.app_id = events.event_id")? == 0);
        Ok(())
    })
    .await
}

/// How many rows the program that answers SQL finds.
fn count(place: &[&str], variables: &[(&str, &str)], of: &str) -> Result<u64> {
    let mut program = workers::query()?;
    program.args(place).args(["--quiet", "--format", "csv"]).envs(variables.iter().copied());
    let output = program.arg(format!("SELECT count(*) AS n FROM {of}")).output()?;
    ensure!(output.status.success(), "{of}: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout)?;
    Ok(told.strip_prefix("n\n").with_context(|| told.clone())?.trim().parse()?)
}

/// The emulator's tables of Glue, by the REST protocol, behind a gate whose tokens do not last. It
/// does not number schemas, as servers do, so that no column can be added there.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_rest_protocol_hold_every_row_once() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let aws = Emulators::start(scratch).await?;
        // It puts tables there, and would make the bucket in another region.
        aws.create_bucket("ministack-glue-warehouse").await?;
        let access = access(aws.s3.clone(), &aws.s3_url)?;
        let gate = Gate::before(format!("{}/iceberg", aws.s3_url), access.http.clone()).await?;
        let config = |secret: &str| {
            let (uri, warehouse) = (gate.url.clone(), Some("123456789012".to_owned()));
            CatalogConfig::Rest(RestConfig { uri, warehouse, auth: client(CLIENT.0, secret) })
        };
        let stranger = config("another secret").open(access.clone())?;
        let stranger = Lake::open(stranger, "snowmelt", "events", &[]).await;
        let refused = format!("{:?}", stranger.err().context("it was let in")?);
        ensure!(refused.contains("401 X: unknown client"), "{refused}");
        ensure!(!refused.contains("another secret"), "{refused}");

        let config = config(CLIENT.1);
        ensure!(!format!("{config:?}").contains(CLIENT.1), "{config:?}");
        let [lake, _] = hold_every_row_once(&config, &access).await?;
        ensure!(gate.given() > 3, "{} tokens", gate.given());

        let asked = ["--data", &gate.url, "--warehouse", "123456789012"];
        let known = format!("{}:{}", CLIENT.0, CLIENT.1);
        let variables =
            |client| [("AWS_ENDPOINT_URL", &*aws.s3_url), ("SNOWMELT_CATALOG_CLIENT", client)];
        let counted = count(&asked, &variables(&known), "events")?;
        ensure!(counted == rows(&lake).await?, "{counted}");
        let refused = count(&asked, &variables("x:another secret"), "events");
        let refused = refused.expect_err("it was let in").to_string();
        ensure!(refused.contains("401 X: unknown client"), "{refused}");
        ensure!(!refused.contains("another secret"), "{refused}");
        Ok(())
    })
    .await
}

/// `moto_server`, of the package `moto[server]`, checks the token of a change; the emulator that
/// other tests have does not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: SNOWMELT_S3TABLES is its address, and SNOWMELT_BUCKET a bucket's ARN"]
async fn tables_in_a_table_bucket_hold_every_row_once() -> Result<()> {
    let url = std::env::var("SNOWMELT_S3TABLES")?;
    let arn = std::env::var("SNOWMELT_BUCKET")?;
    let config = CatalogConfig::S3Tables(TableBucket::new(&arn).map_err(anyhow::Error::msg)?);
    hold_and_grow(&config, &access(s3_at(&url).await, &url)?).await?;
    let counted = count(&["--data", &arn, "--endpoint-url", &url], &[], "events")?;
    ensure!(counted == 2 * COMMITS as u64 + 1, "{counted}");
    Ok(())
}

/// Any server of the REST protocol whose tables are on this machine. With SNOWMELT_REST_CLIENT
/// (`ID:SECRET`) tokens are asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: SNOWMELT_REST is its address before /v1"]
async fn tables_of_a_server_hold_every_row_once() -> Result<()> {
    let uri = std::env::var("SNOWMELT_REST")?;
    let named = std::env::var("SNOWMELT_REST_CLIENT").ok();
    let auth = match named.as_deref().and_then(|client| client.split_once(':')) {
        None => Auth::None,
        Some((id, secret)) => client(id, secret),
    };
    let config = CatalogConfig::Rest(RestConfig { uri: uri.clone(), warehouse: None, auth });
    hold_and_grow(&config, &access(s3_at(&uri).await, &uri)?).await?;
    let client = named.as_deref().map(|client| ("SNOWMELT_CATALOG_CLIENT", client));
    let counted = count(&["--data", &uri], client.as_slice(), "events")?;
    ensure!(counted == 2 * COMMITS as u64 + 1, "{counted}");
    Ok(())
}

fn client(id: &str, secret: &str) -> Auth {
    let (id, secret) = (id.to_owned(), Secret(secret.to_owned()));
    Auth::Client { server: None, id, secret, scope: None, audience: None }
}

fn access(s3: aws_sdk_s3::Client, url: &str) -> Result<Access> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().timeout(SOON).build()?;
    let credentials = Credentials::new("test", "test", None, None, "tests");
    let aws = Aws {
        http: http.clone(),
        credentials: SharedCredentialsProvider::new(credentials),
        region: REGION.to_owned(),
        endpoint: Some(url.to_owned()),
    };
    let files = Arc::new(Places { buckets: Buckets::new(s3) });
    Ok(Access { files, http, aws: Some(aws) })
}

async fn hold_and_grow(config: &CatalogConfig, access: &Access) -> Result<()> {
    let [one, two] = hold_every_row_once(config, access).await?;
    let held = rows(&one).await?;
    let (wider, wide) = (columns(&["event_id", "more"]), columns(&["event_id", "most"]));
    let (first, second) = tokio::join!(one.evolve(&wider), two.evolve(&wide));
    first.and(second)?;
    let table = one.table().await?;
    let names = table.metadata().current_schema().as_struct().fields().iter();
    let names: Vec<&str> = names.map(|field| field.name.as_str()).collect();
    ensure!(names.len() == 3, "{names:?}");
    ensure!(rows(&one).await? == held);
    Ok(())
}

async fn hold_every_row_once(config: &CatalogConfig, access: &Access) -> Result<[Lake; 2]> {
    // Each has a catalog of its own, as processes have.
    let open = async || -> Result<Lake> {
        let catalog = config.open(access.clone())?;
        Ok(Lake::open(catalog, "snowmelt", "events", &columns(&["event_id"])).await?)
    };
    let (one, two) = tokio::join!(open(), open());
    let (one, two) = (one?, two?);
    ensure!(one.table().await?.metadata().uuid() == two.table().await?.metadata().uuid());

    let mut writers = JoinSet::new();
    for (name, lake) in [("a", one.clone()), ("b", two.clone())] {
        writers.spawn(async move { write(&lake, name).await });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let expected = 2 * COMMITS as u64;
    ensure!(rows(&one).await? == expected, "{} rows, not {expected}", rows(&one).await?);

    // Two that believe to own a shard: one of them appends.
    let at = one.positions().await?[&shard("a")].clone();
    let (mine, theirs) = (piece(&one, "a", &at, "x").await?, piece(&two, "a", &at, "y").await?);
    let summary = BTreeMap::new();
    let (mine, theirs) = ([mine], [theirs]);
    let (mine, theirs) = tokio::join!(one.append(&mine, &summary), two.append(&theirs, &summary));
    let settled = [mine?.remove(0), theirs?.remove(0)];
    let done = settled.iter().filter(|settled| matches!(settled, Settled::Committed)).count();
    ensure!(done == 1, "{settled:?}");
    ensure!(rows(&one).await? == expected + 1);

    // A new owner, and the old one, which has not heard of it.
    let at = one.positions().await?[&shard("a")].clone();
    let late = piece(&one, "a", &at, "late").await?;
    begin(&two, "a", 2).await?;
    let settled = one.append(&[late], &summary).await?.remove(0);
    ensure!(matches!(settled, Settled::Lost(_)), "{settled:?}");
    ensure!(rows(&one).await? == expected + 1);
    Ok([one, two])
}

fn columns(names: &[&str]) -> Vec<Field> {
    let column = |name: &&str| Field {
        keys: vec![(*name).to_owned()],
        name: (*name).to_owned(),
        ty: Type::String,
        nullable: true,
        description: Some("A text.".to_owned()),
    };
    names.iter().map(column).collect()
}

fn shard(name: &str) -> Shard {
    Shard::new("raw", name)
}

/// Brings a shard into an epoch, with no rows.
async fn begin(lake: &Lake, name: &str, epoch: u64) -> Result<Mark> {
    let from = lake.position(&shard(name)).await?;
    let place = from.clone().unwrap_or_default().place;
    let to = Mark { epoch, place };
    let moved = Move { shard: shard(name), from, to: to.clone() };
    let piece = Piece { moves: vec![moved], files: Vec::new() };
    let settled = lake.append(&[piece], &BTreeMap::new()).await?.remove(0);
    ensure!(matches!(settled, Settled::Committed), "{settled:?}");
    Ok(to)
}

/// Appends one row at a time.
async fn write(lake: &Lake, name: &str) -> Result<()> {
    let summary = BTreeMap::from([("by".to_owned(), name.to_owned())]);
    let mut at = begin(lake, name, 1).await?;
    for number in 0..COMMITS {
        let piece = piece(lake, name, &at, &number.to_string()).await?;
        let next = piece.moves[0].to.clone();
        let settled = lake.append(&[piece], &summary).await?.remove(0);
        ensure!(matches!(settled, Settled::Committed), "{name} {number}: {settled:?}");
        at = next;
    }
    Ok(())
}

async fn piece(lake: &Lake, name: &str, at: &Mark, place: &str) -> Result<Piece> {
    let ids = StringArray::from_iter_values([format!("{name}-{place}")]);
    let schema = Schema::new(vec![Column::new("event_id", DataType::Utf8, true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids)])?;
    let table = lake.table().await?;
    let mut file = Growing::begin(&table, warehouse::file::properties(1), 0, name)?;
    file.add(&batch.into())?;
    let to = Mark { epoch: at.epoch, place: place.to_owned() };
    let moved = Move { shard: shard(name), from: Some(at.clone()), to };
    Ok(Piece { moves: vec![moved], files: vec![file.finish().await?] })
}

/// How many rows the newest snapshot has.
async fn rows(lake: &Lake) -> Result<u64> {
    let table = lake.table().await?;
    let snapshot = table.metadata().current_snapshot().context("there is no snapshot")?;
    let list = table.manifest_list_reader(snapshot).load().await?;
    let mut rows = 0;
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(table.file_io()).await?;
        let alive = manifest.entries().iter().filter(|entry| entry.is_alive());
        for entry in alive {
            let size = table.file_io().new_input(entry.file_path())?.metadata().await?.size;
            ensure!(size == entry.data_file().file_size_in_bytes(), "{}", entry.file_path());
            rows += entry.data_file().record_count();
        }
    }
    Ok(rows)
}
