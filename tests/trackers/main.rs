//! Published trackers send to `snowmelt local`: what they were told to track is what comes out,
//! column for column, and no column has anything that nobody put there.
//!
//! The programs in this folder track the same three events each, by each tracker's own interface,
//! once in query strings and once in bodies. `tests/run` installs the trackers by name, and says in
//! `SNOWMELT_TRACKERS` which of them there are; those that are left out it counts.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests/run says in the environment what there is, and reads what was tested"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tests::{repository, workers};

/// A tracker: its name, how its versions begin, and the platform that it says it is on.
const TRACKERS: [(&str, &str, &str); 4] = [
    ("node", "node-", "srv"),
    ("python", "py-", "pc"),
    ("go", "golang-", "srv"),
    ("browser", "js-", "web"),
];

/// What a column must have.
enum Want {
    Is(Value),
    Starts(&'static str),
    Uuid,
    /// A time since the test began.
    Time,
    /// Whatever the tracker found on this machine.
    Some,
}

/// `snowmelt local`, on a port of its own.
struct Collector {
    child: Child,
    address: String,
}

impl Collector {
    fn start(dir: &Path) -> Result<Collector> {
        for name in ["checkout", "user"] {
            let folder = dir.join(format!("run/schemas/com.acme/{name}/jsonschema"));
            std::fs::create_dir_all(&folder)?;
            let version = json!({"vendor": "com.acme", "name": name, "format": "jsonschema",
                "version": "1-0-0"});
            let schema = json!({"self": version, "type": "object"});
            std::fs::write(folder.join("1-0-0"), schema.to_string())?;
        }
        // Without enrichments every column is a tracker's or the collector's.
        std::fs::create_dir(dir.join("none"))?;
        let mut command = workers::snowmelt()?;
        command.args(["local", "--port", "0", "--dir"]).arg(dir.join("run"));
        command.arg("--enrichments").arg(dir.join("none"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(child.stderr.take().context("it is piped")?);
        let mut line = String::new();
        while !line.contains("http://") {
            line.clear();
            ensure!(said.read_line(&mut line)? > 0, "it did not say where it listens");
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = line.split("http://").nth(1).context("an address")?.trim().to_owned();
        Ok(Collector { child, address })
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut socket = TcpStream::connect(&self.address)?;
        let address = &self.address;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        serde_json::from_str(body).with_context(|| answer.clone())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that tracks with a tracker.
fn program(tracker: &str) -> Command {
    let tools = repository::target().join("tools");
    let here = repository::root().join("tests/trackers");
    let with = |program: PathBuf, arguments: &[PathBuf]| {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    };
    match tracker {
        "python" => with(tools.join("trackers/bin/python"), &[here.join("client.py")]),
        "go" => with(tools.join("go-client"), &[]),
        other => {
            let script = here.join(format!("{other}.mjs"));
            with("node".into(), &[script, tools.join("browser")])
        }
    }
}

#[test]
fn what_trackers_track_is_what_comes_out() -> Result<()> {
    let named = std::env::var("SNOWMELT_TRACKERS").context("tests/run says which there are")?;
    let dir = tempfile::tempdir()?;
    let collector = Collector::start(dir.path())?;
    let (host, port) = collector.address.split_once(':').context("host and port")?;
    let mut tested = Vec::new();
    for (tracker, version, platform) in TRACKERS {
        if !named.split(' ').any(|name| name == tracker) {
            println!("left out: {tracker}");
            continue;
        }
        for method in ["get", "post"] {
            let mut command = program(tracker);
            command.args([host, port, method]);
            if tracker == "browser" {
                command.arg(std::env::var_os("SNOWMELT_CHROMIUM").context("a browser")?);
            }
            let began = time(-1);
            let output = command.output().with_context(|| format!("{command:?}"))?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{tracker} by {method}: {said}");
            let app = format!("{tracker}-{method}");
            let answer = collector.get(&format!("/events?wait=3&timeout=30&app={app}"))?;
            let events = answer["events"].as_array().context("a list")?;
            ensure!(events.len() == 3, "{app}: {answer:#}");
            for (name, of_event) in events_wanted() {
                let found = events.iter().find(|event| event["event_name"] == name);
                let found = found.with_context(|| format!("{app}: no {name} in {answer:#}"))?;
                let found = found["event"].as_object().context("it is enriched")?;
                let mut wanted = wanted(&app, version, platform);
                wanted.extend(of_event);
                if tracker == "browser" {
                    wanted.extend(of_browsers());
                }
                check(found, &wanted, &began).with_context(|| format!("{app}: {name}"))?;
            }
        }
        tested.push(tracker);
    }
    println!("tested: {}", tested.join(", "));
    ensure!(!tested.is_empty(), "no tracker is there");
    Ok(())
}

type Columns = Vec<(&'static str, Want)>;

/// What every event has.
fn wanted(app: &str, version: &'static str, platform: &str) -> Columns {
    vec![
        ("app_id", Want::Is(json!(app))),
        ("platform", Want::Is(json!(platform))),
        ("etl_tstamp", Want::Time),
        ("collector_tstamp", Want::Time),
        ("dvce_created_tstamp", Want::Time),
        ("dvce_sent_tstamp", Want::Time),
        ("derived_tstamp", Want::Time),
        ("event_id", Want::Uuid),
        ("name_tracker", Want::Is(json!("ours"))),
        ("v_tracker", Want::Starts(version)),
        ("v_collector", Want::Starts("snowmelt-")),
        ("v_etl", Want::Starts("snowmelt-")),
        ("user_id", Want::Is(json!("user-1"))),
        ("user_ipaddress", Want::Is(json!("127.0.0.1"))),
        ("network_userid", Want::Uuid),
        ("useragent", Want::Some),
        ("br_lang", Want::Is(json!("en-GB"))),
        ("os_timezone", Want::Is(json!("Europe/London"))),
        ("dvce_screenwidth", Want::Is(json!(1920))),
        ("dvce_screenheight", Want::Is(json!(1080))),
        ("event_format", Want::Is(json!("jsonschema"))),
        ("event_version", Want::Is(json!("1-0-0"))),
    ]
}

/// What each of the three has besides.
fn events_wanted() -> [(&'static str, Columns); 3] {
    let is = |columns: &[(&'static str, Value)]| -> Columns {
        columns.iter().map(|(name, value)| (*name, Want::Is(value.clone()))).collect()
    };
    let mut page_view = is(&[
        ("event", json!("page_view")),
        ("event_vendor", json!("com.snowplowanalytics.snowplow")),
        ("event_name", json!("page_view")),
        ("page_title", json!("Cart")),
    ]);
    page_view.extend(page());
    let structured = is(&[
        ("event", json!("struct")),
        ("event_vendor", json!("com.google.analytics")),
        ("event_name", json!("event")),
        ("se_category", json!("cart")),
        ("se_action", json!("add")),
        ("se_label", json!("Zoë 日本 😀")),
        ("se_property", json!("red")),
        ("se_value", json!(9.75)),
    ]);
    let described = is(&[
        ("event", json!("unstruct")),
        ("event_vendor", json!("com.acme")),
        ("event_name", json!("checkout")),
        ("unstruct_event_com_acme_checkout_1", json!({"total": 12.5, "items": 3})),
        ("contexts_com_acme_user_1", json!([{"_schema_version": "1-0-0", "tier": "gold"}])),
    ]);
    [("page_view", page_view), ("event", structured), ("checkout", described)]
}

/// The page and where its visitor came from.
fn page() -> Columns {
    let columns = [
        ("page_url", json!("https://shop.test/cart?step=2#top")),
        ("page_urlscheme", json!("https")),
        ("page_urlhost", json!("shop.test")),
        ("page_urlport", json!(443)),
        ("page_urlpath", json!("/cart")),
        ("page_urlquery", json!("step=2")),
        ("page_urlfragment", json!("top")),
        ("page_referrer", json!("https://news.test/")),
        ("refr_urlscheme", json!("https")),
        ("refr_urlhost", json!("news.test")),
        ("refr_urlport", json!(443)),
        ("refr_urlpath", json!("/")),
    ];
    columns.into_iter().map(|(name, value)| (name, Want::Is(value))).collect()
}

/// What a browser says of itself, and of its page with every event.
fn of_browsers() -> Columns {
    let mut columns = page();
    columns.extend([
        ("domain_userid", Want::Uuid),
        ("domain_sessionid", Want::Uuid),
        ("domain_sessionidx", Want::Is(json!(1))),
        ("br_cookies", Want::Is(json!(true))),
        ("br_colordepth", Want::Some),
        ("br_viewwidth", Want::Some),
        ("br_viewheight", Want::Some),
        ("doc_charset", Want::Is(json!("UTF-8"))),
        ("doc_width", Want::Some),
        ("doc_height", Want::Some),
        ("contexts_com_snowplowanalytics_snowplow_web_page_1", Want::Some),
    ]);
    columns
}

/// Every column as it should be, and none besides.
fn check(event: &Map<String, Value>, wanted: &Columns, began: &str) -> Result<()> {
    for (name, want) in wanted {
        let found = event.get(*name).unwrap_or(&Value::Null);
        let text = found.as_str().unwrap_or_default();
        let right = match want {
            Want::Is(value) => found == value,
            Want::Starts(start) => text.starts_with(start),
            Want::Uuid => text.len() == 36 && text.split('-').count() == 5,
            Want::Time => *began <= *text && text.ends_with('Z') && *text <= *time(1),
            Want::Some => !found.is_null(),
        };
        let expected = match want {
            Want::Is(value) => format!(", not {value}"),
            _ => String::new(),
        };
        ensure!(right, "{name} is {found}{expected}");
    }
    let given = event.iter().filter(|(_, value)| !value.is_null());
    for (name, value) in given {
        ensure!(wanted.iter().any(|(known, _)| known == name), "{name} is there: {value}");
    }
    Ok(())
}

/// The time so many seconds from now; some trackers cut their times off at a second.
fn time(seconds: i64) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.expect("it is later than 1970").as_millis() as i64;
    let mut text = Vec::new();
    event::time::write_instant_millis(ms + 1000 * seconds, &mut text);
    String::from_utf8(text).expect("it is ASCII")
}
