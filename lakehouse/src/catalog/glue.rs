//! [`Glue`]: the catalog of AWS Glue, where Athena, Redshift and Spark find tables.
//!
//! Glue gives every state of a table a version, and changes a table of one version only if it is
//! asked to: a commit is a change of the version that its metadata was read of. Old versions are
//! not kept, since the table's own metadata has them. Columns are told for whoever looks into the
//! catalog; engines read the metadata.

mod columns;

use std::collections::HashMap;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{Error, ErrorKind, NamespaceIdent, Result, TableIdent};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::aws::{Answer, Aws, Request};
use super::pointed::{Pointer, Pointers, table_missing, unsupported};

/// Pages of a list that are asked for at most.
const PAGES: usize = 1_000;

/// What of a table is given back when it is changed.
const KEPT: [&str; 9] = [
    "Name",
    "Description",
    "Owner",
    "Retention",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
];

/// Which catalog of Glue, and where the files of its tables go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlueConfig {
    /// The catalog's id, where it is not the account's own.
    pub catalog: Option<String>,
    /// The location below which new tables go: `s3://BUCKET/PREFIX`.
    pub warehouse: String,
}

/// A catalog of Glue.
#[derive(Clone, Debug)]
pub(crate) struct Glue {
    pub(crate) config: GlueConfig,
    pub(crate) aws: Aws,
}

impl Glue {
    async fn ask(&self, operation: &str, mut body: Value) -> Result<Answer> {
        if let Some(catalog) = &self.config.catalog {
            body["CatalogId"] = json!(catalog);
        }
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("AWSGlue.{operation}")),
        ];
        let request = Request {
            service: "glue",
            region: &self.aws.region,
            method: Method::POST,
            path: "/".to_owned(),
            headers,
            body: Some(body),
        };
        self.aws.ask(request).await
    }

    async fn get(&self, ident: &TableIdent) -> Result<Option<Value>> {
        let asked = json!({ "DatabaseName": database(ident.namespace())?, "Name": ident.name() });
        let answer = self.ask("GetTable", asked).await?;
        if answer.code == MISSING {
            return Ok(None);
        }
        Ok(Some(answer.or_error("GetTable")?["Table"].take()))
    }

    async fn all(&self, operation: &str, mut asked: Value, of: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for _ in 0..PAGES {
            let page = self.ask(operation, asked.clone()).await?.or_error(operation)?;
            let items = page[of].as_array().into_iter().flatten();
            names.extend(items.filter_map(|item| item["Name"].as_str()).map(str::to_owned));
            match page["NextToken"].as_str() {
                Some(token) => asked["NextToken"] = json!(token),
                None => return Ok(names),
            }
        }
        Err(Error::new(ErrorKind::Unexpected, format!("a list has more than {PAGES} pages")))
    }
}

const MISSING: &str = "EntityNotFoundException";
const EXISTS: &str = "AlreadyExistsException";
const CONFLICT: &str = "ConcurrentModificationException";

/// A namespace is a database, which are not inside of one another.
fn database(space: &NamespaceIdent) -> Result<&str> {
    match space.as_ref().as_slice() {
        [name] => Ok(name),
        _ => {
            Err(Error::new(ErrorKind::DataInvalid, format!("{space}: Glue has one level of names")))
        }
    }
}

/// What Glue is told of a table that has this metadata.
fn input(before: &Value, name: &str, metadata: &TableMetadata, at: &str) -> Value {
    let mut input: Map<String, Value> = KEPT
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), before.get(key)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    input.insert("Name".to_owned(), json!(name));
    input.entry("TableType").or_insert_with(|| json!("EXTERNAL_TABLE"));
    let parameters = input.entry("Parameters").or_insert_with(|| json!({}));
    let old = parameters["metadata_location"].take();
    parameters["table_type"] = json!("ICEBERG");
    parameters["metadata_location"] = json!(at);
    if old.is_string() {
        parameters["previous_metadata_location"] = old;
    }
    let storage = json!({
        "Location": metadata.location(),
        "Columns": columns::of(metadata.current_schema()),
    });
    input.insert("StorageDescriptor".to_owned(), storage);
    Value::Object(input)
}

