//! Reads a configuration file, and says of a mistake where it is, what was expected, and what was
//! probably meant.

use std::path::Path;

use pipeline::adapt::Adapters;

use super::Config;
use super::adapters::{BuiltIn, Webhook};
use super::reading::Reading;
use super::there::Wrong;
use crate::places::nearest;

/// A file that cannot be used. Prints as `file:line:column: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {what}")]
pub struct Error {
    file: String,
    place: String,
    what: String,
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, Error> {
    load_all(path).map_err(|mut errors| errors.remove(0))
}

/// Reads and checks a file, and says everything that is wrong with it: at least one thing, in the
/// order of the file.
pub fn load_all(path: &Path) -> Result<Config, Vec<Error>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![Error { file: file.clone(), place: String::new(), what: error.to_string() }]
    })?;
    all(&text, &file, path.parent())
}

/// Reads and checks the text of a file of that name.
pub fn parse(text: &str, file: &str) -> Result<Config, Error> {
    all(text, file, None).map_err(|mut errors| errors.remove(0))
}

/// Reads and checks a text. With the folder of the file, paths become those of the machine, and
/// what they name has to be there.
fn all(text: &str, file: &str, folder: Option<&Path>) -> Result<Config, Vec<Error>> {
    let Reading { config, mut mistakes, left_out } = Reading::of(text);
    if let Some(config) = &config {
        let mut wrong = config.check(crate::clock::now_ms());
        if let Some(folder) = folder {
            wrong.extend(config.clone().relative_to(folder).check_places());
        }
        // What was left out is missing in its table: what follows from that is no mistake.
        wrong.retain(|wrong| !left_out.iter().any(|name| wrong.at.first() == Some(name)));
        let at = |wrong: &Wrong| start(text, &wrong.at);
        mistakes.extend(wrong.into_iter().map(|it| (at(&it), it.what)));
    }
    // What is not there at all comes after what is.
    let absent = |start: Option<usize>, what: &str| {
        start.is_none_or(|at| at == 0) && what.starts_with("missing field")
    };
    mistakes.sort_by_key(|(start, what)| (absent(*start, what), *start));
    let errors = mistakes.into_iter().map(|(start, what)| Error {
        file: file.to_owned(),
        place: start.map(|start| place(text, start)).unwrap_or_default(),
        what: explain(&what),
    });
    let mut errors: Vec<Error> = errors.collect();
    let Some(config) = config.filter(|_| errors.is_empty()) else { return Err(errors) };
    if let Err(error) = together(&config.adapters, &config.adapter, text, file) {
        errors.push(error);
        return Err(errors);
    }
    Ok(match folder {
        Some(folder) => config.relative_to(folder),
        None => config,
    })
}

/// Where the value begins that is reached by these names and, in lists, numbers; where a part of
/// the way is not in the text, the last part that is.
fn start(text: &str, at: &[String]) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let (mut table, mut list, mut start) = (Some(document.get_ref()), None, None);
    for name in at {
        let next: Option<&toml::Spanned<toml::de::DeValue<'_>>> = match (table, list) {
            (Some(table), _) => table.get(name.as_str()),
            (_, Some(list)) => name.parse::<usize>().ok().and_then(|at| {
                let list: &toml::de::DeArray<'_> = list;
                list.get(at)
            }),
            _ => None,
        };
        let Some(next) = next else { break };
        start = Some(next.span().start);
        table = next.get_ref().as_table();
        list = next.get_ref().as_array();
    }
    start
}

/// What a worker's configuration says of webhooks; what else it says is passed over.
pub fn adapters(path: &Path) -> Result<Adapters, Error> {
    #[derive(serde::Deserialize)]
    struct OfAdapters {
        #[serde(default)]
        adapters: BuiltIn,
        #[serde(default)]
        adapter: Vec<Webhook>,
    }
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Error {
        file: file.clone(),
        place: String::new(),
        what: error.to_string(),
    })?;
    let found: OfAdapters = toml::from_str(&text).map_err(|error| Error {
        file: file.clone(),
        place: error.span().map(|span| place(&text, span.start)).unwrap_or_default(),
        what: explain(error.message()),
    })?;
    together(&found.adapters, &found.adapter, &text, &file)
}

