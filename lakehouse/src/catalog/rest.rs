//! [`Rest`]: a catalog that speaks the REST protocol of Iceberg: Polaris, Lakekeeper, Nessie,
//! Unity, Snowflake's Open Catalog and others.
//!
//! Who may do what is the server's matter, and so is where a table's files are; they are read and
//! written with credentials of ours, and not with any that a server would lend. A commit goes to
//! the server with what it requires, above all that the newest snapshot still be the one that was
//! read, and is refused there with 409 if it is not. After an answer of 5xx, or none, it is not
//! known whether it was made, and that is what callers are told.

mod session;

use std::collections::HashMap;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, Runtime, TableCommit,
    TableCreation, TableIdent,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pointed::{table_missing, unsupported};
use super::segment;
use session::{Answer, Session};

/// Pages of a list that are asked for at most.
const PAGES: usize = 1_000;

/// Where a catalog of the REST protocol is, and as whom it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestConfig {
    /// The address before `/v1`.
    pub uri: String,
    /// What the server knows a warehouse by, where it has several.
    pub warehouse: Option<String>,
    /// As whom.
    pub auth: Auth,
}

/// As whom a catalog is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// As nobody.
    None,
    /// As whoever has this token, which is not renewed.
    Token(Secret),
    /// As a client that gets tokens by OAuth2's grant of client credentials, and renews them.
    Client {
        /// Where tokens are given; the catalog's own `/v1/oauth/tokens` if there is none.
        server: Option<String>,
        /// The client's name.
        id: String,
        /// What it proves to be itself by.
        secret: Secret,
        /// What the token is to be good for; `catalog` if there is none.
        scope: Option<String>,
        /// For whom the token is, where the server asks for that.
        audience: Option<String>,
    },
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A catalog of the REST protocol.
#[derive(Debug)]
pub(crate) struct Rest {
    session: Session,
    io: FileIO,
    runtime: Runtime,
}

impl Rest {
    /// Nothing is asked before it is needed. Panics outside of a tokio runtime.
    pub(crate) fn new(config: RestConfig, http: reqwest::Client, io: FileIO) -> Rest {
        Rest { session: Session::new(config, http), io, runtime: Runtime::current() }
    }

    /// What a server says of a table.
    fn table(&self, ident: &TableIdent, answer: &Answer) -> Result<Table> {
        let told: Told = answer.read()?;
        let table = Table::builder()
            .identifier(ident.clone())
            .metadata(told.metadata)
            .file_io(self.io.clone())
            .runtime(self.runtime.clone());
        match told.location {
            Some(location) => table.metadata_location(location).build(),
            None => table.build(),
        }
    }

    async fn list<T: for<'a> Deserialize<'a>>(&self, path: &str, of: &str) -> Result<Vec<T>> {
        let (mut all, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mark = if path.contains('?') { '&' } else { '?' };
            let next = token.map(|token: String| format!("{mark}pageToken={}", segment(&token)));
            let page = format!("{path}{}", next.unwrap_or_default());
            let answer = self.session.ask(Method::GET, &page, None).await?;
            let mut page: Value = answer.or_missing(ErrorKind::NamespaceNotFound)?.read()?;
            let items = page.get_mut(of).map(Value::take).unwrap_or_default();
            all.append(&mut serde_json::from_value(items).map_err(unread)?);
            token = page.get("next-page-token").and_then(Value::as_str).map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(Error::new(ErrorKind::Unexpected, format!("a list has more than {PAGES} pages")))
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "metadata-location")]
    location: Option<String>,
    metadata: TableMetadata,
}

fn unread(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "the catalog's answer cannot be read").with_source(error)
}

/// A namespace as a part of a path.
fn space(ident: &NamespaceIdent) -> String {
    let parts: Vec<String> = ident.iter().map(|part| segment(part)).collect();
    format!("namespaces/{}", parts.join("%1F"))
}

fn place(ident: &TableIdent) -> String {
    format!("{}/tables/{}", space(ident.namespace()), segment(ident.name()))
}

#[async_trait]
impl Catalog for Rest {
    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        let path = match parent {
            None => "namespaces".to_owned(),
            Some(parent) => format!("namespaces?parent={}", segment(&parent.join("\u{1f}"))),
        };
        let names: Vec<Vec<String>> = self.list(&path, "namespaces").await?;
        names.into_iter().map(NamespaceIdent::from_vec).collect()
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        let body = json!({ "namespace": &**namespace, "properties": properties });
        let answer = self.session.ask(Method::POST, "namespaces", Some(&body)).await?;
        if answer.status == StatusCode::CONFLICT {
            let why = format!("the namespace {namespace} exists already");
            return Err(Error::new(ErrorKind::NamespaceAlreadyExists, why));
        }
        answer.or_error()?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        #[derive(Deserialize)]
        struct Found {
            properties: Option<HashMap<String, String>>,
        }
        let answer = self.session.ask(Method::GET, &space(namespace), None).await?;
        let found: Found = answer.or_missing(ErrorKind::NamespaceNotFound)?.read()?;
        Ok(Namespace::with_properties(namespace.clone(), found.properties.unwrap_or_default()))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        match self.get_namespace(namespace).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NamespaceNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        Err(unsupported("changing a namespace"))
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let answer = self.session.ask(Method::DELETE, &space(namespace), None).await?;
        answer.or_missing(ErrorKind::NamespaceNotFound).map(drop)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.list(&format!("{}/tables", space(namespace)), "identifiers").await
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<Table> {
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        let body = json!({
            "name": creation.name,
            "location": creation.location,
            "schema": creation.schema,
            "partition-spec": creation.partition_spec,
            "write-order": creation.sort_order,
            "stage-create": false,
            "properties": creation.properties,
        });
        let path = format!("{}/tables", space(namespace));
        let answer = self.session.ask(Method::POST, &path, Some(&body)).await?;
        if answer.status == StatusCode::CONFLICT {
            let why = format!("{ident} exists already");
            return Err(Error::new(ErrorKind::TableAlreadyExists, why));
        }
        self.table(&ident, &answer.or_missing(ErrorKind::NamespaceNotFound)?)
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        let answer = self.session.ask(Method::GET, &place(ident), None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(table_missing(ident));
        }
        self.table(ident, &answer.or_error()?)
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        let answer = self.session.ask(Method::DELETE, &place(ident), None).await?;
        answer.or_missing(ErrorKind::TableNotFound).map(drop)
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        Err(unsupported("deleting a table's files"))
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        match self.load_table(ident).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TableNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        Err(unsupported("renaming a table"))
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        Err(unsupported("naming a table's metadata"))
    }

    async fn update_table(&self, mut commit: TableCommit) -> Result<Table> {
        let ident = commit.identifier().clone();
        let body = json!({
            "identifier": { "namespace": &**ident.namespace(), "name": ident.name() },
            "requirements": commit.take_requirements(),
            "updates": commit.take_updates(),
        });
        let answer = self.session.ask(Method::POST, &place(&ident), Some(&body)).await?;
        match answer.status {
            StatusCode::CONFLICT => {
                let why = format!("{ident} was changed by another meanwhile: {}", answer.words());
                let conflict = Error::new(ErrorKind::CatalogCommitConflicts, why);
                Err(conflict.with_retryable(true))
            }
            StatusCode::NOT_FOUND => Err(table_missing(&ident)),
            _ => self.table(&ident, &answer.or_error()?),
        }
    }
}
