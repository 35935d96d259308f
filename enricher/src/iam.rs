//! The least that a worker has to be allowed, as a policy of IAM: made of its plan, so that it has
//! every stream, bucket and table of the configuration and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lakehouse::Remote;
use serde_json::{Value, json};

use crate::config::{Config, Mode};
use crate::worker::destinations::{Access, Catalog, Home, Iceberg, Larger, Objects, To};
use crate::worker::plan::Plan;

/// As whom the worker acts: as itself, or in a role that it assumes.
type Actor<'a> = Option<&'a str>;

/// A policy as it grows: what may be done, by what it is done to.
#[derive(Debug, Default)]
struct Grants(BTreeMap<(&'static str, &'static [&'static str]), BTreeSet<String>>);

impl Grants {
    fn add(&mut self, sid: &'static str, actions: &'static [&'static str], to: String) {
        self.0.entry((sid, actions)).or_default().insert(to);
    }
}

const READ: &[&str] = &[
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
];
const SUBSCRIBE: &[&str] = &[
    "kinesis:DescribeStreamConsumer",
    "kinesis:RegisterStreamConsumer",
    "kinesis:SubscribeToShard",
];
const WRITE: &[&str] = &["kinesis:DescribeStreamSummary", "kinesis:PutRecords"];
const PUT: &[&str] = &["s3:PutObject"];
const FILES: &[&str] = &["s3:DeleteObject", "s3:GetObject", "s3:PutObject"];
const LIST: &[&str] = &["s3:ListBucket"];
const GLUE: &[&str] = &[
    "glue:CreateDatabase",
    "glue:CreateTable",
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:UpdateTable",
];
const TABLES: &[&str] = &[
    "s3tables:CreateNamespace",
    "s3tables:CreateTable",
    "s3tables:GetNamespace",
    "s3tables:GetTable",
    "s3tables:GetTableData",
    "s3tables:GetTableMetadataLocation",
    "s3tables:PutTableData",
    "s3tables:UpdateTableMetadataLocation",
];
const LEASE: &[&str] = &[
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
];
const FETCH: &[&str] = &["s3:GetObject", "s3:ListBucket"];
const KEY: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];
const COMPLETE: &[&str] = &["autoscaling:CompleteLifecycleAction"];
const ASSUME: &[&str] = &["sts:AssumeRole"];

/// Where things are that the configuration does not say.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts<'a> {
    /// The region of everything that has no other; `*` where nobody says.
    pub region: &'a str,
    /// The account; `*` where nobody says.
    pub account: &'a str,
}

impl Whereabouts<'_> {
    fn partition(&self) -> &'static str {
        match self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn arn(&self, service: &str, region: Option<&str>, what: &str) -> String {
        let (partition, account) = (self.partition(), self.account);
        format!("arn:{partition}:{service}:{}:{account}:{what}", region.unwrap_or(self.region))
    }

    fn bucket(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", self.partition())
    }
}

/// What the worker itself, or it in that role, has to be allowed. A policy without statements means
/// that nothing of the configuration is done so.
pub fn policy(config: &Config, plan: &Plan, place: Whereabouts<'_>, actor: Actor<'_>) -> Value {
    let mut grants = Grants::default();
    for input in config.source.inputs() {
        let named = || place.arn("kinesis", None, &format!("stream/{}", input.name()));
        let to = input.arn().map_or_else(named, str::to_owned);
        let role = input.role.as_ref().map(|role| role.to_string());
        as_whom(&Access { region: None, role }, actor, &mut grants, |grants| {
            if config.source.mode == Mode::FanOut {
                grants.add("SubscribeToShards", SUBSCRIBE, to.clone());
                grants.add("SubscribeToShards", SUBSCRIBE, format!("{to}/consumer/*"));
            }
            grants.add("ReadPayloads", READ, to);
        });
    }
    if actor.is_none() {
        own(config, place, &mut grants);
    }
    for destination in &plan.destinations {
        match &destination.to {
            To::Stream { settings, access, larger } => {
                stream(&settings.stream, access, place, actor, &mut grants);
                if let Larger::Objects(larger) = larger {
                    objects(larger, place, actor, &mut grants);
                }
            }
            To::Objects(own) => objects(own, place, actor, &mut grants),
            To::Iceberg(own) => table(own, place, actor, &mut grants),
        }
    }
    let statements = grants.0.into_iter().map(|((sid, actions), resources)| {
        json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources})
    });
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

