//! `docs/settings.md`: every setting, what it takes, its default and what it means. The words and
//! the defaults are those of `enricher/config/worker.toml`; which settings there are, and what they
//! take, is asked of the code that reads them. The tests hold both together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Config, parse};

const EXAMPLE: &str = include_str!("../../config/worker.toml");

/// A setting as the example shows it.
#[derive(Clone, Debug)]
struct Shown {
    path: Vec<String>,
    value: String,
    commented: bool,
    /// Whether its section stands there as an example.
    example: bool,
    words: String,
}

/// What the example shows: sections with their words, and settings, each once.
#[derive(Debug, Default)]
struct Example {
    sections: BTreeMap<Vec<String>, String>,
    settings: Vec<Shown>,
}

impl Example {
    fn read(text: &str) -> Example {
        let (_head, text) = text.split_once("\n\n").expect("it begins with how to read it");
        let mut example = Example::default();
        let (mut section, mut words, mut used) = (Vec::new(), Vec::<&str>::new(), false);
        let mut is_example = false;
        for line in text.lines() {
            let (commented, rest) =
                line.strip_prefix("# ").map_or((false, line), |rest| (true, rest));
            if line.is_empty() {
                words.clear();
            } else if let Some(name) = header(rest) {
                (section, is_example) = (name, commented);
                let said = example.sections.entry(section.clone()).or_default();
                if said.is_empty() {
                    *said = words.join(" ");
                }
                words.clear();
            } else if let Some((key, value)) = setting(rest) {
                let path = [&section[..], &[key.to_owned()]].concat();
                used = true;
                let own = words.join(" ");
                let words = if own.is_empty() { example.sections[&section].clone() } else { own };
                let value = value.to_owned();
                if !example.settings.iter().any(|other| other.path == path) {
                    let shown = Shown { path, value, commented, example: is_example, words };
                    example.settings.push(shown);
                }
            } else if rest.starts_with([' ', ']']) {
                // The rest of a list.
                let last = example.settings.last_mut().expect("a list has begun");
                last.value.push_str(rest);
            } else if commented {
                if std::mem::take(&mut used) {
                    words.clear();
                }
                words.push(rest);
            }
        }
        example.take_apart();
        example
    }

    /// Settings that are shown in a table of one line only.
    fn take_apart(&mut self) {
        for shown in self.settings.clone() {
            let document = toml::from_str::<toml::Table>(&format!("it = {}", shown.value));
            let mut value = document.expect("the example is TOML").remove("it");
            if let Some(toml::Value::Array(items)) = value {
                value = items.into_iter().next();
            }
            let Some(toml::Value::Table(table)) = value else { continue };
            for (key, value) in table {
                let path = [&shown.path[..], &[key]].concat();
                if !self.settings.iter().any(|other| canonical(&other.path) == canonical(&path)) {
                    self.settings.push(Shown { path, value: value.to_string(), ..shown.clone() });
                }
            }
        }
    }
}

/// `[a.b]` or `[[a.b]]`.
fn header(line: &str) -> Option<Vec<String>> {
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    name.split('.').all(word).then(|| name.split('.').map(str::to_owned).collect())
}

fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let word = !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    word.then_some((key, value))
}

/// Where a setting is explained: routes have the same ones, and so have the places of one kind.
fn canonical(path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let routes = ["enriched", "bad", "parked", "pii", "incomplete", "oversized"];
    let lookups = ["api_request", "extra_api_request", "sql_query", "currency_conversion"];
    let (whole, rest) = match path.as_slice() {
        [route, rest @ ..] if routes.contains(route) => match rest {
            ["to", "folder", "path"] => ("enriched.to.folder.path", &[][..]),
            ["to", "kinesis", rest @ ..] | ["kinesis", rest @ ..] => ("enriched.kinesis", rest),
            ["to", "s3" | "fallback", rest @ ..] | ["s3" | "fallback" | "oversized", rest @ ..] => {
                ("enriched.s3", rest)
            }
            ["to", "folder", rest @ ..] if !rest.is_empty() => ("enriched.s3", rest),
            rest => ("enriched", rest),
        },
        ["source", "streams", rest @ ..] if !rest.is_empty() => ("source", rest),
        ["lookups", one, rest @ ..] if lookups.contains(one) => ("lookups", rest),
        ["validation", "atomic_fields_limits", ..] => ("validation.atomic_fields_limits", &[][..]),
        ["metrics", "tags", ..] => ("metrics.tags", &[][..]),
        ["adapters", ..] => ("adapters", &[][..]),
        ["adapter", ..] => ("adapter", &[][..]),
        [first, rest @ ..] => (*first, rest),
        [] => ("", &[][..]),
    };
    std::iter::once(whole).chain(rest.iter().copied()).collect::<Vec<_>>().join(".")
}