#[async_trait]
impl Pointers for Glue {
    async fn namespaces(&self) -> Result<Vec<NamespaceIdent>> {
        let names = self.all("GetDatabases", json!({}), "DatabaseList").await?;
        Ok(names.into_iter().map(NamespaceIdent::new).collect())
    }

    async fn namespace(&self, space: &NamespaceIdent) -> Result<Option<HashMap<String, String>>> {
        let answer = self.ask("GetDatabase", json!({ "Name": database(space)? })).await?;
        if answer.code == MISSING {
            return Ok(None);
        }
        let found = answer.or_error("GetDatabase")?;
        let properties = found["Database"]["Parameters"].as_object().into_iter().flatten();
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Ok(Some(properties.filter_map(text).collect()))
    }

    async fn make_namespace(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<bool> {
        let input = json!({ "Name": database(space)?, "Parameters": properties });
        let answer = self.ask("CreateDatabase", json!({ "DatabaseInput": input })).await?;
        if answer.code == EXISTS {
            return Ok(false);
        }
        answer.or_error("CreateDatabase").map(|_| true)
    }

    async fn set_properties(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        Err(unsupported("changing a database"))
    }

    async fn remove_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        let answer = self.ask("DeleteDatabase", json!({ "Name": database(space)? })).await?;
        answer.or_error("DeleteDatabase").map(drop)
    }

    async fn tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let asked = json!({ "DatabaseName": database(space)? });
        let names = self.all("GetTables", asked, "TableList").await?;
        Ok(names.into_iter().map(|name| TableIdent::new(space.clone(), name)).collect())
    }

    async fn look(&self, ident: &TableIdent) -> Result<Option<Pointer>> {
        let Some(table) = self.get(ident).await? else { return Ok(None) };
        let location = table["Parameters"]["metadata_location"].as_str();
        match (location, table["VersionId"].as_str()) {
            (Some(location), Some(version)) => {
                Ok(Some(Pointer { location: location.to_owned(), version: version.to_owned() }))
            }
            (None, _) => {
                let why = format!("{ident} is in the catalog, but no table of Iceberg");
                Err(Error::new(ErrorKind::DataInvalid, why))
            }
            (_, None) => {
                let why = format!("the catalog does not say which version of {ident} it has");
                Err(Error::new(ErrorKind::Unexpected, why))
            }
        }
    }

    async fn place(&self, ident: &TableIdent) -> Result<String> {
        let warehouse = self.config.warehouse.trim_end_matches('/');
        Ok(format!("{warehouse}/{}/{}", database(ident.namespace())?, ident.name()))
    }

    async fn insert(&self, ident: &TableIdent, first: &TableMetadata, at: &str) -> Result<bool> {
        let input = input(&Value::Null, ident.name(), first, at);
        let database = database(ident.namespace())?;
        let asked = json!({ "DatabaseName": database, "TableInput": input });
        let answer = self.ask("CreateTable", asked).await?;
        if answer.code == EXISTS {
            return Ok(false);
        }
        answer.or_error("CreateTable").map(|_| true)
    }

    async fn exchange(
        &self,
        ident: &TableIdent,
        old: &Pointer,
        new: &TableMetadata,
        at: &str,
    ) -> Result<bool> {
        // What else Glue knows of the table is given back as it is; if that changes meanwhile, so
        // does the version.
        let before = self.get(ident).await?.ok_or_else(|| table_missing(ident))?;
        let asked = json!({
            "DatabaseName": database(ident.namespace())?,
            "TableInput": input(&before, ident.name(), new, at),
            "VersionId": old.version,
            "SkipArchive": true,
        });
        let answer = self.ask("UpdateTable", asked).await?;
        if answer.code == CONFLICT {
            return Ok(false);
        }
        answer.or_error("UpdateTable").map(|_| true)
    }

    async fn remove(&self, ident: &TableIdent) -> Result<bool> {
        let asked = json!({ "DatabaseName": database(ident.namespace())?, "Name": ident.name() });
        let answer = self.ask("DeleteTable", asked).await?;
        if answer.code == MISSING {
            return Ok(false);
        }
        answer.or_error("DeleteTable").map(|_| true)
    }
}
