//! Catalogs on the network, opened to be read: what asks them, and what reads the files that they
//! name.

use std::sync::Arc;
use std::time::Duration;

use lakehouse::{Auth, Remote};
use object_store::path::Path;

use crate::aws::Access;
use crate::fault::Fault;
use crate::loader::Loader;
use crate::stores::Stores;

/// Answers of catalogs take milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How what is a catalog's name begins; all else is a folder or a bucket.
const BEGINNINGS: [&str; 4] = ["glue:", "arn:", "https://", "http://"];

/// The catalog that `--data` names, where it names one.
pub(crate) fn named(name: &str) -> Option<Result<Remote, Fault>> {
    let is = BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    let wrong = |why: String| Fault::mistake(format!("--data: {why}"));
    is.then(|| name.parse().map_err(wrong))
}

/// Opens a catalog; it is asked for nothing yet.
pub(crate) async fn open(remote: &Remote, access: &Access) -> Result<(Loader, Stores), Fault> {
    let auth = Auth::of_environment(variable).map_err(Fault::mistake)?;
    let config = remote.config(access.warehouse.clone(), auth);
    let mut access = access.clone();
    if let Remote::Bucket(bucket) = remote {
        // Its files are where it is.
        access.region.get_or_insert_with(|| bucket.region().to_owned());
    }
    let aws = access.config().await;
    let stores = match remote {
        // A server's tables may be anywhere.
        Remote::Rest(_) => Stores { s3: access.s3(&aws).ok(), folder: Some(Arc::default()) },
        Remote::Glue(_) | Remote::Bucket(_) => Stores { s3: Some(access.s3(&aws)?), folder: None },
    };
    // There is one provider in all programs here: who was first has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Fault::failure(format!("cannot make a client of HTTP: {error}")))?;
    let of_catalogs = aws.region().zip(aws.credentials_provider());
    let aws = of_catalogs.map(|(region, credentials)| lakehouse::Aws {
        http: http.clone(),
        credentials,
        region: region.to_string(),
        endpoint: aws.endpoint_url().map(str::to_owned),
    });
    let reads = lakehouse::Access { files: Arc::new(stores.clone()), http, aws };
    let catalog = config.open(reads);
    let catalog = catalog.map_err(|error| Fault::mistake(format!("{remote}: {error}")))?;
    Ok((Loader::new(catalog, &remote.to_string()), stores))
}

/// Where what lies beside a catalog's tables is, such as a dictionary. Only Glue's tables are below
/// a place that is named.
pub(crate) fn root(remote: &Remote) -> Result<Path, Fault> {
    match remote {
        Remote::Glue(location) => Stores::path(&format!("{}/_", location.trim_end_matches('/')))
            .map(|inside| inside.parts().take(inside.parts().count() - 1).collect())
            .map_err(|error| Fault::mistake(format!("--data {remote}: {error}"))),
        Remote::Bucket(_) | Remote::Rest(_) => Ok(Path::default()),
    }
}

#[allow(clippy::disallowed_methods, reason = "as whom a catalog is asked is said nowhere else")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogs_are_told_from_folders_and_buckets() {
        for folder in [".", "warehouse", "/data/lake", "s3://b/p", "glue", "arn/x", "gs://b"] {
            assert_eq!(named(folder), None, "{folder}");
        }
        let arn = "arn:aws:s3tables:eu-central-1:123456789012:bucket/lake";
        for (name, expected) in [
            ("glue:s3://b/p/", "s3/b/p"),
            ("glue:s3://b", "s3/b"),
            (arn, ""),
            ("https://c.example/api", ""),
            ("http://127.0.0.1:8181", ""),
        ] {
            let remote = named(name).expect("it is one").expect("it can be read");
            assert_eq!(root(&remote).expect("there is one").as_ref(), expected);
        }
        for wrong in ["glue:b/p", "arn:aws:s3:::b", "http://c.example"] {
            let said = named(wrong).expect("it is one").expect_err("it is wrong").message;
            assert!(said.starts_with("--data: expected") && said.contains(wrong), "{said}");
        }
        let twice = named("glue:s3://b//p").expect("it is one").expect("it can be read");
        assert!(root(&twice).expect_err("no path").message.contains("s3://b//p"));
    }

    #[tokio::test]
    async fn a_catalog_is_opened_without_being_asked() {
        let region = Some("eu-west-1".to_owned());
        let access = Access { region, ..Access::default() };
        let arn = "arn:aws:s3tables:eu-central-1:123456789012:bucket/lake";
        for (name, folder) in [("glue:s3://b/p", false), (arn, false), ("https://c.example", true)]
        {
            let remote = name.parse().expect("it is one");
            let (_, stores) = open(&remote, &access).await.expect("it can be opened");
            assert!(stores.s3.is_some() && stores.folder.is_some() == folder, "{name}");
        }
    }
}
