//! [`Remote`]: a catalog on the network in one text, as people name it.

use std::fmt::{self, Display};
use std::str::FromStr;

use super::config::CatalogConfig;
use super::glue::GlueConfig;
use super::rest::{Auth, RestConfig, Secret};
use super::s3tables::TableBucket;

/// The variables that say as whom a catalog of the REST protocol is asked.
const TOKEN: &str = "SNOWMELT_CATALOG_TOKEN";
const CLIENT: &str = "SNOWMELT_CATALOG_CLIENT";

/// A catalog on the network: `glue:s3://BUCKET/PREFIX`, the ARN of a table bucket, or the address
/// of a server of the REST protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
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

impl Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Glue(location) => write!(f, "glue:{location}"),
            Remote::Bucket(bucket) => f.write_str(bucket.arn()),
            Remote::Rest(uri) => f.write_str(uri),
        }
    }
}

impl Remote {
    /// The catalog with what else is to be known of a server of the REST protocol: the name of a
    /// warehouse, and as whom it is asked.
    pub fn config(&self, warehouse: Option<String>, auth: Auth) -> CatalogConfig {
        match self {
            Remote::Glue(warehouse) => {
                CatalogConfig::Glue(GlueConfig { catalog: None, warehouse: warehouse.clone() })
            }
            Remote::Bucket(bucket) => CatalogConfig::S3Tables(bucket.clone()),
            Remote::Rest(uri) => {
                CatalogConfig::Rest(RestConfig { uri: uri.clone(), warehouse, auth })
            }
        }
    }
}

impl Auth {
    /// As whom a server is asked, as variables of the environment say: `SNOWMELT_CATALOG_TOKEN`, or
    /// `SNOWMELT_CATALOG_CLIENT` as `ID:SECRET`. An error names the variable and not its value.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Auth, String> {
        match (variable(TOKEN), variable(CLIENT)) {
            (None, None) => Ok(Auth::None),
            (Some(token), None) => Ok(Auth::Token(Secret(token))),
            (None, Some(client)) => {
                let (id, secret) = client
                    .split_once(':')
                    .ok_or_else(|| format!("{CLIENT}: expected ID:SECRET, found no colon"))?;
                let (id, secret) = (id.to_owned(), Secret(secret.to_owned()));
                Ok(Auth::Client { server: None, id, secret, scope: None, audience: None })
            }
            (Some(_), Some(_)) => Err(format!("{TOKEN} and {CLIENT}: expected one of them")),
        }
    }
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
            Auth::of_environment(move |name| {
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
            let Err(said) = of(wrong) else { panic!("it was taken") };
            assert!(said.contains("expected") && !said.contains("hush"), "{said}");
        }
    }
}
