//! What `snowmelt enrich` reads and writes: files as people have them, whole or broken, results of
//! earlier runs, interruptions, readers that go away, and registries that are down.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

struct Place(tempfile::TempDir);

impl Place {
    /// A folder with `p.txt`, some lines of payloads, and `p.bin`, the same ones by length.
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        for name in ["p.txt", "p.bin"] {
            let args = ["generate", "--events", "60", "--bad", "0", "--seed", "4", "--now", "0"];
            let made = place.run(&[&args[..], &["--output", name]].concat());
            assert!(made.status.success(), "{made:?}");
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is ours");
        fs::write(path, bytes).expect("it is ours");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        command.current_dir(self.0.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// Enriches some files into a folder; the exit code and what was said.
    fn enrich(&self, output: &str, input: &[&str], more: &[&str]) -> (Option<i32>, String) {
        let args = [&["enrich", "--output", output, "--now", "0", "--input"][..], input, more];
        let output = self.run(&args.concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    packed.write_all(bytes).expect("into memory");
    packed.finish().expect("into memory")
}

#[test]
fn files_are_read_however_they_come() {
    let place = Place::new();
    let (text, bin) = (place.read("p.txt"), place.read("p.bin"));
    place.write("p.txt.gz", gzip(&text));
    place.write("p.bin.gz", gzip(&bin));
    // Packed in two pieces, as `cat a.gz b.gz` leaves them.
    let middle = text.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    place.write("two.gz", [gzip(&text[..middle]), gzip(&text[middle..])].concat());
    place.write("p.zst", zstd::encode_all(&*text, 1).expect("into memory"));
    let halves = (&text[..middle], &text[middle..]);
    for (name, bytes) in [
        ("folder/1/a.txt", gzip(halves.0)),
        ("folder/2.txt", halves.1.to_vec()),
        ("folder/.hidden", b"no record".to_vec()),
        ("folder/_manifests/m.json", b"{}".to_vec()),
    ] {
        place.write(name, bytes);
    }
    assert_eq!(place.enrich("whole", &["p.txt"], &[]).0, Some(0));
    let wanted = place.read("whole/enriched.tsv");
    assert!(lines(&wanted) >= 60);
    for input in ["p.txt.gz", "p.bin.gz", "two.gz", "p.zst", "p.bin", "folder", "folder/"] {
        let out = format!("out-{}", input.replace('/', "_"));
        let (code, said) = place.enrich(&out, &[input], &["--threads", "2"]);
        assert_eq!(code, Some(0), "{input}: {said}");
        assert!(place.read(&format!("{out}/enriched.tsv")) == wanted, "{input}");
    }
}

#[test]
fn what_is_not_there_is_said_before_anything_is_done() {
    let place = Place::new();
    fs::create_dir(place.at("empty")).expect("it is ours");
    for (input, why) in [
        ("none", "cannot open none: No such file"),
        ("empty", "empty: expected files of payloads in the folder, found none"),
    ] {
        let (code, said) = place.enrich("out", &["p.txt", input], &[]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!place.at("out").exists());
    }
}

#[test]
fn a_line_that_is_no_record_is_a_bad_row_and_the_rest_goes_on() {
    let place = Place::new();
    let text = String::from_utf8(place.read("p.txt")).expect("Base64");
    let mut all: Vec<&str> = text.lines().collect();
    all.insert(0, "!! no record");
    all.insert(3, "# a comment");
    place.write("q.txt", all.join("\n"));
    let (code, said) = place.enrich("out", &["q.txt"], &[]);
    assert_eq!(code, Some(0), "{said}");
    for line in ["q.txt:1: ", "q.txt:4: "] {
        assert!(said.contains(line), "{said}");
    }
    place.enrich("whole", &["p.txt"], &[]);
    assert!(lines(&place.read("out/enriched.tsv")) == lines(&place.read("whole/enriched.tsv")));
    let bad = String::from_utf8(place.read("out/bad.jsonl")).expect("JSON");
    assert_eq!(bad.lines().count(), 2);
    let original = event::base64::encode(b"!! no record");
    assert!(bad.contains("collector_payload_format_violation") && bad.contains(&original), "{bad}");
    // Many of them are not all named.
    place.write("r.txt", "!! no record\n".repeat(50));
    let (code, said) = place.enrich("many", &["r.txt"], &[]);
    assert_eq!(code, Some(0));
    assert_eq!(said.lines().filter(|line| line.contains("r.txt:")).count(), 5, "{said}");
    assert_eq!(lines(&place.read("many/bad.jsonl")), 50);
}

#[test]
fn a_file_that_breaks_off_is_named_and_what_was_before_is_there() {
    let place = Place::new();
    let (text, bin) = (place.read("p.txt"), place.read("p.bin"));
    let zst = zstd::encode_all(&*text.repeat(200), 1).expect("into memory");
    place.write("half.zst", &zst[..zst.len() - 8]);
    place.write("half.bin", &bin[..bin.len() / 2]);
    let gz = gzip(&text.repeat(200));
    place.write("half.gz", &gz[..gz.len() - 12]);
    place.write("bad.jsonl", "{\"schema\":\"iglu:com.acme/x/jsonschema/1-0-0\",\"data\":{}}\n");
    for (input, why, any) in [
        ("half.zst", "the Zstd data ends early or is damaged", true),
        ("half.gz", "the Gzip data ends early or is damaged", true),
        ("half.bin", "it ends inside the record at byte ", true),
        ("bad.jsonl", "bad.jsonl:1: expected payload records", false),
    ] {
        for threads in ["1", "3"] {
            let out = format!("out-{input}-{threads}");
            let (code, said) = place.enrich(&out, &[input], &["--threads", threads]);
            assert_eq!(code, Some(65), "{said}");
            assert!(said.contains(&format!("snowmelt: {input}")) && said.contains(why), "{said}");
            // Nothing has the name of a whole result, and what is said to be there is there.
            assert!(!place.at(&format!("{out}/enriched.tsv")).exists());
            let told = said.split("everything of the first ").nth(1).expect("it is said");
            let told: usize =
                told.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
            let there = lines(&place.read(&format!("{out}/enriched.tsv.unfinished")));
            assert!(there >= told && (told > 0) == any, "{there}: {said}");
        }
    }
}

#[test]
fn earlier_results_are_replaced_only_when_asked_to() {
    let place = Place::new();
    assert_eq!(place.enrich("out", &["p.txt"], &[]).0, Some(0));
    let before = place.read("out/enriched.tsv");
    place.write("out/parked.jsonl", "an earlier one");
    for more in [&[][..], &["--compress", "zstd"], &["--format", "json"], &["--format", "outcomes"]]
    {
        let (code, said) = place.enrich("out", &["p.txt"], more);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("out/enriched.tsv is there already"), "{said}");
        assert!(said.contains("--force"), "{said}");
    }
    assert_eq!(place.read("out/enriched.tsv"), before);
    let (code, said) = place.enrich("out", &["p.txt"], &["--force", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let mut names: Vec<_> = fs::read_dir(place.at("out")).expect("it is there").flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> = names.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(names, ["bad.jsonl", "enriched.jsonl"]);
}

/// Starts a command whose input never ends, and gives it some.
fn feed(place: &Place, args: &[&str]) -> Child {
    let mut child = place.command(args);
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    child.spawn().expect("the binary runs")
}

#[test]
fn an_interrupted_run_says_what_is_complete() {
    let place = Place::new();
    let text = place.read("p.txt");
    for threads in ["1", "3"] {
        let out = format!("out-{threads}");
        let args = ["enrich", "--input", "-", "--output", &out, "--threads", threads];
        let mut child = feed(&place, &args);
        let mut input = child.stdin.take().expect("it is piped");
        // Until the first results are there, it is given more; it would go on for ever.
        let results = place.at(&format!("{out}/enriched.tsv.unfinished"));
        while fs::metadata(&results).map_or(0, |data| data.len()) == 0 {
            input.write_all(&text.repeat(20)).expect("it reads");
        }
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
        // It ends at its next record, which it may be waiting for.
        while child.try_wait().expect("it is ours").is_none() {
            if input.write_all(&text).is_err() {
                break;
            }
        }
        drop(input);
        let output = child.wait_with_output().expect("it is ours");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(75), "{said}");
        assert!(said.contains(&format!("is in {out}/*.unfinished")), "{said}");
        let told = said.split("interrupted: everything of the first ").nth(1).expect("it is said");
        let told: usize = told.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        // Whole rounds of the same payloads make whole rounds of events.
        let round = lines(&text);
        place.write("first.txt", text.repeat(told / round + 1));
        let first: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let fed: Vec<u8> = first.iter().cycle().take(told).flat_map(|line| line.to_vec()).collect();
        place.write("fed.txt", fed);
        let whole = format!("whole-{threads}");
        assert_eq!(place.enrich(&whole, &["fed.txt"], &[]).0, Some(0));
        let wanted = lines(&place.read(&format!("{whole}/enriched.tsv")));
        assert_eq!(lines(&fs::read(&results).expect("it is there")), wanted);
        assert!(!place.at(&format!("{out}/enriched.tsv")).exists());
    }
}

/// Signals are heeded while nothing comes that would make a record: in an open pipe, in an endless
/// run of line breaks, in one of zeros, each of which is the length of a record without data.
#[test]
fn an_input_without_records_is_waited_for_and_left() {
    let place = Place::new();
    for (number, (endless, threads)) in
        [("", "1"), ("\n", "1"), ("\0", "1"), ("", "3"), ("\0", "3")].iter().enumerate()
    {
        let out = format!("out-{number}");
        let args = ["enrich", "--input", "-", "--output", &out, "--threads", threads];
        let mut child = feed(&place, &args);
        let mut input = child.stdin.take().expect("it is piped");
        let results = place.at(&format!("{out}/enriched.tsv.unfinished"));
        while !results.exists() {
            std::thread::yield_now();
        }
        let more = endless.repeat(1 << 16);
        let feeding = std::thread::spawn(move || {
            while input.write_all(more.as_bytes()).is_ok() && !more.is_empty() {}
            input
        });
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
        let output = child.wait_with_output().expect("it is ours");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(75), "{endless:?}: {said}");
        assert!(said.contains("snowmelt: interrupted: everything of the first "), "{said}");
        drop(feeding.join().expect("it ends with its reader"));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::new();
    // More than a pipe holds.
    place.write("long.txt", place.read("p.txt").repeat(300));
    for args in [
        &["generate", "--events", "100000"][..],
        &["enrich", "--input", "long.txt"],
        &["enrich", "--input", "long.txt", "--threads", "3"],
        &["enrich", "--input", "long.txt", "--format", "outcomes", "--compress", "gzip"],
        &["explain", "--input", "p.txt"],
        &["schemas", "list"],
        &["help", "enrich"],
    ] {
        let mut child = feed(&place, args);
        let mut first = [0; 1];
        let mut out = child.stdout.take().expect("it is piped");
        out.read_exact(&mut first).expect("it prints something");
        drop(out);
        let output = child.wait_with_output().expect("it is ours");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        assert!(!said.contains("pipe") && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_registry_that_is_down_is_named_once_while_it_is_waited_for() {
    let place = Place::new();
    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let registry = json!({
        "name": "Ours", "priority": 0, "vendorPrefixes": [],
        "connection": {"http": {"uri": format!("http://127.0.0.1:{port}/api")}},
    });
    let resolver = json!({
        "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1",
        "data": {"cacheSize": 500, "repositories": [registry]},
    });
    place.write("resolver.json", resolver.to_string());
    let unknown = "e=ue&p=web&tv=t&ue_pr=%7B%22schema%22%3A%22iglu%3Acom.snowplowanalytics.snowplow%2Funstruct_event%2Fjsonschema%2F1-0-0%22%2C%22data%22%3A%7B%22schema%22%3A%22iglu%3Acom.acme%2Fnone%2Fjsonschema%2F1-0-0%22%2C%22data%22%3A%7B%7D%7D%7D";
    let record = traffic::requests::record(&traffic::requests::get("/i", unknown));
    place.write("u.txt", event::base64::encode(&record));
    let args = ["enrich", "--input", "u.txt", "--output", "out", "--resolver", "resolver.json"];
    let mut child = feed(&place, &args);
    // It is said while it is waited for, not afterwards.
    let mut said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let line = said.next().expect("it says something").expect("text");
    assert!(line.contains("the registry \"Ours\" cannot be asked"), "{line}");
    assert!(line.contains("30 s"), "{line}");
    assert!(child.try_wait().expect("it is ours").is_none(), "it waits");
    child.kill().expect("it runs");
    child.wait().expect("it is ours");
}
