//! How YAUAA comes to what it says of a user agent: the parts that its rules can name, the matchers
//! that fired, the fields.

use enrichments::{Configuration, Enrichments, Explained};
use serde_json::{Value, json};

use super::tree::shown;
use crate::exit::Usage;
use crate::rules::Rules;

/// The name of the enrichment's configuration.
const STEP: &str = "yauaa_enrichment_config";

/// What to do where the enrichment is not configured.
const HOW: &str = "--user-agent is read by YAUAA: name a folder of assets that holds the library's \
                   jar (--assets DIR, with yauaa-7.31.0.jar in it), or a folder of configurations \
                   of which one is yauaa_enrichment_config (--enrichments DIR); where the jar is \
                   published is told in docs/enrichments/yauaa.md";

/// A user agent, and the headers in which its browser says more.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// A user agent, to be explained in place of a record: its parts by YAUAA's grammar, the
    /// matchers that fired with their weights, and the fields.
    #[arg(long, group = "spoken", conflicts_with = "input", value_name = "TEXT")]
    user_agent: Option<String>,
}

impl Args {
    /// The account, if a user agent was given.
    pub(super) fn account(
        &self,
        headers: &[String],
        rules: &Rules,
    ) -> anyhow::Result<Option<Explained>> {
        let Some(text) = &self.user_agent else { return Ok(None) };
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|header| header_of(header)).collect::<Result<_, _>>()?;
        let configuration = match (rules.configuration()?, &rules.assets) {
            (Some(configuration), _) if configuration.steps().contains(&STEP) => {
                configuration.alone(Some(STEP))
            }
            (None, Some(_)) => Configuration::of_user_agents(),
            _ => return Err(Usage(HOW.to_owned()).into()),
        };
        let opened = Enrichments::open(configuration, rules.assets.as_deref());
        let enrichments = opened.map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Usage(errors.join("\n"))
        })?;
        Ok(enrichments.explain_useragent(text, &headers))
    }
}

/// A header's name and value.
fn header_of(header: &str) -> Result<(&str, &str), Usage> {
    let parts = header.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    parts.ok_or_else(|| {
        Usage(format!(
            "--header: expected NAME: VALUE, as in \"Sec-CH-UA-Mobile: ?0\", found {header:?}"
        ))
    })
}

/// The account as JSON, whole.
pub(super) fn json(explained: &Explained) -> Value {
    let Explained { version, parts, matchers, fields } = explained;
    let parts = parts.iter().map(|(path, text)| json!({"path": path, "text": text}));
    let set = |set: &[(String, String, i64)]| {
        let one = |(field, value, weight): &(String, String, i64)| {
            (field.clone(), json!({"value": value, "weight": weight}))
        };
        Value::Object(set.iter().map(one).collect())
    };
    let matchers = matchers.iter().map(|one| json!({"rule": one.place, "sets": set(&one.set)}));
    json!({
        "rules": format!("7.{version}"),
        "parts": parts.collect::<Vec<_>>(),
        "matchers": matchers.collect::<Vec<_>>(),
        "fields": set(fields),
    })
}

/// The account as lines; fields that have no value of their own only where `all` are asked for.
pub(super) fn text(explained: &Explained, all: bool) -> String {
    let quoted = |text: &str| shown(&Value::String(text.to_owned()));
    let mut lines = vec![format!("rules of YAUAA 7.{}", explained.version), "parts".to_owned()];
    for (path, text) in &explained.parts {
        let (above, last) = path
            .rsplit_once(".(")
            .map_or(("", path.clone()), |(above, last)| (above, format!("({last}")));
        let depth = if above.is_empty() { 0 } else { above.matches(".(").count() + 1 };
        lines.push(format!("  {}{last}: {}", "  ".repeat(depth), quoted(text)));
    }
    lines.push("matchers that fired, with weights".to_owned());
    let field = |(field, value, weight): &(String, String, i64)| {
        format!("{field}: {}  ({weight})", quoted(value))
    };
    for one in &explained.matchers {
        lines.push(format!("  {}", one.place));
        lines.extend(one.set.iter().map(|set| format!("    {}", field(set))));
    }
    lines.push("fields".to_owned());
    let fields = explained.fields.iter().filter(|(.., weight)| all || *weight >= 0);
    lines.extend(fields.map(|one| format!("  {}", field(one))));
    lines.join("\n")
}