/// What is done for no stream and no destination.
fn own(config: &Config, place: Whereabouts<'_>, grants: &mut Grants) {
    let table = format!("table/{}", config.leases.table);
    grants.add("HoldLeases", LEASE, place.arn("dynamodb", None, &table));
    if let Some(hook) = &config.life.hook {
        let group = format!("autoScalingGroup:*:autoScalingGroupName/{}", &*hook.group);
        grants.add("EndDrain", COMPLETE, place.arn("autoscaling", None, &group));
    }
    let mut buckets = BTreeSet::new();
    let files = config.schemas.resolver.iter().chain(&config.enrichments.folder);
    files.for_each(|path| buckets_of(path, &mut buckets));
    for bucket in buckets {
        // Without the right to list, S3 does not tell what is not there from what may not be read.
        grants.add("ReadSchemasAndAssets", FETCH, place.bucket(&bucket));
        grants.add("ReadSchemasAndAssets", FETCH, place.bucket(&format!("{bucket}/*")));
    }
}

fn stream(
    name: &str,
    access: &Access,
    place: Whereabouts<'_>,
    actor: Actor<'_>,
    grants: &mut Grants,
) {
    let to = place.arn("kinesis", access.region.as_deref(), &format!("stream/{name}"));
    as_whom(access, actor, grants, |grants| grants.add("WriteEvents", WRITE, to));
}

fn objects(objects: &Objects, place: Whereabouts<'_>, actor: Actor<'_>, grants: &mut Grants) {
    let Home::Bucket { name, access, kms_key } = &objects.home else { return };
    let folder = match objects.settings.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    as_whom(access, actor, grants, |grants| {
        grants.add("WriteObjects", PUT, place.bucket(&format!("{name}/{folder}*")));
        if let Some(key) = kms_key {
            grants.add("UseKeys", KEY, key.clone());
        }
    });
}

/// A table of Iceberg, and the links that wait for its commits.
fn table(table: &Iceberg, place: Whereabouts<'_>, actor: Actor<'_>, grants: &mut Grants) {
    let Some(access) = &table.access else { return };
    let region = access.region.as_deref();
    let bucket = |location: &str| location.strip_prefix("s3://").map(str::to_owned);
    as_whom(access, actor, grants, |grants| {
        let mut locations: Vec<String> = bucket(&table.links).into_iter().collect();
        match &table.catalog {
            Catalog::Remote(Remote::Glue(location), _) => {
                let (space, name) = (&table.namespace, table.table);
                for what in ["catalog".to_owned(), format!("database/{space}")] {
                    grants.add("KeepTables", GLUE, place.arn("glue", region, &what));
                }
                let what = format!("table/{space}/{name}");
                grants.add("KeepTables", GLUE, place.arn("glue", region, &what));
                locations.extend(bucket(location));
            }
            Catalog::Remote(Remote::Bucket(bucket), _) => {
                grants.add("KeepTables", TABLES, bucket.arn().to_owned());
                grants.add("KeepTables", TABLES, format!("{}/table/*", bucket.arn()));
            }
            // Who may do what in it is the server's to say, and so is where its files are.
            Catalog::Remote(Remote::Rest(_), _) | Catalog::Folder(_) => {}
        }
        for location in locations {
            let name = location.split('/').next().unwrap_or_default();
            let folder = location.trim_end_matches('/');
            grants.add("WriteTables", FILES, place.bucket(&format!("{folder}/*")));
            grants.add("ListLinks", LIST, place.bucket(name));
        }
        if let Some(key) = &table.kms_key {
            grants.add("UseKeys", KEY, key.clone());
        }
    });
}

