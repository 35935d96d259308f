//! `snowmelt replay` on files: that what was archived comes out as it did the first time, that what
//! was cut off goes on without losing or doubling anything, and that damage is named.

mod dry;
mod place;
mod rows;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use event::Field;
use fastrand::Rng;

use place::{Place, row};

/// The columns of lines, sorted, without the mark; and how many have that.
fn unmarked(lines: &str, mark: &str) -> (Vec<String>, usize) {
    let mut marked = 0;
    let mut all: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut columns = event::tsv::columns(line).expect("131 columns");
            marked += usize::from(columns[Field::EtlTags as usize] == mark);
            columns[Field::EtlTags as usize] = "";
            columns.join("\t")
        })
        .collect();
    all.sort();
    (all, marked)
}

#[test]
fn an_archive_becomes_what_its_records_became() {
    let place = Place::new();
    let records = place.records(600, "0.05");
    place.archive(&records, 100);
    let enrich = ["enrich", "--input", "records.bin", "--output", "first", "--now", "5"];
    place.check(&enrich, 0);
    place.check(&["replay", "raw", "--output", "again", "--now", "5", "--threads", "2"], 0);
    let (first, _) = unmarked(&place.text("first/enriched.tsv"), "");
    let (again, marked) = unmarked(&place.text("again/enriched.tsv"), "replay");
    assert_eq!((first.len(), marked), (again.len(), again.len()));
    // Every event of the traffic brings its id, so where it was read from is not seen in it.
    assert!(first == again, "the same lines, byte for byte");
    let (first_bad, again_bad) = (place.text("first/bad.jsonl"), place.text("again/bad.jsonl"));
    let again_bad = again_bad.replace(r#""etl_tags":"replay""#, r#""etl_tags":null"#);
    assert!(sorted(&first_bad).len() > 20 && sorted(&first_bad) == sorted(&again_bad));
    assert!(!place.at("again/_replay").exists(), "nothing is left to be done");
    let said = place.check(&["replay", "raw", "--output", "again", "--now", "5"], 64);
    assert!(said.contains("is there already"), "{said}");
    let tagged = ["replay", "raw", "--output", "again", "--now", "5", "--tag", "geo", "--force"];
    place.check(&tagged, 0);
    let (_, marked) = unmarked(&place.text("again/enriched.tsv"), "geo");
    assert_eq!(marked, first.len());
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_interrupted_replay_loses_and_doubles_nothing() {
    let place = Place::new();
    let seed = fastrand::u64(..);
    let said = |words: String| {
        #[allow(clippy::print_stderr, reason = "a failure is repeated by its seed")]
        {
            eprintln!("{words}");
        }
    };
    said(format!("seed {seed}"));
    let mut rng = Rng::with_seed(seed);
    let records = place.records(3_000, "0.05");
    place.archive(&records, 250);
    for (out, more) in [("plain", &[][..]), ("packed", &["--compress", "zstd"])] {
        let whole = format!("{out}-whole");
        let replay = |to: &str| -> Vec<String> {
            let args = ["replay", "raw", "--now", "5", "--output", to];
            args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
        };
        let args = replay(&whole);
        place.check(&args.iter().map(String::as_str).collect::<Vec<_>>(), 0);
        let suffix = if more.is_empty() { "" } else { ".zst" };
        let wanted = place.read(&format!("{whole}/enriched.tsv{suffix}"));
        let args = replay(out);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut kills = 0;
        for _ in 0..6 {
            let mut child = place.command(&args).stderr(Stdio::null()).spawn().expect("it runs");
            let growing = place.at(&format!("{out}/enriched.tsv{suffix}.unfinished"));
            let enough = rng.u64(0..wanted.len() as u64 * 3 / 2);
            kills += usize::from(killed(&mut child, &growing, enough, rng.u8(..)));
            if place.at(&format!("{out}/enriched.tsv{suffix}")).exists() {
                break;
            }
        }
        said(format!("{out}: {kills} kills"));
        if !place.at(&format!("{out}/enriched.tsv{suffix}")).exists() {
            let said = place.check(&args, 0);
            assert!(said.contains("going on: "), "{said}");
        }
        for file in ["enriched.tsv", "bad.jsonl"] {
            let (wanted, found) =
                [&whole, out].map(|to| place.read(&format!("{to}/{file}{suffix}"))).into();
            let unpacked = |bytes: Vec<u8>| match suffix {
                "" => bytes,
                _ => zstd::decode_all(&*bytes).expect("whole frames"),
            };
            assert!(unpacked(wanted) == unpacked(found), "{file}, seed {seed}");
        }
    }
}

/// Kills a process once a file has so many bytes and some looks later; false if it ends before.
fn killed(child: &mut Child, growing: &Path, enough: u64, looks: u8) -> bool {
    let mut left = u32::from(looks) * 20;
    loop {
        if child.try_wait().expect("it is ours").is_some() {
            return false;
        }
        let bytes = fs::metadata(growing).map_or(0, |data| data.len());
        if bytes >= enough && left == 0 {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            return true;
        }
        left = left.saturating_sub(u32::from(bytes >= enough));
    }
}

#[test]
fn a_replay_goes_on_only_with_what_it_began() {
    let place = Place::new();
    let records = place.records(200, "0");
    place.archive(&records, 50);
    let state = |place: &Place| {
        place.write("out/_replay/plan.json", PLAN);
        place.write("out/_replay/position.json", POSITION);
    };
    const PLAN: &str = r#"{"version":1,"id":"x","begun_ms":5,"arguments":["raw","--tag replay"],
        "objects":[["raw/date=1970-01-01/hour=00/00001.records",null]]}"#;
    const POSITION: &str = r#"{"place":{"object":0,"entries":10},"parts":1,"files":{},
        "tally":{"read":10,"chosen":10,"passed_over":0,"left":{},"damaged":0,"damage":[]},
        "counts":{"before":{},"after":{},"left":{}},"done":false}"#;
    state(&place);
    let said = place.check(&["replay", "raw", "--output", "out", "--app", "x"], 64);
    assert!(said.contains("has the beginning of another replay"), "{said}");
    let said = place.check(&["replay", "raw", "--output", "out"], 0);
    assert!(said.contains("going on: 0 of 1 objects are done"), "{said}");
    // The object has 50 records, of which 10 were done.
    assert!(said.contains(&row("payloads", 40)), "{said}");
    assert!(said.contains(&row("read", 50)), "{said}");
}

