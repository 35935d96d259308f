//! What events are checked against and enriched with, and where it comes from.

use std::path::Path;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use event::SchemaKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Refused, broken, told, wrong};
use crate::rules::Rules;

/// Members of configurations whose values are nobody's business. Values that come by reference are
/// references here, too.
const SECRET: [&str; 5] = ["password", "apikey", "api_key", "secret", "token"];

/// The schemas that were asked for, and the enrichments.
pub(super) async fn rules(State(Api(parts)): State<Api>) -> Answer {
    let inquiry = parts.inquiry()?;
    let asked = inquiry.resolver.asked();
    let schemas: Vec<Value> = asked
        .into_iter()
        .map(|asked| {
            let key = asked.key.to_string();
            json!({"key": key, "registry": asked.registry, "unavailable": asked.open})
        })
        .collect();
    let registries: Vec<Value> = inquiry
        .resolver
        .figures()
        .registries
        .into_iter()
        .map(|registry| json!({"name": registry.name, "asked": registry.asked()}))
        .collect();
    let rules = inquiry.rules.clone();
    let read = tokio::task::spawn_blocking(move || enrichments(&rules)).await;
    let (enrichments, steps) = read.map_err(broken)?;
    Ok(told(&json!({
        "schemas": schemas,
        "registries": registries,
        "enrichments": enrichments,
        "steps": steps,
        "folder": inquiry.rules.enrichments.as_ref().map(|folder| folder.display().to_string()),
        "assets": inquiry.rules.assets.as_ref().map(|folder| folder.display().to_string()),
    })))
}

/// The configurations in the folder, and the steps that they come to.
fn enrichments(rules: &Rules) -> (Vec<Value>, Vec<&'static str>) {
    let files = rules.enrichments.as_deref().map(files).unwrap_or_default();
    let steps = rules.configuration().ok().flatten().map(|configuration| configuration.steps());
    (files, steps.unwrap_or_default())
}

fn files(folder: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    let shown = files.iter().filter_map(|path| {
        let mut configuration: Value =
            serde_json::from_slice(&std::fs::read(path).ok()?).unwrap_or_default();
        withhold(&mut configuration);
        let name = path.file_stem()?.to_string_lossy().into_owned();
        let enabled = configuration.pointer("/data/enabled").and_then(Value::as_bool);
        Some(json!({
            "name": name,
            "file": path.display().to_string(),
            "enabled": enabled.unwrap_or(false),
            "configuration": configuration,
        }))
    });
    shown.collect()
}

/// Takes secrets out.
fn withhold(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.to_ascii_lowercase();
                match value {
                    Value::String(text) if SECRET.iter().any(|secret| name.contains(secret)) => {
                        *text = "***".to_owned();
                    }
                    value => withhold(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(withhold),
        _ => {}
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    key: String,
}

/// The text of a schema, as its registry has it by now.
pub(super) async fn schema(State(Api(parts)): State<Api>, asked: Query<Asked>) -> Answer {
    let key = SchemaKey::parse(&asked.key).map_err(|_| wrong("key: expected an Iglu URI"))?;
    let inquiry = parts.inquiry()?;
    let published = inquiry.resolver.fetch(&key).await.map_err(|_| {
        Refused(StatusCode::NOT_FOUND, format!("{key} is in no registry that can be asked"))
    })?;
    let text: Value = serde_json::from_str(&published.text).unwrap_or(Value::Null);
    Ok(told(&json!({"key": asked.key, "registry": published.registry, "schema": text})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_configurations_are_withheld() {
        let mut configuration = json!({"data": {"parameters": [{"database": {
            "password": "p", "host": "h", "apiKey": "k"}}], "Token": "t"}});
        withhold(&mut configuration);
        let expected = json!({"data": {"parameters": [{"database": {
            "password": "***", "host": "h", "apiKey": "***"}}], "Token": "***"}});
        assert_eq!(configuration, expected);
    }
}