/// All adapters of a file, each tried on its examples.
fn together(
    built_in: &BuiltIn,
    described: &[Webhook],
    text: &str,
    file: &str,
) -> Result<Adapters, Error> {
    let mut adapters = built_in.0.clone();
    for webhook in described {
        for (start, example) in &webhook.examples {
            webhook.custom.check(example).map_err(|what| Error {
                file: file.to_owned(),
                place: place(text, *start),
                what: format!("the example does not become what it should: {what}"),
            })?;
        }
        let added = adapters.add(webhook.custom.clone(), webhook.signature.clone());
        added.map_err(|path| Error {
            file: file.to_owned(),
            place: String::new(),
            what: format!("[[adapter]] path: `{path}` is taken"),
        })?;
    }
    Ok(adapters)
}

/// Line and column, both counted from 1.
fn place(text: &str, offset: usize) -> String {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(":{line}:{column}")
}

/// Adds what was probably meant to a message that names an unknown word and the known ones. Of
/// columns, which are too many to name, the message names only the unknown one.
pub fn explain(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((unknown, known)) = names.split_first() else { return message.to_owned() };
    let columns = event::fields::FIELDS.map(event::Field::name);
    let known = if message.starts_with("unknown column ") { &columns } else { known };
    if !message.starts_with("unknown ") {
        return message.to_owned();
    }
    match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LEAST: &str = r#"
[source]
stream = "raw"
[leases]
table = "leases"
[enriched.kinesis]
stream = "enriched"
[bad.s3]
bucket = "bucket"
"#;

    fn error(text: &str) -> String {
        parse(text, "w.toml").expect_err("it is wrong").to_string()
    }

    #[test]
    fn the_least_configuration_has_defaults() {
        let config = parse(LEAST, "w.toml").expect("it is complete");
        assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.leases.duration.get(), Duration::from_secs(10));
        assert_eq!(config.worker.bytes_in_flight.get(), 256 << 20);
    }

    #[test]
    fn the_object_that_stays_open_longest_is_found_wherever_it_is() {
        let longest = |text: &str| parse(text, "w.toml").expect("complete").longest_object_age();
        assert_eq!(longest(LEAST).as_secs(), 60);
        let to = "[[enriched.to]]\nname = \"x\"\n";
        for more in [
            "s3 = { bucket = \"events\", object_age = \"20m\" }",
            "folder = { path = \"f\", object_age = \"20m\" }",
        ] {
            assert_eq!(longest(&format!("{LEAST}{to}{more}")).as_secs(), 1200, "{more}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = "[source]\nstraem = \"raw\"\nstream = \"raw\"\npoll_interval = \"1 minute\"\n\
                    [leases]\ntable = 7\n[enriched.kinesis]\nstream = \"raw\"\n[bad.s3]\n\
                    bucket = \"No Bucket\"\n[worker]\nthreads = 0\n[log]\nlevel = \"loud\"\n\
                    [[pii.to]]\nname = \"x\"\nwhere = \"app_id ==\"\nfolder = { path = \"x\" }\n\
                    [[pii.to]]\nname = \"X\"\nfolder = { path = \"x\" }\n";
        let errors = all(text, "w.toml", None).expect_err("it is wrong");
        let places: Vec<&str> = errors.iter().map(|error| error.place.as_str()).collect();
        let told = errors.iter().map(|error| format!("{error}\n")).collect::<String>();
        let expected =
            [":2:1", ":4:17", ":6:9", ":8:10", ":10:10", ":12:11", ":14:9", ":17:9", ":20:8"];
        assert_eq!(places, expected, "{told}");
    }

    #[test]
    fn one_mistake_made_in_many_tables_is_told_of_each() {
        let text = "[source]\nstream = \"raw\"\n[leases]\ntable = \"t\"\n[enriched.s3]\nbucket = \
                    \"b\"\n[[enriched.to]]\nname = \"x\"\ns3 = { bucket = \"b\" }\n[bad.s3]\nbucket \
                    = \"b\"\nprefix = \"p/bad\"\n[pii.s3]\nbucket = 1\n[worker]\nthreads = 0\n";
        let errors = all(text, "w.toml", None).expect_err("it is wrong");
        let places: Vec<&str> = errors.iter().map(|error| error.place.as_str()).collect();
        assert_eq!(places, [":4:9", ":6:10", ":9:17", ":11:10", ":14:10", ":16:11"], "{errors:?}");
    }

    #[test]
    fn what_is_missing_hides_nothing() {
        let text = "[source]\npoll_interval = 7\n[leases]\n[worker]\nthreads = 0\n[bad.s3]\n";
        let errors = all(text, "w.toml", None).expect_err("it is wrong");
        let told: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
        let all = ["`7`", "field `table`", "`0`", "field `bucket`", "field `enriched`"];
        for what in all {
            assert!(told.iter().any(|it| it.contains(what)), "{what}: {told:?}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_alone() {
        let errors = all("[source\nstream = 7\n[worker]\nthreads = ", "w.toml", None);
        let errors = errors.expect_err("it is no TOML");
        assert!(errors.iter().all(|error| !error.what.contains("missing")), "{errors:?}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (from, to, expected) in [
            (
                "stream = \"raw\"",
                "strem = \"raw\"",
                "w.toml:3:1: unknown field `strem`, expected one of `stream`, `role`, `streams`, `initial_position`, `mode`, `consumer`, `poll_interval`, `idle_poll_interval`, `batch_bytes`, `batch_age`, `base64`, `expired`; did you mean `stream`?",
            ),
            (
                "table = \"leases\"",
                "table = 7",
                "w.toml:5:9: invalid type: integer `7`, expected a string",
            ),
            (
                "table = \"leases\"",
                "table = \"table\"\nduration = \"1s\"",
                "w.toml:6:12: expected a duration from 2s to 5m, found `1s`",
            ),
            ("table = \"leases\"", "", "w.toml:4:1: missing field `table`"),
            (
                "table = \"leases\"",
                "table = \"table\"\n[validation.atomic_fields_limits]\napp_id = 9\nmkt_clickd = 9",
                "w.toml:8:1: unknown column `mkt_clickd`; did you mean `mkt_clickid`?",
            ),
            (
                "table = \"leases\"",
                "table = \"table\"\n[validation]\natomic_fields_limits = { txn_id = 9 }",
                "w.toml:7:26: the column `txn_id` is not text: its length has no limit",
            ),
            (
                "bucket = \"bucket\"",
                "bucket = \"other\"\ncompression = \"zst\"",
                "w.toml:10:15: unknown variant `zst`, expected one of `zstd`, `gzip`, `none`; did you mean `zstd`?",
            ),
            (
                "stream = \"enriched\"",
                "stream = \"e\"\npartition_key = \"user\"",
                "w.toml:8:17: expected `random` or a column, found `user`",
            ),
            (
                "stream = \"enriched\"",
                "stream = \"e\"\npartition_key = [\"app_id\", \"usr_id\"]",
                "w.toml:8:17: unknown column `usr_id`; did you mean `user_id`?",
            ),
            (
                "[bad.s3]\nbucket = \"bucket\"",
                "[bad]",
                "w.toml:8:1: [bad] has no destination: add [bad.kinesis], [bad.s3] or [[bad.to]]",
            ),
            (
                "table = \"leases\"",
                "table = \"leases\"\n[worker]\nthreads = 0",
                "w.toml:7:11: expected a number from 1 to 1024, found `0`",
            ),
            (
                "table = \"leases\"",
                "table = \"leases\"\n[worker]\nthreads = 100000",
                "w.toml:7:11: expected a number from 1 to 1024, found `100000`",
            ),
        ] {
            assert!(LEAST.contains(from));
            assert_eq!(error(&LEAST.replace(from, to)), expected);
        }
    }

    #[test]
    fn sources_that_cannot_be_meant_are_named_with_their_place() {
        for (from, to, expected) in [
            (
                "stream = \"raw\"",
                "stream = \"raw\"\nmode = \"fan_out\"\nconsumer = \"arn:aws:kinesis:eu-west-1:1:stream/raw\"",
                "w.toml:5:12: expected the name of a consumer (up to 128 letters, digits and any of `_.-`) or its ARN, found `arn:aws:kinesis:eu-west-1:1:stream/raw`",
            ),
            (
                "stream = \"raw\"",
                "stream = \"raw\"\nmode = \"fan-out\"",
                "w.toml:4:8: unknown variant `fan-out`, expected `polling` or `fan_out`; did you mean `fan_out`?",
            ),
            (
                "stream = \"raw\"",
                "stream = \"raw\"\nconsumer = \"shop\"",
                "w.toml:4:12: [source] consumer: it subscribes to shards, and these are polled; add mode = \"fan_out\", or leave it out",
            ),
            (
                "stream = \"raw\"",
                "batch_age = \"1s\"",
                "w.toml:2:1: [source] names no stream: add stream, or streams",
            ),
            (
                "stream = \"raw\"",
                "stream = \"raw\"\nstreams = [{ stream = \"more\" }]",
                "w.toml:4:11: [source] streams: they take the place of stream; name one or the other",
            ),
            (
                "stream = \"raw\"",
                "streams = [{ stream = \"raw\" }]\nrole = \"arn:aws:iam::123456789012:role/r\"",
                "w.toml:4:8: [source] role: each of several streams has its own",
            ),
            (
                "stream = \"raw\"",
                "streams = [{ stream = \"raw\" }, { stream = \"raw\" }]",
                "w.toml:3:11: [source] streams: `raw` stands there twice",
            ),
            (
                "stream = \"raw\"",
                "streams = [{ stream = \"raw\" }]\nmode = \"fan_out\"\nconsumer = \"arn:aws:kinesis:eu-west-1:1:stream/raw/consumer/a:1\"",
                "w.toml:5:12: [source] consumer: each of several streams has its own of that name; an ARN is of one",
            ),
        ] {
            assert!(LEAST.contains(from));
            assert_eq!(error(&LEAST.replace(from, to)), expected);
        }
    }

    #[test]
    fn names_and_times_that_cannot_be_meant_are_named_with_their_place() {
        for (from, to, expected) in [
            (
                "stream = \"enriched\"",
                "stream = \"raw\"",
                "w.toml:7:10: [enriched.kinesis] stream: `raw` is the stream that is read; what is written there would be read again, without end",
            ),
            (
                "stream = \"raw\"",
                "stream = \"raw\"\ninitial_position = \"9999-01-01T00:00:00Z\"",
                "w.toml:4:20: [source] initial_position: expected a time in the past",
            ),
            (
                "stream = \"raw\"",
                "stream = \"arn:aws:kinesis:eu-west-1:1:raw\"",
                "w.toml:3:10: expected the name of a stream (up to 128 letters, digits and any of `_.-`) or its ARN, found `arn:aws:kinesis:eu-west-1:1:raw`",
            ),
            (
                "stream = \"enriched\"",
                "stream = \"a/b\"",
                "w.toml:7:10: expected the name of a stream (up to 128 letters, digits and any of `_.-`; no ARN), found `a/b`",
            ),
            (
                "stream = \"raw\"",
                "stream = \"${NOBODY_SETS_THIS}\"",
                "w.toml:3:10: the variable `NOBODY_SETS_THIS` is not set",
            ),
        ] {
            assert!(LEAST.contains(from));
            assert_eq!(error(&LEAST.replace(from, to)), expected);
        }
    }

    #[test]
    fn folders_and_names_that_are_off_are_refused_where_they_stand() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("iglu/schemas/com.acme/click/jsonschema")).expect("a folder");
        std::fs::write(at("iglu/schemas/com.acme/click/jsonschema/1-0-0"), "{}").expect("a file");
        std::fs::create_dir_all(at("enrichments")).expect("a folder");
        let file = at("w.toml");
        for (more, place, what) in [
            ("[schemas]\nfolder = \"iglu/schemas\"", "11:10", "iglu`?"),
            ("[schemas]\nfolder = \"igl\"", "11:10", "iglu`?"),
            (
                "[schemas]\nbundle = \"none\"",
                "11:10",
                "expected a file, found nothing of that name",
            ),
            ("[schemas]\nresolver = \"none\"", "11:12", "expected a file, found nothing"),
            ("[enrichments]\nfolder = \"enrichment\"", "11:10", "enrichments`?"),
            (
                "[enrichments]\nfolder = \"enrichments\"\nassets = \"assets\"",
                "12:10",
                "expected a folder, found nothing",
            ),
            (
                "[enrichments]\nfolder = \"enrichments\"\nallow_unsupported = [\"weather\",\n \"wether\"]",
                "13:2",
                "did you mean `weather`?",
            ),
        ] {
            std::fs::write(&file, format!("{LEAST}{more}\n")).expect("a file");
            let said = load(&file).expect_err("it is off").to_string();
            assert!(said.starts_with(&format!("{}:{place}: ", file.display())), "{said}");
            assert!(said.contains(what), "{said}");
        }
        let right = "[schemas]\nfolder = \"iglu\"\n[enrichments]\nfolder = \"enrichments\"\n\
                     allow_unsupported = [\"weather\"]\n[worker]\nthreads = 1024\n";
        std::fs::write(&file, format!("{LEAST}{right}")).expect("a file");
        load(&file).expect("it is right");
    }

    #[test]
    fn destinations_that_cannot_be_meant_are_named_with_their_place() {
        const S3: &str = "s3 = { bucket = \"b-1\" }";
        for (more, expected) in [
            (
                format!("[[bad.to]]\nname = \"x\"\nwhere = 'ap_id == \"x\"'\n{S3}"),
                "w.toml:12:9: [[bad.to]] x, where: column 1: unknown column `ap_id`; did you mean `app_id`?",
            ),
            (
                format!("[[bad.to]]\nname = \"x\"\nwhere = 'app_id = \"x\"'\n{S3}"),
                "w.toml:12:9: [[bad.to]] x, where: column 8: expected `==`, `!=`, `in` or `starts with`, found `=`",
            ),
            (
                "[[bad.to]]\nname = \"x\"\ns3 = { bucket = \"b-1\", key = \"{app_d}\" }".to_owned(),
                "w.toml:12:30: [[bad.to]] x, key: column 2: unknown column `app_d`; did you mean `app_id`?",
            ),
            (
                "[[bad.to]]\nname = \"x\"\n".to_owned(),
                "w.toml:10:1: [[bad.to]] x: expected one of `kinesis`, `s3`, `folder` and `iceberg`",
            ),
            (
                format!("[[bad.to]]\nname = \"X y\"\n{S3}"),
                "w.toml:11:8: [[bad.to]] X y, name: expected up to 32 small letters, digits, `-` and `_`",
            ),
            (
                format!("[[bad.to]]\nname = \"x\"\n{S3}\n[[bad.to]]\nname = \"x\"\n{S3}"),
                "w.toml:14:8: [[bad.to]] x, name: the name is taken",
            ),
            (
                format!("[[bad.to]]\nname = \"x\"\nformat = \"json\"\n{S3}"),
                "w.toml:12:10: [[bad.to]] x, format: lines of this route are JSON whatever is said",
            ),
            (
                "[[bad.to]]\nname = \"x\"\nformat = \"parquet\"\nkinesis = { stream = \"x\" }".to_owned(),
                "w.toml:12:10: [[bad.to]] x, format: Parquet is of files; a stream takes tsv or json",
            ),
            (
                "[[parked.to]]\nname = \"x\"\nformat = \"parquet\"\nfolder = { path = \"/x\" }".to_owned(),
                "w.toml:12:10: [[parked.to]] x, format: lines of this route have no columns to be a table of",
            ),
            (
                "[[bad.to]]\nname = \"x\"\nformat = \"parquet\"\nfolder = { path = \"/x\", compression = \"gzip\" }".to_owned(),
                "w.toml:13:39: [[bad.to]] x, folder, compression: files of Parquet are compressed by Zstandard within; leave it out",
            ),
            (
                "[[bad.to]]\nname = \"x\"\nkinesis = { stream = \"raw\" }".to_owned(),
                "w.toml:12:11: [[bad.to]] x, kinesis stream: `raw` is the stream that is read; what is written there would be read again, without end",
            ),
            (
                format!("[parked]\nto = [{{ name = \"x\", where = \"kind == 'x'\", {S3} }}]"),
                "w.toml:10:1: [parked] every destination has a `where`, and lines that none of them wants would be lost: add a destination without one, or otherwise = \"drop\"",
            ),
            (
                format!("[parked]\notherwise = \"drop\"\nto = [{{ name = \"x\", {S3} }}]"),
                "w.toml:11:13: [parked] otherwise is of lines that no destination wants, and here there are none",
            ),
        ] {
            let found = error(&format!("{LEAST}{more}\n"));
            assert_eq!(found, expected);
        }
        let right = format!(
            "[parked]\notherwise = \"drop\"\nto = [{{ name = \"x\", where = \"kind == 'x'\", {S3} }}]"
        );
        parse(&format!("{LEAST}{right}\n"), "w.toml").expect("it is right");
    }

    #[test]
    fn tables_of_iceberg_that_cannot_be_meant_are_named_with_their_place() {
        for (more, expected) in [
            (
                "[[parked.to]]\nname = \"x\"\niceberg = { folder = \"/x\" }".to_owned(),
                "w.toml:12:11: [[parked.to]] x, iceberg: lines of this route have no columns to be a table of",
            ),
            (
                "[[bad.to]]\nname = \"x\"\nformat = \"parquet\"\niceberg = { folder = \"/x\" }".to_owned(),
                "w.toml:12:10: [[bad.to]] x, format: a table of Iceberg has columns whatever is said",
            ),
            (
                "[[bad.to]]\nname = \"x\"\niceberg = { namespace = \"x\" }".to_owned(),
                "w.toml:12:11: [[bad.to]] x, iceberg: expected `folder` or `catalog`",
            ),
            (
                "[[bad.to]]\nname = \"x\"\niceberg = { catalog = \"https://c.example\" }".to_owned(),
                "w.toml:12:11: [[bad.to]] x, iceberg.links: this catalog does not say where: expected s3://BUCKET/FOLDER",
            ),
            (
                "[[bad.to]]\nname = \"x\"\niceberg = { catalog = \"glue:s3://b-1/x\", links = \"/x\" }".to_owned(),
                "w.toml:12:11: [[bad.to]] x, iceberg.links: workers on other machines have to find them: expected s3://BUCKET/FOLDER",
            ),
            (
                "[[bad.to]]\nname = \"x\"\niceberg = { folder = \"/x\", warehouse = \"w\" }".to_owned(),
                "w.toml:12:11: [[bad.to]] x, iceberg.warehouse: it is what a catalog of the REST protocol is told",
            ),
        ] {
            let found = error(&format!("{LEAST}{more}\n"));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_former_name_of_a_fallback_is_read() {
        for name in ["fallback", "oversized"] {
            let more =
                format!("[bad.kinesis]\nstream = \"bad\"\n[bad.{name}]\nbucket = \"large\"\n");
            let least = LEAST.split("[bad").next().expect("what comes before");
            let config = parse(&format!("{least}{more}"), "w.toml").expect("it is right");
            let fallback = config.bad.fallback.expect("it is configured");
            assert_eq!(&*fallback.bucket, "large", "{name}");
        }
    }

    #[test]
    fn what_bad_rows_tell_has_three_names() {
        for (name, personal, _) in crate::config::PERSONAL {
            let text = format!("{LEAST}[bad_rows]\npii = \"{name}\"\n");
            assert_eq!(parse(&text, "w.toml").expect("it is right").bad_rows.pii, personal);
        }
        let text = format!("{LEAST}[bad_rows]\npii = \"withold\"\n");
        let said = parse(&text, "w.toml").expect_err("a slip").to_string();
        assert!(said.contains("did you mean `withhold`?"), "{said}");
    }

    #[test]
    fn the_example_shows_every_setting() {
        let text = include_str!("../../config/worker.toml");
        parse(text, "worker.toml").expect("the example can be used");
        // Every field is named somewhere, if only in a comment that shows it.
        let structs = [include_str!("../config.rs"), include_str!("route.rs")];
        let fields = structs.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let field = line.strip_prefix("    pub ").filter(|line| !line.starts_with("fn "))?;
            let (name, _) = field.split_once(": ")?;
            Some(if name == "condition" { "where" } else { name })
        });
        for field in fields {
            let shown = |line: &str| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{field} ="))
                    || line.contains(&format!("{{ {field} ="))
                    || section(line, field)
            };
            assert!(text.lines().any(shown), "`{field}` is not in the example");
        }
    }

    fn section(line: &str, field: &str) -> bool {
        let name = line.strip_prefix('[').and_then(|line| line.split_once(']'));
        let name = name.map(|(name, _)| name.trim_start_matches('['));
        name.is_some_and(|name| name.split('.').any(|part| part == field))
    }
}