#[test]
fn what_came_in_a_time_and_of_an_application_is_chosen() {
    let place = Place::new();
    let records = place.records(200, "0");
    place.archive(&records, 40);
    let count = |args: &[&str]| -> usize {
        let all = [&["replay", "raw", "--output", "out", "--force", "--now", "5"][..], args];
        place.check(&all.concat(), 0);
        place.text("out/enriched.tsv").lines().count()
    };
    let all = count(&[]);
    let (early, late) =
        (count(&["--until", "1970-01-01T00:01:40Z"]), count(&["--since", "100000"]));
    assert!(early > 0 && late > 0 && early + late == all, "{early} + {late}, not {all}");
    let lines = place.text("out/enriched.tsv");
    let apps: Vec<&str> = lines.lines().map(|line| line.split('\t').next().unwrap_or("")).collect();
    let app = apps[0];
    let of_it = apps.iter().filter(|other| **other == app).count();
    assert_eq!(count(&["--since", "100000", "--app", app]), of_it);
    assert_eq!(count(&["--app", "nobody's"]), 0);
    // By its manifest an object is passed over; one that says less, or is not there, passes over
    // nothing.
    let args = ["replay", "raw", "--output", "out", "--force", "--since", "100000"];
    let said = place.check(&args, 0);
    assert!(said.contains(&row("objects passed over", 0)), "{said}");
    for (number, arrived) in
        [(0, r#","arrived":["1970-01-01T00:00:00Z","1970-01-01T00:00:39Z"]"#), (1, "")]
    {
        let name = format!("raw/_manifests/date=1970-01-01/hour=00/{number:05}.records");
        let name = if number == 0 { format!("{name}.zst.json") } else { format!("{name}.json") };
        place.write(&name, format!(r#"{{"route":"raw","shards":[{{"shard":"x"{arrived}}}]}}"#));
    }
    let said = place.check(&args, 0);
    assert!(said.contains(&row("objects passed over", 1)), "{said}");
    assert_eq!(place.text("out/enriched.tsv").lines().count(), late);
    let said = place.check(&["replay", "raw", "--output", "o", "--since", "5", "--until", "5"], 64);
    assert!(said.contains("--since: expected a time before --until"), "{said}");
}

#[test]
fn damage_is_named_with_its_place_and_the_rest_goes_on() {
    let place = Place::new();
    let records = place.records(300, "0");
    place.archive(&records, 60);
    let object = |number| format!("raw/date=1970-01-01/hour=00/{number:05}.records");
    let bytes = place.read(&object(1));
    place.write(&object(1), &bytes[..bytes.len() - 7]);
    let mut bytes = place.read(&object(3));
    bytes[4] = 9;
    place.write(&object(3), bytes);
    let said = place.check(&["replay", "raw", "--output", "out"], 65);
    let name = object(1);
    let at = said.split(&format!("{name}: at byte ")).nth(1).expect("it is named");
    assert!(at.contains("(unpacked): the archive ends within a record: "), "{said}");
    let name = object(3);
    let version = "at byte 0 (unpacked): expected a record of version 1, found version 9";
    assert!(said.contains(&format!("{name}: {version}")), "{said}");
    assert!(said.contains("damaged objects, whose rest is left out: 2"), "{said}");
    // All of three objects, and all but one record of another.
    let chosen = records.len() - 1 - 60;
    assert!(said.contains(&row("chosen", chosen)), "{said}");
    place.write("events.tsv", "a\tb\n");
    let said = place.check(&["replay", "events.tsv", "--output", "other"], 65);
    assert!(said.contains("events.tsv: expected records of an archive, parked"), "{said}");
    let said = place.check(&["replay", "records.bin", "--output", "third"], 65);
    assert!(said.contains("are read by snowmelt enrich"), "{said}");
}
