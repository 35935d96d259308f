//! `snowmelt schemas list` and `show`.

use std::process::ExitCode;

use resolver::Unlisted;
use serde_json::json;

use super::{Named, Sources, Table, named};
use crate::exit::EXIT_UNAVAILABLE;
use crate::terminal;

/// What `snowmelt schemas list` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only vendors that begin with this.
    #[arg(long, default_value = "", value_name = "PREFIX")]
    vendor: String,
    #[command(flatten)]
    sources: Sources,
}

/// What `snowmelt schemas show` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The schema's Iglu URI.
    #[arg(value_name = "URI")]
    schema: String,
    #[command(flatten)]
    sources: Sources,
}

/// Runs `snowmelt schemas list`.
pub(super) async fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["SCHEMA", "REGISTRY"]);
    let (mut documents, mut failed) = (Vec::new(), false);
    for listed in args.sources.resolver()?.list().await {
        let document = match listed.keys {
            Ok(keys) => {
                let wanted = keys.iter().filter(|key| key.vendor.starts_with(&args.vendor));
                let uris: Vec<String> = wanted.map(ToString::to_string).collect();
                for uri in &uris {
                    table.row([uri, &listed.registry]);
                }
                json!({"registry": listed.registry, "schemas": uris})
            }
            Err(why) => {
                failed |= matches!(why, Unlisted::Failed(_));
                terminal::note(&format!("snowmelt: {}: {why}", listed.registry));
                json!({"registry": listed.registry, "error": why.to_string()})
            }
        };
        documents.push(document);
    }
    args.sources.print(&table, documents.into());
    Ok(if failed { ExitCode::from(EXIT_UNAVAILABLE) } else { ExitCode::SUCCESS })
}

/// Runs `snowmelt schemas show`.
pub(super) async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    super::parse_key(&args.schema)?;
    let named = match named(&args.schema, &args.sources.resolver()?).await? {
        Ok(named) => named,
        Err(why) => return Ok(why.report()),
    };
    let Named { name, text, registry, .. } = named;
    let registry = registry.unwrap_or_default();
    if args.sources.json {
        let schema: serde_json::Value = serde_json::from_str(&text)?;
        let document = json!({"uri": name, "registry": registry, "schema": schema});
        terminal::line(&document.to_string());
    } else {
        terminal::tell(&format!("{name} from {registry}"));
        terminal::line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