/// What is done in a role is granted to the role, and the role to the worker.
fn as_whom(
    access: &Access,
    actor: Actor<'_>,
    grants: &mut Grants,
    grant: impl FnOnce(&mut Grants),
) {
    match (access.role.as_deref(), actor) {
        (role, actor) if role == actor => grant(grants),
        (Some(role), None) => grants.add("AssumeRoles", ASSUME, role.to_owned()),
        _ => {}
    }
}

/// The buckets that a file of JSON, or those of a folder, name in texts that begin with `s3://`.
/// What cannot be read names none: reading it tells why.
fn buckets_of(path: &Path, buckets: &mut BTreeSet<String>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        entries.flatten().for_each(|entry| buckets_of(&entry.path(), buckets));
        return;
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for rest in text.split("\"s3://").skip(1) {
        let bucket = rest.split(['/', '"']).next().unwrap_or_default();
        buckets.insert(bucket.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn of(routes: &str, actor: Actor<'_>) -> Value {
        let text = format!(
            "[source]\nstream = \"in\"\nmode = \"fan_out\"\nconsumer = \"snowmelt\"\n[leases]\ntable = \
             \"leases\"\n{routes}"
        );
        let config = config::parse(&text, "worker.toml").expect("it is right");
        let plan = Plan::of(&config, "1").expect("it can be had");
        let place = Whereabouts { region: "eu-west-1", account: "123456789012" };
        policy(&config, &plan, place, actor)
    }

    fn resources(policy: &Value, sid: &str) -> Vec<String> {
        let statements = policy["Statement"].as_array().expect("a list");
        let found = statements.iter().find(|statement| statement["Sid"] == sid);
        let texts = found.and_then(|it| it["Resource"].as_array()).map(Vec::as_slice);
        texts.unwrap_or_default().iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    }

    const ROUTES: &str = "[enriched.kinesis]\nstream = \"out\"\n[bad.s3]\nbucket = \"events\"\nprefix = \
                          \"x/bad/\"\n[[enriched.to]]\nname = \"far\"\ns3 = { bucket = \"far\", role = \
                          \"arn:aws:iam::210987654321:role/in\", kms_key = \
                          \"arn:aws:kms:eu-west-1:210987654321:key/k\" }\n";

    #[test]
    fn a_policy_names_everything_of_the_configuration_and_nothing_else() {
        let own = of(ROUTES, None);
        let stream = "arn:aws:kinesis:eu-west-1:123456789012:stream";
        assert_eq!(resources(&own, "ReadPayloads"), [format!("{stream}/in")]);
        assert_eq!(resources(&own, "WriteEvents"), [format!("{stream}/out")]);
        let objects = resources(&own, "WriteObjects");
        // What is parked and what is too large lies under the prefix of the first bucket.
        assert!(objects.contains(&"arn:aws:s3:::events/x/bad/*".to_owned()), "{objects:?}");
        assert!(objects.iter().all(|object| object.starts_with("arn:aws:s3:::events/x/bad/")));
        let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/leases";
        assert_eq!(resources(&own, "HoldLeases"), [table]);
        assert_eq!(resources(&own, "AssumeRoles"), ["arn:aws:iam::210987654321:role/in"]);
        assert!(resources(&own, "UseKeys").is_empty(), "the role uses it");

        let role = of(ROUTES, Some("arn:aws:iam::210987654321:role/in"));
        assert_eq!(role["Statement"].as_array().map(Vec::len), Some(2), "{role}");
        assert_eq!(resources(&role, "UseKeys"), ["arn:aws:kms:eu-west-1:210987654321:key/k"]);
    }

    #[test]
    fn the_policy_of_the_terraform_module_allows_the_same() {
        let role = concat!(env!("CARGO_MANIFEST_DIR"), "/../terraform/modules/fleet/role.tf");
        let role = std::fs::read_to_string(role).expect("it is there");
        let quoted = role.split('"').skip(1).step_by(2);
        let services = ["kinesis:", "dynamodb:", "s3:", "kms:"];
        // A condition, and what the instance does before there is a worker: it fetches its files.
        let beside = ["kms:ViaService", "s3:GetObjectVersion"];
        let theirs = quoted.filter(|text| services.iter().any(|it| text.starts_with(it)));
        let theirs = theirs.filter(|text| !beside.contains(text));
        let ours = [READ, SUBSCRIBE, WRITE, PUT, LEASE, FETCH, KEY].concat();
        let ours: BTreeSet<&str> = ours.into_iter().collect();
        assert_eq!(theirs.collect::<BTreeSet<_>>(), ours);
    }

    #[test]
    fn tables_of_iceberg_are_kept_where_they_are() {
        let table = |route: &str, iceberg: &str| {
            format!("[[{route}.to]]\nname = \"lake\"\niceberg = {{ {iceberg} }}\n")
        };
        let both = |iceberg: &str| table("enriched", iceberg) + &table("bad", iceberg);
        let glue = of(&both("catalog = \"glue:s3://lake/tables/\""), None);
        let in_glue = "arn:aws:glue:eu-west-1:123456789012";
        let kept = ["catalog", "database/snowmelt", "table/snowmelt/bad", "table/snowmelt/events"];
        assert_eq!(resources(&glue, "KeepTables"), kept.map(|what| format!("{in_glue}:{what}")));
        let files = ["tables/*", "tables/_links/snowmelt/*"];
        assert_eq!(
            resources(&glue, "WriteTables"),
            files.map(|what| format!("arn:aws:s3:::lake/{what}"))
        );
        assert_eq!(resources(&glue, "ListLinks"), ["arn:aws:s3:::lake"]);

        let arn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/lake";
        let links = "links = \"s3://own/links\"";
        let bucket = of(&both(&format!("catalog = \"{arn}\", {links}")), None);
        assert_eq!(resources(&bucket, "KeepTables"), [arn.to_owned(), format!("{arn}/table/*")]);
        assert_eq!(resources(&bucket, "WriteTables"), ["arn:aws:s3:::own/links/snowmelt/*"]);
        let key = "arn:aws:kms:eu-west-1:123456789012:key/k";
        let keyed = both(&format!("catalog = \"glue:s3://lake/tables\", kms_key = \"{key}\""));
        assert_eq!(resources(&of(&keyed, None), "UseKeys"), [key]);
        let role = "arn:aws:iam::210987654321:role/in";
        let own = both(&format!("catalog = \"{arn}\", {links}, role = \"{role}\""));
        assert_eq!(resources(&of(&own, None), "AssumeRoles"), [role]);
        assert!(resources(&of(&own, None), "KeepTables").is_empty());
        assert!(!resources(&of(&own, Some(role)), "KeepTables").is_empty());
        let here = of(&both("folder = \"lake\""), None);
        assert!(resources(&here, "WriteTables").is_empty(), "{here}");
    }

    #[test]
    fn a_hook_is_completed_in_its_group_only() {
        let routes = "[enriched.kinesis]\nstream = \"out\"\n[bad.s3]\nbucket = \"events\"\n";
        let life =
            "[life]\nnotices = [\"group\"]\n[life.hook]\ngroup = \"fleet\"\nname = \"drain\"\n";
        let hook = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:\
                    autoScalingGroupName/fleet";
        assert_eq!(resources(&of(&format!("{routes}{life}"), None), "EndDrain"), [hook]);
        assert!(resources(&of(routes, None), "EndDrain").is_empty());
    }
}
