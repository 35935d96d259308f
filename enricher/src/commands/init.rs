//! `snowmelt init`: a folder to start from, with a worker's configuration, and enrichments with
//! those of our own switched on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::exit::Usage;
use crate::terminal;

/// What `snowmelt init` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder, made if it is not there. What is in it is never overwritten.
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// A database of places in the MaxMind format, which is copied into the folder's assets and
    /// switches on their look-up.
    #[arg(long, value_name = "FILE")]
    geo: Option<PathBuf>,
}

const WORKER: &str = include_str!("../../config/worker.toml");

/// The name under which `ip_lookups` knows a database of places.
const GEO: &str = "GeoLite2-City.mmdb";

/// Runs `snowmelt init`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let worker = args.dir.join("worker.toml");
    if worker.exists() {
        return Err(Usage(format!("{} is there already", worker.display())).into());
    }
    enrichments(&args.dir, args.geo.as_deref())?;
    write(&worker, &starter())?;
    let dir = args.dir.display();
    terminal::line(&format!("wrote {dir}/worker.toml and {dir}/enrichments"));
    terminal::tell("name your stream and buckets in worker.toml, then:");
    terminal::tell(&format!("snowmelt worker --config {dir}/worker.toml"));
    if args.geo.is_none() {
        terminal::tell(
            "places of addresses are off: see enrichments/ip_lookups.json, or give --geo",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes `enrichments/` and `assets/` into a folder, unless it has enrichments.
pub fn enrichments(dir: &Path, geo: Option<&Path>) -> anyhow::Result<()> {
    let (configs, assets) = (dir.join("enrichments"), dir.join("assets"));
    if configs.exists() {
        return Ok(());
    }
    for folder in [&configs, &assets] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if let Some(from) = geo {
        let to = assets.join(GEO);
        std::fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let uri = format!("file://{}", std::path::absolute(&assets)?.display());
    write(&configs.join("woothee.json"), &woothee())?;
    write(&configs.join("ip_lookups.json"), &ip_lookups(&uri, geo.is_some()))
}

/// The example, reading its folder's enrichments.
fn starter() -> String {
    let on = [
        ("# folder = \"enrichments\"", "folder = \"enrichments\""),
        ("# assets = \"assets\"", "assets = \"assets\""),
    ];
    on.iter().fold(WORKER.to_owned(), |text, (off, on)| text.replacen(off, on, 1))
}

fn woothee() -> String {
    serde_json::json!({
        "schema": "iglu:snowmelt/woothee_config/jsonschema/1-0-0",
        "data": {"enabled": true},
    })
    .to_string()
}

fn ip_lookups(uri: &str, enabled: bool) -> String {
    serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/ip_lookups/jsonschema/2-0-0",
        "data": {
            "vendor": "com.snowplowanalytics.snowplow", "name": "ip_lookups", "enabled": enabled,
            "parameters": {"geo": {"database": GEO, "uri": uri}},
        },
    })
    .to_string()
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = std::fs::File::create_new(path)
        .and_then(|mut file| file.write_all(format!("{}\n", text.trim_end()).as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use enrichments::{Configuration, Options};

    #[test]
    fn what_it_writes_can_be_read() {
        let config = crate::config::parse(&starter(), "worker.toml").expect("it is complete");
        assert!(config.enrichments.folder.is_some() && config.enrichments.assets.is_some());
        let dir = tempfile::tempdir().expect("a folder");
        let geo = dir.path().join("places.mmdb");
        std::fs::write(&geo, "a database").expect("a file");
        for (place, geo, steps) in [
            ("without", None, vec!["woothee_config"]),
            ("with", Some(geo.as_path()), vec!["woothee_config", "ip_lookups"]),
        ] {
            let place = dir.path().join(place);
            enrichments(&place, geo).expect("it is written");
            let read = Configuration::read(&place.join("enrichments"), &Options::default());
            assert_eq!(read.expect("it is right").steps(), steps);
        }
    }
}
