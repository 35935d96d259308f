//! [`S3Tables`]: the catalog of a table bucket of Amazon S3.
//!
//! Every state of a table has a token, and a change is made only with the token of the newest one.
//! The bucket says where a table's files are, once there is a table; it removes files itself, and
//! lets nobody else do so.

use std::collections::HashMap;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{Error, ErrorKind, NamespaceIdent, Result, TableIdent};
use reqwest::Method;
use serde_json::{Value, json};

use super::aws::{Answer, Aws, Request};
use super::pointed::{Pointer, Pointers, table_missing, unsupported};
use super::segment;

/// Pages of a list that are asked for at most.
const PAGES: usize = 1_000;

/// A table bucket, by its ARN, which says the region, too:
/// `arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBucket {
    arn: String,
    region: String,
}

impl TableBucket {
    /// The bucket of that ARN; an error if it is none.
    pub fn new(arn: &str) -> std::result::Result<TableBucket, String> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let region = match parts.as_slice() {
            ["arn", _, "s3tables", region, _, bucket]
                if !region.is_empty() && bucket.starts_with("bucket/") =>
            {
                (*region).to_owned()
            }
            _ => {
                let wanted = "arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME";
                return Err(format!("expected {wanted}, found {arn:?}"));
            }
        };
        Ok(TableBucket { arn: arn.to_owned(), region })
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// The catalog of a table bucket.
#[derive(Clone, Debug)]
pub(crate) struct S3Tables {
    pub(crate) bucket: TableBucket,
    pub(crate) aws: Aws,
}

impl S3Tables {
    async fn ask(&self, method: Method, path: String, body: Option<Value>) -> Result<Answer> {
        let mut headers = Vec::new();
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let (service, region) = ("s3tables", self.bucket.region.as_str());
        self.aws.ask(Request { service, region, method, path, headers, body }).await
    }

    /// The bucket, and what is in it, as a path below a kind of things.
    fn path(&self, kind: &str, parts: &[&str]) -> String {
        let parts = parts.iter().map(|part| format!("/{}", segment(part)));
        format!("/{kind}/{}{}", segment(&self.bucket.arn), parts.collect::<String>())
    }

    fn pointer_path(&self, ident: &TableIdent) -> Result<String> {
        let parts = [one(ident.namespace())?, ident.name()];
        Ok(format!("{}/metadata-location", self.path("tables", &parts)))
    }

