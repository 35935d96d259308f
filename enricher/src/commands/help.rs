//! What the help says beside the arguments: which commands belong together, an example of each, and
//! which build this is; and the help in other forms, for shells and `man`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::Context;
use clap::{Command, CommandFactory, FromArgMatches, ValueEnum};

use super::{Cli, enrich};
use crate::terminal;

/// Commands by what one wants of them. What is in no group stands under [`MORE`].
const GROUPS: [(&str, &[&str]); 5] = [
    ("Run a pipeline", &["worker", "local", "collector"]),
    ("Work on files and objects", &["enrich", "replay", "compare", "explain", "generate"]),
    ("Ask what was written", &["query", "ddl", "dictionary"]),
    ("See how it does", &["check", "top", "leases", "schemas"]),
    ("Begin", &["init", "import"]),
];
const MORE: &str = "More";

/// An example of each command; they are parsed by a test.
const EXAMPLES: [(&str, &str); 20] = [
    ("enrich", "snowmelt enrich --input payloads.bin.zst --output out --resolver resolver.json"),
    ("replay", "snowmelt replay s3://acme-raw/raw --config worker.toml --output again --app shop"),
    ("explain", "snowmelt explain --input payload.bin --resolver resolver.json"),
    ("compare", "snowmelt compare s3://acme/enriched s3://acme-new/enriched --examples 5"),
    ("init", "snowmelt init acme"),
    ("import", "snowmelt import enrich.hocon --resolver resolver.json --output acme"),
    ("check", "snowmelt check --config worker.toml --online"),
    ("worker", "snowmelt worker --config worker.toml"),
    ("top", "snowmelt top worker-1:8000 worker-2:8000"),
    ("generate", "snowmelt generate --events 1000 --output payloads.bin.zst"),
    ("local", "snowmelt local --demo"),
    ("collector", "snowmelt collector --stream payloads --endpoint-url http://localhost:4566"),
    ("leases", "snowmelt leases list --config worker.toml"),
    ("schemas", "snowmelt schemas lint schemas"),
    ("query", "snowmelt query --data out \"SELECT event_name, count(*) FROM events GROUP BY 1\""),
    ("ddl", "snowmelt ddl --for athena --tables parquet --location s3://acme/warehouse"),
    ("dictionary", "snowmelt dictionary --format html > columns.html"),
    ("bench", "snowmelt bench transform --input payloads.bin.zst --resolver resolver.json"),
    ("completions", "snowmelt completions bash > /etc/bash_completion.d/snowmelt"),
    ("man", "snowmelt man --output /usr/local/share/man/man1"),
];

/// What `snowmelt completions` was asked for.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell that is to complete commands and arguments.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// What `snowmelt man` was asked for.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder for the pages, one for each command; it is made where it is not there.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// The command line as it is written about.
fn command() -> Command {
    let mut command = Cli::command().long_version(build());
    let about =
        |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let known: Vec<(String, String)> =
        command.get_subcommands().map(|it| (it.get_name().to_owned(), about(it))).collect();
    let in_a_group = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let rest = known.iter().map(|(name, _)| name.as_str()).filter(|name| !in_a_group(name));
    let rest: Vec<&str> = rest.collect();
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (title, names) in GROUPS.iter().copied().chain([(MORE, &rest[..])]) {
        text.push_str(&format!("\n{title}:\n"));
        let of_group = names.iter().filter_map(|name| known.iter().find(|(it, _)| it == name));
        for (name, about) in of_group {
            text.push_str(&format!("  {name:<12} {about}\n"));
        }
    }
    text.push_str("\nOptions:\n{options}{after-help}");
    command = command.help_template(text);
    for (name, example) in EXAMPLES {
        command =
            command.mut_subcommand(name, |it| it.after_help(format!("Example:\n  {example}")));
    }
    command
}

/// The command line as it was given.
pub fn parse(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> clap::error::Result<Cli> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Which build this is: version, commit, target and profile, and the forms it writes.
fn build() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(described);
    &BUILD
}

fn described() -> String {
    let forms = enrich::Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let forms: Vec<String> = forms.map(|form| form.get_name().to_owned()).collect();
    format!(
        "{}\ncommit   {}\ntarget   {}, profile {}\nformats  {}",
        env!("CARGO_PKG_VERSION"),
        env!("SNOWMELT_COMMIT"),
        env!("SNOWMELT_TARGET"),
        env!("SNOWMELT_PROFILE"),
        forms.join(", "),
    )
}

/// Runs `snowmelt completions`.
pub fn completions(args: &Completions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "snowmelt", &mut script);
    terminal::line(String::from_utf8(script)?.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Runs `snowmelt man`.
pub fn man(args: &Man) -> anyhow::Result<ExitCode> {
    let folder = args.output.display();
    std::fs::create_dir_all(&args.output).with_context(|| format!("cannot make {folder}"))?;
    // In a page the list of commands is made by the page.
    let mut command = Cli::command();
    for (name, example) in EXAMPLES {
        command = command.mut_subcommand(name, |it| it.after_help(format!("Example: {example}")));
    }
    clap_mangen::generate_to(command, &args.output)
        .with_context(|| format!("cannot write pages into {folder}"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_commands_that_can_be_parsed() {
        for (name, example) in EXAMPLES {
            let line = example.split(" > ").next().unwrap_or_default();
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[1], name, "{example}");
            if let Err(error) = parse(&words) {
                panic!("{example}: {error}");
            }
        }
    }

    #[test]
    fn every_command_is_listed_once_and_has_an_example() {
        let mut command = command();
        let help = command.render_help().to_string();
        let listed = help.split("Options:").next().unwrap_or_default();
        for known in command.get_subcommands().filter(|it| it.get_name() != "help") {
            let name = known.get_name();
            let lines = listed.lines().filter(|line| line.starts_with(&format!("  {name} ")));
            assert_eq!(lines.count(), 1, "{name} in {help}");
            assert!(EXAMPLES.iter().any(|(of, _)| *of == name), "{name} has no example");
        }
        let unknown = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .filter(|name| !command.get_subcommands().any(|it| it.get_name() == **name));
        assert_eq!(unknown.count(), 0);
    }

    #[test]
    fn a_build_says_what_it_is() {
        let told = parse(["snowmelt", "--version"]).expect_err("it ends there").to_string();
        assert!(told.starts_with(&format!("snowmelt {}\ncommit ", env!("CARGO_PKG_VERSION"))));
        assert!(told.contains("formats  tsv, json"), "{told}");
        let short = parse(["snowmelt", "-V"]).expect_err("it ends there").to_string();
        assert_eq!(short.trim_end(), format!("snowmelt {}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn shells_and_man_know_every_command() {
        let mut script = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut command(),
            "snowmelt",
            &mut script,
        );
        let script = String::from_utf8(script).expect("it is text");
        let dir = tempfile::tempdir().expect("a folder");
        man(&Man { output: dir.path().join("man1") }).expect("pages are written");
        for (name, example) in EXAMPLES {
            assert!(script.contains(name), "{name}");
            let page = dir.path().join(format!("man1/snowmelt-{name}.1"));
            let page = std::fs::read_to_string(page).expect("a page");
            let words = example.replace('-', "\\-");
            assert!(page.contains(&words), "{name}: {page}");
        }
    }
}
