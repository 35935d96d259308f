//! The Iglu resolver configuration, `resolver-config` 1-0-0 to 1-0-3.
//!
//! Unchanged from what the peer reads, plus two more kinds of connection. `folder` is a static
//! registry on disk, relative to the configuration; `s3` is one in a bucket. Anything unexpected
//! is an error that names the place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use event::schema_key::{Criterion, Parts};
use serde_json::{Map, Value};

/// What is wrong with a resolver configuration.
#[derive(Debug, thiserror::Error)]
#[error("{file}: at {pointer:?}: expected {expected}, found {found}")]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub file: String,
    /// JSON pointer to the offending value.
    pub pointer: String,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// A resolver configuration.
#[derive(Debug)]
pub(super) struct Config {
    /// `cacheSize`
    pub(super) cache_size: usize,
    /// `cacheTtl`
    pub(super) cache_ttl: Option<Duration>,
    /// `repositories`
    pub(super) repositories: Vec<Repository>,
}

/// A member of `repositories`.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) name: String,
    pub(super) priority: i64,
    pub(super) vendor_prefixes: Vec<String>,
    pub(super) connection: Connection,
    /// Where it stands, for errors.
    pub(super) pointer: String,
}

/// How to reach a registry.
#[derive(Debug)]
pub(super) enum Connection {
    Http { uri: String, key: Option<String> },
    Embedded,
    Folder(PathBuf),
    S3(BucketPlace),
}

/// Where a bucket is, and where in it the registry is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketPlace {
    /// Its name.
    pub bucket: String,
    /// What comes before `schemas/` in the names of objects.
    pub prefix: String,
    /// Its region; the environment's if absent.
    pub region: Option<String>,
    /// Replaces the endpoint of S3.
    pub endpoint: Option<String>,
    /// Addressed by path.
    pub path_style: bool,
}

const SCHEMA: Criterion = Criterion::one_zero("com.snowplowanalytics.iglu", "resolver-config");

/// Reads a configuration; `file` is its name for errors.
pub(super) fn read(text: &str, file: &str, base_dir: &Path) -> Result<Config, ConfigError> {
    let json: Value = serde_json::from_str(text)
        .map_err(|why| Place::root(file).error("JSON", &why.to_string()))?;
    let root = Place::root(file);
    let config = root.object(&json)?;
    root.only(config, &["schema", "data"])?;
    let schema = root.at("schema");
    let uri = schema.string(config.get("schema"))?;
    if !Parts::parse(uri).is_ok_and(|key| SCHEMA.matches(key)) {
        return Err(schema.error(&SCHEMA.to_string(), uri));
    }
    let data = root.at("data");
    let members = data.object(data.present(config.get("data"))?)?;
    data.only(members, &["cacheSize", "cacheTtl", "repositories"])?;
    let repositories = data.at("repositories");
    let list = repositories.array(members.get("repositories"))?;
    let read = |(index, value)| repository(&repositories.at(index), value, base_dir);
    let config = Config {
        cache_size: usize::try_from(data.at("cacheSize").count(members.get("cacheSize"))?)
            .unwrap_or(usize::MAX),
        cache_ttl: match members.get("cacheTtl") {
            None | Some(Value::Null) => None,
            seconds => Some(Duration::from_secs(data.at("cacheTtl").count(seconds)?)),
        },
        repositories: list.iter().enumerate().map(read).collect::<Result<_, _>>()?,
    };
    unique_names(&config.repositories, &repositories)?;
    Ok(config)
}

fn repository(place: &Place, value: &Value, base_dir: &Path) -> Result<Repository, ConfigError> {
    let members = place.object(value)?;
    place.only(members, &["name", "priority", "vendorPrefixes", "connection"])?;
    let priority = place.at("priority");
    let prefixes = place.at("vendorPrefixes");
    let prefix = |(index, value)| Ok(prefixes.at(index).string(Some(value))?.to_owned());
    let list = prefixes.array(members.get("vendorPrefixes"))?;
    Ok(Repository {
        name: place.at("name").string(members.get("name"))?.to_owned(),
        priority: match priority.present(members.get("priority"))? {
            Value::Number(number) if number.is_i64() => number.as_i64().unwrap_or_default(),
            found => return Err(priority.error("an integer", &describe(found))),
        },
        vendor_prefixes: list.iter().enumerate().map(prefix).collect::<Result<_, _>>()?,
        connection: connection(&place.at("connection"), members.get("connection"), base_dir)?,
        pointer: place.pointer.clone(),
    })
}

