//! Where the tables are: in a catalog of the output's folder, or in one on the network.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lakehouse::{
    Access, Auth, Buckets, Catalog, CatalogConfig, Folder, GlueConfig, Places, RestConfig, Secret,
    Sqlite, TableBucket, file_io,
};

use crate::aws::{self, Aws};
use crate::config::environment;
use crate::exit::Usage;

/// The file of a folder's catalog, and its name, which its tables' namespace has, too.
const FILE: &str = "catalog.db";
pub(super) const NAMESPACE: &str = "snowmelt";

/// The variables that say as whom a catalog of the REST protocol is asked.
const TOKEN: &str = "SNOWMELT_CATALOG_TOKEN";
const CLIENT: &str = "SNOWMELT_CATALOG_CLIENT";

/// Answers of catalogs take milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A catalog on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Remote {
    /// AWS Glue; tables go below that location.
    Glue(String),
    /// A table bucket of S3.
    Bucket(TableBucket),
    /// A server of the REST protocol.
    Rest(String),
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Remote, String> {
        if let Some(location) = text.strip_prefix("glue:") {
            return match location.strip_prefix("s3://") {
                Some(place) if !place.is_empty() && !place.starts_with('/') => {
                    Ok(Remote::Glue(location.to_owned()))
                }
                _ => Err(format!("expected glue:s3://BUCKET/PREFIX, found {text:?}")),
            };
        }
        if text.starts_with("arn:") {
            return TableBucket::new(text).map(Remote::Bucket);
        }
        let near = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let near = near.iter().any(|start| {
            text.strip_prefix(start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if text.starts_with("https://") || near {
            return Ok(Remote::Rest(text.trim_end_matches('/').to_owned()));
        }
        Err(format!(
            "expected glue:s3://BUCKET/PREFIX, the ARN of a table bucket, or the address of a REST \
             catalog (https://…, or http:// on this machine), found {text:?}"
        ))
    }
}

impl Remote {
    fn config(&self, warehouse: Option<String>) -> Result<CatalogConfig, Usage> {
        Ok(match self {
            Remote::Glue(warehouse) => {
                CatalogConfig::Glue(GlueConfig { catalog: None, warehouse: warehouse.clone() })
            }
            Remote::Bucket(bucket) => CatalogConfig::S3Tables(bucket.clone()),
            Remote::Rest(uri) => {
                let (uri, auth) = (uri.clone(), auth(environment)?);
                CatalogConfig::Rest(RestConfig { uri, warehouse, auth })
            }
        })
    }
}

/// As whom a server is asked, as variables say.
fn auth(variable: impl Fn(&str) -> Option<String>) -> Result<Auth, Usage> {
    match (variable(TOKEN), variable(CLIENT)) {
        (None, None) => Ok(Auth::None),
        (Some(token), None) => Ok(Auth::Token(Secret(token))),
        (None, Some(client)) => {
            let (id, secret) = client
                .split_once(':')
                .ok_or_else(|| Usage(format!("{CLIENT}: expected ID:SECRET, found no colon")))?;
            let (id, secret) = (id.to_owned(), Secret(secret.to_owned()));
            Ok(Auth::Client { server: None, id, secret, scope: None, audience: None })
        }
        (Some(_), Some(_)) => Err(Usage(format!("{TOKEN} and {CLIENT}: expected one of them"))),
    }
}

/// Opens the catalog, and says whether old snapshots are ours to forget.
pub(super) async fn open(
    remote: Option<&Remote>,
    warehouse: Option<String>,
    folder: &Path,
) -> anyhow::Result<(Arc<dyn Catalog>, bool)> {
    let Some(remote) = remote else {
        let file = folder.join(FILE);
        let io = file_io(Arc::new(Folder));
        let catalog = Sqlite::open(&file, NAMESPACE, &Folder::location(folder), io);
        return Ok((Arc::new(catalog.with_context(|| file.display().to_string())?), true));
    };
    let config = remote.config(warehouse)?;
    let aws = Aws::load(aws::Settings::default()).await;
    let aws = match remote {
        // A server's tables may be anywhere.
        Remote::Rest(_) => aws,
        Remote::Glue(_) | Remote::Bucket(_) => aws.check().await?,
    };
    // Whoever was first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot make a client of HTTP")?;
    let access = Access {
        files: Arc::new(Places { buckets: Buckets::new(aws.s3()) }),
        aws: aws.of_catalogs(http.clone()),
        http,
    };
    Ok((config.open(access)?, !config.expires_itself()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let of = |text: &str| text.parse::<Remote>();
        assert_eq!(of("glue:s3://b/p"), Ok(Remote::Glue("s3://b/p".to_owned())));
        for rest in ["https://c.example/api", "http://127.0.0.1:8181", "http://localhost/x/"] {
            let uri = rest.trim_end_matches('/').to_owned();
            assert_eq!(of(rest), Ok(Remote::Rest(uri)));
        }
        let arn = "arn:aws:s3tables:eu-central-1:123456789012:bucket/lake";
        assert!(matches!(of(arn), Ok(Remote::Bucket(bucket)) if bucket.region() == "eu-central-1"));
        for (text, expected) in [
            ("glue:", "glue:s3://BUCKET/PREFIX"),
            ("glue:s3://", "glue:s3://BUCKET/PREFIX"),
            ("arn:aws:s3:::b", "arn:aws:s3tables:"),
            ("http://c.example", "https://"),
            ("http://localhost.example", "https://"),
            ("lake", "the ARN of a table bucket"),
        ] {
            let said = of(text).expect_err("no place");
            assert!(said.contains(expected) && said.contains(text), "{said}");
        }
    }

    #[test]
    fn a_server_is_asked_as_the_environment_says() {
        let of = |told: &'static [(&str, &str)]| {
            auth(move |name| {
                let found = told.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(matches!(of(&[]), Ok(Auth::None)));
        assert!(matches!(of(&[(TOKEN, "t")]), Ok(Auth::Token(Secret(token))) if token == "t"));
        let client = of(&[(CLIENT, "me:a:b")]);
        let secret = Secret("a:b".to_owned());
        assert!(
            matches!(client, Ok(Auth::Client { id, secret: told, .. }) if id == "me" && told == secret)
        );
        for wrong in [&[(CLIENT, "hush")][..], &[(TOKEN, "hush"), (CLIENT, "me:hush")]] {
            let Err(Usage(said)) = of(wrong) else { panic!("it was taken") };
            assert!(said.contains("expected") && !said.contains("hush"), "{said}");
        }
    }
}