    /// The token of a table's newest state and where its files are; `None` if there is none.
    async fn state(&self, ident: &TableIdent) -> Result<Option<State>> {
        let answer = self.ask(Method::GET, self.pointer_path(ident)?, None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let found = answer.or_error("GetTableMetadataLocation")?;
        let text = |key: &str| found[key].as_str().map(str::to_owned);
        let missing = |what: &str| {
            let why = format!("the table bucket does not say the {what} of {ident}");
            Error::new(ErrorKind::Unexpected, why)
        };
        Ok(Some(State {
            token: text("versionToken").ok_or_else(|| missing("versionToken"))?,
            warehouse: text("warehouseLocation").ok_or_else(|| missing("warehouseLocation"))?,
            metadata: text("metadataLocation").filter(|location| !location.is_empty()),
        }))
    }

    /// Puts a state in the place of the one that has this token; `false` if it is not the newest.
    async fn put(&self, ident: &TableIdent, token: &str, at: &str) -> Result<bool> {
        let body = json!({ "versionToken": token, "metadataLocation": at });
        let answer = self.ask(Method::PUT, self.pointer_path(ident)?, Some(body)).await?;
        if answer.status == 409 {
            return Ok(false);
        }
        answer.or_error("UpdateTableMetadataLocation").map(|_| true)
    }

    async fn all(&self, path: &str, of: &str) -> Result<Vec<Value>> {
        let (mut all, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mark = if path.contains('?') { '&' } else { '?' };
            let next =
                token.map(|token: String| format!("{mark}continuationToken={}", segment(&token)));
            let page = format!("{path}{}", next.unwrap_or_default());
            let mut page = self.ask(Method::GET, page, None).await?.or_error("listing")?;
            if let Value::Array(mut items) = page[of].take() {
                all.append(&mut items);
            }
            token = page["continuationToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(Error::new(ErrorKind::Unexpected, format!("a list has more than {PAGES} pages")))
    }
}

struct State {
    token: String,
    warehouse: String,
    metadata: Option<String>,
}

/// Namespaces are not inside of one another.
fn one(space: &NamespaceIdent) -> Result<&str> {
    match space.as_ref().as_slice() {
        [name] => Ok(name),
        _ => {
            let why = format!("{space}: a table bucket has one level of names");
            Err(Error::new(ErrorKind::DataInvalid, why))
        }
    }
}

#[async_trait]
impl Pointers for S3Tables {
    async fn namespaces(&self) -> Result<Vec<NamespaceIdent>> {
        let found = self.all(&self.path("namespaces", &[]), "namespaces").await?;
        let name = |item: &Value| item["namespace"][0].as_str().map(str::to_owned);
        Ok(found.iter().filter_map(name).map(NamespaceIdent::new).collect())
    }

    async fn namespace(&self, space: &NamespaceIdent) -> Result<Option<HashMap<String, String>>> {
        let path = self.path("namespaces", &[one(space)?]);
        let answer = self.ask(Method::GET, path, None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        answer.or_error("GetNamespace").map(|_| Some(HashMap::new()))
    }

    async fn make_namespace(
        &self,
        space: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<bool> {
        let body = json!({ "namespace": [one(space)?] });
        let answer = self.ask(Method::PUT, self.path("namespaces", &[]), Some(body)).await?;
        if answer.status == 409 {
            return Ok(false);
        }
        answer.or_error("CreateNamespace").map(|_| true)
    }

    async fn set_properties(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        Err(unsupported("changing a namespace"))
    }

    async fn remove_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        let path = self.path("namespaces", &[one(space)?]);
        let answer = self.ask(Method::DELETE, path, None).await?;
        answer.or_error("DeleteNamespace").map(drop)
    }

    async fn tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let path = format!("{}?namespace={}", self.path("tables", &[]), segment(one(space)?));
        let found = self.all(&path, "tables").await?;
        let names = found.iter().filter_map(|item| item["name"].as_str());
        Ok(names.map(|name| TableIdent::new(space.clone(), name.to_owned())).collect())
    }

    async fn look(&self, ident: &TableIdent) -> Result<Option<Pointer>> {
        let state = self.state(ident).await?;
        let pointer =
            |state: State| Some(Pointer { location: state.metadata?, version: state.token });
        Ok(state.and_then(pointer))
    }

    /// Makes the table, which has no metadata before it is inserted. One that is there already has
    /// been made so by somebody who died before that, or who is about to do it.
    async fn place(&self, ident: &TableIdent) -> Result<String> {
        let path = self.path("tables", &[one(ident.namespace())?]);
        let body = json!({ "name": ident.name(), "format": "ICEBERG" });
        let answer = self.ask(Method::PUT, path, Some(body)).await?;
        if answer.status != 409 {
            answer.or_error("CreateTable")?;
        }
        let state = self.state(ident).await?.ok_or_else(|| table_missing(ident))?;
        Ok(state.warehouse.trim_end_matches('/').to_owned())
    }

    async fn insert(&self, ident: &TableIdent, _: &TableMetadata, at: &str) -> Result<bool> {
        match self.state(ident).await? {
            Some(State { token, metadata: None, .. }) => self.put(ident, &token, at).await,
            Some(_) => Ok(false),
            None => Err(table_missing(ident)),
        }
    }

    async fn exchange(
        &self,
        ident: &TableIdent,
        old: &Pointer,
        _: &TableMetadata,
        at: &str,
    ) -> Result<bool> {
        self.put(ident, &old.version, at).await
    }

    async fn remove(&self, ident: &TableIdent) -> Result<bool> {
        let path = self.path("tables", &[one(ident.namespace())?, ident.name()]);
        let answer = self.ask(Method::DELETE, path, None).await?;
        if answer.status == 404 {
            return Ok(false);
        }
        answer.or_error("DeleteTable").map(|_| true)
    }

    fn deletes_files(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_bucket_is_named_by_its_arn() {
        let arn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/events";
        assert_eq!(TableBucket::new(arn).expect("it is one").region(), "eu-west-1");
        for wrong in ["events", "arn:aws:s3:::events", "arn:aws:s3tables:::bucket/events", ""] {
            assert!(TableBucket::new(wrong).expect_err("none").contains(wrong), "{wrong}");
        }
    }
}