fn connection(
    place: &Place,
    value: Option<&Value>,
    base_dir: &Path,
) -> Result<Connection, ConfigError> {
    let members = place.object(place.present(value)?)?;
    place.only(members, &["http", "embedded", "folder", "s3"])?;
    let Some((kind, value)) = members.iter().next().filter(|_| members.len() == 1) else {
        return Err(place.error("one of http, embedded, folder, s3", &describe_keys(members)));
    };
    let inner = place.at(kind);
    let fields = inner.object(value)?;
    if kind == "s3" {
        return bucket(&inner, fields).map(Connection::S3);
    }
    if kind != "http" {
        inner.only(fields, &["path"])?;
        let path = inner.at("path").string(fields.get("path"))?;
        let embedded = kind == "embedded";
        let folder = || Connection::Folder(base_dir.join(path));
        return Ok(if embedded { Connection::Embedded } else { folder() });
    }
    inner.only(fields, &["uri", "apikey"])?;
    let uri = inner.at("uri").string(fields.get("uri"))?.to_owned();
    if !(uri.starts_with("http://") || uri.starts_with("https://")) {
        return Err(inner.at("uri").error("a URI that starts with http:// or https://", &uri));
    }
    let key = match fields.get("apikey") {
        None | Some(Value::Null) => None,
        key => Some(inner.at("apikey").string(key)?.to_owned()),
    };
    Ok(Connection::Http { uri, key })
}

fn bucket(place: &Place, fields: &Map<String, Value>) -> Result<BucketPlace, ConfigError> {
    place.only(fields, &["bucket", "prefix", "region", "endpoint", "pathStyle"])?;
    let optional = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        value => place.at(name).string(value).map(|text| Some(text.to_owned())),
    };
    let prefix = optional("prefix")?.unwrap_or_default();
    Ok(BucketPlace {
        bucket: place.at("bucket").string(fields.get("bucket"))?.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        region: optional("region")?,
        endpoint: optional("endpoint")?,
        path_style: match fields.get("pathStyle") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                return Err(place.at("pathStyle").error("true or false", &describe(other)));
            }
        },
    })
}

fn unique_names(repositories: &[Repository], place: &Place) -> Result<(), ConfigError> {
    for (index, repository) in repositories.iter().enumerate() {
        if repositories[..index].iter().any(|earlier| earlier.name == repository.name) {
            let place = place.at(index).at("name");
            return Err(place.error("a name of its own", &format!("{:?} again", repository.name)));
        }
    }
    Ok(())
}

/// Where in the configuration one is.
pub(super) struct Place<'a> {
    file: &'a str,
    pointer: String,
}

impl<'a> Place<'a> {
    fn root(file: &'a str) -> Place<'a> {
        Place { file, pointer: String::new() }
    }

    /// The place of this pointer.
    pub(super) fn new(file: &'a str, pointer: &str) -> Place<'a> {
        Place { file, pointer: pointer.to_owned() }
    }

    fn at(&self, name: impl std::fmt::Display) -> Place<'a> {
        let name = name.to_string().replace('~', "~0").replace('/', "~1");
        Place { file: self.file, pointer: format!("{}/{name}", self.pointer) }
    }

    /// An error here.
    pub(super) fn error(&self, expected: &str, found: &str) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            pointer: self.pointer.clone(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    fn present<'v>(&self, value: Option<&'v Value>) -> Result<&'v Value, ConfigError> {
        value.ok_or_else(|| self.error("a value", "nothing"))
    }

    fn object<'v>(&self, value: &'v Value) -> Result<&'v Map<String, Value>, ConfigError> {
        value.as_object().ok_or_else(|| self.error("an object", &describe(value)))
    }

    fn array<'v>(&self, value: Option<&'v Value>) -> Result<&'v Vec<Value>, ConfigError> {
        let value = self.present(value)?;
        value.as_array().ok_or_else(|| self.error("an array", &describe(value)))
    }

    fn string<'v>(&self, value: Option<&'v Value>) -> Result<&'v str, ConfigError> {
        let value = self.present(value)?;
        value.as_str().ok_or_else(|| self.error("a string", &describe(value)))
    }

    fn count(&self, value: Option<&Value>) -> Result<u64, ConfigError> {
        let value = self.present(value)?;
        value.as_u64().ok_or_else(|| self.error("a number of 0 or more", &describe(value)))
    }

    /// Refuses members that nobody knows; a misspelt one should not be lost in silence.
    fn only(&self, members: &Map<String, Value>, known: &[&str]) -> Result<(), ConfigError> {
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let expected = format!("one of {}", known.join(", "));
                Err(self.at(name).error(&expected, &format!("{name:?}")))
            }
            None => Ok(()),
        }
    }
}