/// A way to a setting; a list is gone into by its first item.
type Way = Vec<(String, bool)>;

/// What reading says of a value in a place where nothing else stands.
fn asked(way: &[(String, bool)], value: &str) -> String {
    let mut text = value.to_owned();
    for (at, (name, list)) in way.iter().enumerate().rev() {
        let of = if *list { format!("{name} = [{text}]") } else { format!("{name} = {text}") };
        text = if at == 0 { of } else { format!("{{ {of} }}") };
    }
    toml::from_str::<Config>(&text)
        .map_or_else(|error| error.message().to_owned(), |_| String::new())
}

/// The settings that the code reads, each with what it takes, and the tables they are in.
#[derive(Debug, Default)]
struct Read {
    settings: BTreeMap<String, String>,
    tables: BTreeSet<String>,
}

impl Read {
    fn all() -> Read {
        let mut read = Read::default();
        let top = toml::from_str::<Config>("zzz = 1").expect_err("there is none of that name");
        for name in fields(top.message()).expect("it names all") {
            read.go(vec![(name, false)]);
        }
        read
    }

    fn go(&mut self, mut way: Way) {
        let path: Vec<String> = way.iter().map(|(name, _)| name.clone()).collect();
        let mut said = asked(&way, "{ zzz = 1 }");
        if said.contains("expected a sequence") {
            way.last_mut().expect("it is somewhere").1 = true;
            said = asked(&way, "{ zzz = 1 }");
        }
        let Some(fields) = fields(&said) else {
            way.last_mut().expect("it is somewhere").1 = false;
            let takes = takes(&way);
            self.settings.entry(canonical(&path)).or_insert(takes);
            return;
        };
        let name = canonical(&path);
        if ["adapter", "adapters"].contains(&name.as_str()) {
            self.settings.entry(name).or_insert("see [webhooks.md](webhooks.md)".to_owned());
            return;
        }
        self.tables.insert(path.join("."));
        for field in fields {
            self.go([&way[..], &[(field, false)]].concat());
        }
    }
}