/// A value for an error; what stands under an unexpected type may be a secret, so only its type.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn describe_keys(members: &Map<String, Value>) -> String {
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str) -> Result<Config, ConfigError> {
        let schema = "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3";
        let text = format!(r#"{{"schema":"{schema}","data":{data}}}"#);
        read(&text, "resolver.json", Path::new("/etc/snowmelt"))
    }

    #[test]
    fn every_kind_of_connection_is_read() {
        let config = check(
            r#"{"cacheSize":500,"cacheTtl":null,"repositories":[
            {"name":"A","priority":0,"vendorPrefixes":["com.acme"],
             "connection":{"http":{"uri":"https://iglu.acme.com/api","apikey":"k"}}},
            {"name":"B","priority":-1,"vendorPrefixes":[],"connection":{"embedded":{"path":"/x"}}},
            {"name":"C","priority":1,"vendorPrefixes":[],"connection":{"folder":{"path":"iglu"}}},
            {"name":"D","priority":1,"vendorPrefixes":[],
             "connection":{"s3":{"bucket":"b","prefix":"/iglu/","pathStyle":true}}}
            ]}"#,
        );
        let config = config.expect("a good configuration");
        assert_eq!((config.cache_size, config.cache_ttl), (500, None));
        let [a, b, c, d] = config.repositories.as_slice() else { panic!("four repositories") };
        assert!(matches!(&a.connection, Connection::Http { key: Some(key), .. } if key == "k"));
        assert_eq!((b.priority, a.vendor_prefixes.as_slice()), (-1, &["com.acme".to_owned()][..]));
        assert!(matches!(&c.connection, Connection::Folder(dir) if dir.ends_with("snowmelt/iglu")));
        let Connection::S3(place) = &d.connection else { panic!("a bucket") };
        assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("b", "iglu"));
        assert!(place.path_style && place.region.is_none());
    }

    #[test]
    fn errors_name_the_place_and_what_was_found() {
        let one = |repository: &str| format!(r#"{{"cacheSize":1,"repositories":[{repository}]}}"#);
        let named =
            |rest: &str| one(&format!(r#"{{"name":"A","priority":0,"vendorPrefixes":[]{rest}}}"#));
        for (data, error) in [
            ("[]".to_owned(), r#"at "/data": expected an object, found an array"#),
            (
                r#"{"repositories":[]}"#.to_owned(),
                r#"at "/data/cacheSize": expected a value, found nothing"#,
            ),
            (
                r#"{"cacheSize":-1,"repositories":[]}"#.to_owned(),
                r#"at "/data/cacheSize": expected a number of 0 or more, found -1"#,
            ),
            (
                r#"{"cacheSize":1,"cachTtl":1,"repositories":[]}"#.to_owned(),
                "at \"/data/cachTtl\": expected one of cacheSize, cacheTtl, repositories, \
                 found \"cachTtl\"",
            ),
            (named(""), r#"at "/data/repositories/0/connection": expected a value, found nothing"#),
            (
                named(r#","connection":{}"#),
                "at \"/data/repositories/0/connection\": expected one of http, embedded, folder, \
                 s3, found nothing",
            ),
            (
                named(r#","connection":{"http":{"uri":"ftp://x"}}"#),
                "at \"/data/repositories/0/connection/http/uri\": expected a URI that starts with \
                 http:// or https://, found ftp://x",
            ),
            (
                one(r#"{"name":5}"#)
                    .replace("\"name\":5", r#""name":5,"priority":0,"vendorPrefixes":[]"#),
                r#"at "/data/repositories/0/name": expected a string, found 5"#,
            ),
        ] {
            let found = check(&data).expect_err(error).to_string();
            assert_eq!(found, format!("resolver.json: {error}"));
        }
        let twice = r#"{"name":"A","priority":0,"vendorPrefixes":[],
            "connection":{"embedded":{"path":""}}}"#;
        let found =
            check(&one(&format!("{twice},{twice}"))).expect_err("one name twice").to_string();
        assert!(found.contains("/data/repositories/1/name"), "{found}");
        let found = read("{", "r.json", Path::new("")).expect_err("not JSON").to_string();
        assert!(found.starts_with("r.json: at \"\": expected JSON"), "{found}");
        let other = r#"{"schema":"iglu:com.acme/resolver-config/jsonschema/1-0-0","data":{}}"#;
        let found = read(other, "r.json", Path::new("")).expect_err("another schema").to_string();
        assert!(found.contains("/schema"), "{found}");
    }
}