/// All fields of a table, told by an error about one that is not there.
fn fields(said: &str) -> Option<Vec<String>> {
    let (_, names) = said.split_once("unknown field `zzz`, expected ")?;
    Some(names.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// What a setting takes, in the words of who refuses something else.
fn takes(way: &[(String, bool)]) -> String {
    let words = |value: &str| -> Option<String> {
        let said = asked(way, value);
        let (_, expected) = said.split_once("expected ")?;
        let expected = expected.split(", found `").next().unwrap_or(expected);
        Some(expected.trim_start_matches("one of ").to_owned())
    };
    let Some(text) = words("\"?\"") else { return "a text".to_owned() };
    let closer = match text.as_str() {
        text if text.starts_with("a duration") => words("\"9999999h\""),
        text if text.starts_with("a size") => words("\"9999999GiB\""),
        "a boolean" => Some("`true` or `false`".to_owned()),
        "i64" => words("999999999999999"),
        "a sequence" => words("[\"?\"]").map(|each| format!("a list of {each}")),
        _ => None,
    };
    closer.unwrap_or(text)
}

/// The whole page, section by section in the order of the example.
fn page() -> String {
    let (example, read) = (Example::read(EXAMPLE), Read::all());
    let mut page = String::from(HEAD);
    let mut sections: Vec<String> = Vec::new();
    for shown in &example.settings {
        let path = canonical(&shown.path);
        let section = path.rsplit_once('.').map_or(path.as_str(), |(section, _)| section);
        if !sections.iter().any(|known| known == section) {
            sections.push(section.to_owned());
        }
    }
    for section in sections {
        let key: Vec<String> = section.split('.').map(str::to_owned).collect();
        let words = example.sections.get(&key).map(String::as_str).unwrap_or_default();
        let _ = write!(page, "\n## {section}\n\n");
        if !words.is_empty() {
            let _ = writeln!(page, "{words}\n");
        }
        page.push_str("| setting | takes | where it is absent | what it is |\n|---|---|---|---|\n");
        let mut rows = BTreeSet::new();
        for shown in &example.settings {
            let path = canonical(&shown.path);
            let (of, name) = path.rsplit_once('.').unwrap_or((&path, &path));
            if of != section || !rows.insert(path.clone()) {
                continue;
            }
            let takes = read.settings.get(&path).map_or("a table", String::as_str);
            let (words, absent) = absent(shown);
            let row =
                format!("| `{name}` | {} | {} | {} |", cell(takes), cell(&absent), cell(&words));
            let _ = writeln!(page, "{row}");
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The words of a setting, and what counts where it is absent.
fn absent(shown: &Shown) -> (String, String) {
    match shown.words.split_once("Absent: ") {
        Some((before, after)) => {
            let (what, rest) = after.split_once(". ").unwrap_or((after.trim_end_matches('.'), ""));
            (format!("{before}{rest}").trim().to_owned(), what.to_owned())
        }
        None if shown.commented && !shown.example => {
            (shown.words.clone(), format!("`{}`", shown.value))
        }
        None => (shown.words.clone(), "it is needed".to_owned()),
    }
}

const HEAD: &str = "# Settings

Every setting of `snowmelt worker --config`, by its section. An unknown name is an error, and so is
a value that is not taken; `snowmelt check` says all of them at once. `${NAME}` in a text stands for
a variable of the environment, `${NAME:-text}` gives a default. Durations: 250ms, 10s, 5m, 1h.
Sizes: 512KiB, 64MiB, 1GiB. Relative paths start at the folder of the file.

The sections of routes (`[enriched]`, `[bad]`, `[parked]`, `[pii]`, `[incomplete]`, `[oversized]`)
take the same settings: they are explained under `enriched`. `[….fallback]`, and `s3`, `folder`
and `fallback` of `[[….to]]`, take those of `[….s3]`, and `kinesis` those of `[….kinesis]`. How
they work together is in [operations.md](operations.md) and [destinations.md](destinations.md); a
file that shows them all is [`worker.toml`](../enricher/config/worker.toml).

This page is made of that file and of the code;
`SNOWMELT_WRITE=1 cargo test --workspace --lib config::page` writes it.
";

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[source]\nstream = \"raw\"\n[leases]\ntable = \"leases\"\n\
        [enriched.kinesis]\nstream = \"enriched\"\n[enriched.s3]\nbucket = \"bucket\"\n\
        [[enriched.to]]\nname = \"x\"\ns3 = { bucket = \"other\" }\n\
        [bad.s3]\nbucket = \"bucket\"\n";

    #[test]
    fn the_page_is_what_the_code_and_the_example_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
        if std::env::var_os("SNOWMELT_WRITE").is_some() {
            std::fs::write(path, page()).expect("it can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "docs/settings.md is not what the settings say: see its head");
    }

    #[test]
    fn every_setting_that_is_read_is_on_the_page_and_no_other() {
        let (example, read) = (Example::read(EXAMPLE), Read::all());
        assert!(read.settings.len() > 80, "{}", read.settings.len());
        let shown: BTreeSet<String> =
            example.settings.iter().map(|shown| canonical(&shown.path)).collect();
        let unexplained: Vec<_> =
            read.settings.keys().filter(|path| !shown.contains(*path)).collect();
        assert!(unexplained.is_empty(), "not on the page: {unexplained:?}");
        let tables: BTreeSet<String> = read
            .tables
            .iter()
            .map(|table| canonical(&table.split('.').map(str::to_owned).collect::<Vec<_>>()))
            .collect();
        let unknown: Vec<_> = shown
            .iter()
            .filter(|path| !read.settings.contains_key(*path) && !tables.contains(*path))
            .collect();
        assert!(unknown.is_empty(), "not read: {unknown:?}");
        let mut told = BTreeSet::new();
        for shown in &example.settings {
            if !told.insert(canonical(&shown.path)) {
                continue;
            }
            assert!(!shown.words.is_empty(), "{:?} has no words", shown.path);
        }
    }

    /// A default that the page shows changes nothing where it is written down.
    #[test]
    fn defaults_are_what_counts_where_a_setting_is_absent() {
        let without = format!("{:?}", parse(LEAST, "w.toml").expect("it is right"));
        let mut tried = 0;
        for shown in Example::read(EXAMPLE).settings {
            if !shown.commented || shown.example || shown.words.contains("Absent: ") {
                continue;
            }
            let mut document: toml::Table = toml::from_str(LEAST).expect("it is TOML");
            let value: toml::Table =
                toml::from_str(&format!("it = {}", shown.value)).expect("it is TOML");
            let (key, tables) = shown.path.split_last().expect("it has a name");
            let mut table = &mut document;
            for name in tables {
                let inner = table.entry(name).or_insert_with(|| toml::Table::new().into());
                table = match inner {
                    toml::Value::Array(items) => items[0].as_table_mut(),
                    inner => inner.as_table_mut(),
                }
                .expect("sections are tables");
            }
            table.insert(key.clone(), value["it"].clone());
            let with = parse(&document.to_string(), "w.toml");
            let with = with.unwrap_or_else(|error| panic!("{:?}: {error}", shown.path));
            assert_eq!(format!("{with:?}"), without, "{:?}", shown.path);
            tried += 1;
        }
        assert!(tried > 30, "{tried}");
    }
}
