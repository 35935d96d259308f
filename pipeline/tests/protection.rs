//! That nothing of a person is readable in bad rows and incomplete events: a secret is planted in
//! every place of a request, one at a time, and each request made to fail in every way there is.
//! The message of a failing test names the mode, the place, the way and the secret that leaked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use enrichments::{Enrichments, Options};
use event::bad_row::{BadKind, Processor};
use event::reason::{RegistryError, RegistryHistory};
use event::thrift::Wire;
use event::{Bump, Field, SchemaKey, base64};
use pipeline::parameters::{PARAMETERS, Rule};
use pipeline::protection::Personal;
use pipeline::{Batch, Format, Lengths, Outcome, Output, Pipeline, Record, Settings, Verdict};
use traffic::requests;
use validator::{Known, Lookup, Schema, Schemas, embedded};

/// Secrets of different shapes: what keeps one of them out may let another through.
const SECRETS: [&str; 5] =
    ["jane.roe@example.org", "203.0.113.77", "1984-13-01", "2001:db8::77", "Jürgen O'Roe"];

/// What fails besides, where the secret itself is one that events show.
const OTHER: &str = "Jane Poe";

const SIGNUP_URI: &str = "iglu:com.acme/signup/jsonschema/1-0-0";

const SIGNUP: &str = r#"{"type":"object","properties":{
    "email":{"type":"string","format":"email"},
    "birth":{"type":"string","format":"date"},
    "at":{"type":"string","format":"date-time"},
    "id":{"type":"string","format":"uuid"},
    "for":{"type":"string","format":"duration"},
    "home":{"type":"string","format":"ipv4"},
    "site":{"type":"string","format":"uri"},
    "kind":{"enum":["a","b"]},
    "code":{"type":"string","pattern":"^[0-9]{4}$"},
    "short":{"type":"string","maxLength":3},
    "age":{"type":"integer","maximum":150},
    "either":{"oneOf":[{"type":"integer"},{"type":"boolean"}]},
    "friends":{"type":"object","additionalProperties":{"type":"object",
        "properties":{"age":{"type":"integer"}},"additionalProperties":false}},
    "list":{"type":"array","items":{"type":"integer"}}},
    "additionalProperties":false}"#;

/// Members of the entity's data in which a secret stands, most of them not valid.
const MEMBERS: [(&str, &str); 17] = [
    ("an email", r#""email":SECRET"#),
    ("a date", r#""birth":SECRET"#),
    ("a time", r#""at":SECRET"#),
    ("a uuid", r#""id":SECRET"#),
    ("a duration", r#""for":SECRET"#),
    ("an address", r#""home":SECRET"#),
    ("a uri", r#""site":SECRET"#),
    ("an enum", r#""kind":SECRET"#),
    ("a pattern", r#""code":SECRET"#),
    ("a length", r#""short":SECRET"#),
    ("a type", r#""age":SECRET"#),
    ("one of two", r#""either":SECRET"#),
    ("a member", r#"SECRET:1"#),
    ("the key of a map", r#""friends":{SECRET:{"age":"old"}}"#),
    ("a member in a map", r#""friends":{"b":{SECRET:1}}"#),
    ("an item", r#""list":[1,SECRET]"#),
    ("what is valid", r#""age":"old","email":SECRET"#),
];

/// JSON that is no envelope of entities.
const TEXTS: [(&str, &str); 4] = [
    ("no envelope", r#"{"who":SECRET}"#),
    ("no JSON", r#"{"who":SECRET"#),
    ("no data", r#"{"schema":"iglu:com.acme/signup/jsonschema/1-0-0","who":SECRET}"#),
    ("another schema", r#"{"schema":"iglu:com.acme/signup/jsonschema/1-0-0","data":SECRET}"#),
];

/// The columns that the configuration hashes.
const COVERED: [Field; 16] = [
    Field::UserId,
    Field::UserFingerprint,
    Field::DomainUserid,
    Field::NetworkUserid,
    Field::TrOrderid,
    Field::TiOrderid,
    Field::MktTerm,
    Field::MktContent,
    Field::SeCategory,
    Field::SeAction,
    Field::SeLabel,
    Field::SeProperty,
    Field::MktClickid,
    Field::RefrDomainUserid,
    Field::DomainSessionid,
    Field::UserIpaddress,
];

const HEADERS: [&str; 16] = [
    "Cookie",
    "Authorization",
    "Referer",
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "CloudFront-Viewer-Address",
    "X-Envoy-External-Address",
    "CF-Connecting-IPv6",
    "X-AppEngine-User-IP",
    "From",
    "X-Anything",
    "User-Agent",
    "Host",
    "Accept-Language",
    "Origin",
];

/// A request under construction.
#[derive(Clone, Debug, Default)]
struct Request {
    path: String,
    query: Vec<(String, String)>,
    raw_query: Option<String>,
    body: Option<String>,
    content_type: Option<String>,
    collector: Option<String>,
    encoding: Option<String>,
    hostname: Option<String>,
    address: Option<String>,
    useragent: Option<String>,
    referer: Option<String>,
    user: Option<String>,
    headers: Vec<String>,
    schema: Option<String>,
}

type Change = Box<dyn Fn(&mut Request, &str)>;

/// Where a secret stands, whatever becomes of it.
struct Place {
    name: String,
    /// Whether events show what stands there, since the operator wants it readable.
    open: bool,
    plant: Change,
}

impl Request {
    fn page_view() -> Request {
        let query = [("e", "pv"), ("p", "web"), ("tv", "js-1"), ("aid", "shop")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Request { path: "/i".to_owned(), query: query.to_vec(), ..Request::default() }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value.to_owned()));
    }

    fn post(&mut self, body: String) {
        self.path = requests::POST_PATH.to_owned();
        self.content_type = Some("application/json".to_owned());
        self.body = Some(body);
    }

    /// The query as an event in a body.
    fn as_event(&self) -> String {
        let member =
            |(name, value): &(String, String)| format!("{}:{}", quoted(name), quoted(value));
        format!("{{{}}}", self.query.iter().map(member).collect::<Vec<_>>().join(","))
    }

    fn record(&self) -> Vec<u8> {
        let pair = |(name, value): &(String, String)| format!("{}={}", escape(name), escape(value));
        let query = self.query.iter().map(pair).collect::<Vec<_>>().join("&");
        let bytes = |text: &'_ Option<String>| text.clone().map(String::into_bytes);
        let texts = [&self.body, &self.content_type, &self.hostname, &self.address].map(bytes);
        let more = [&self.useragent, &self.referer, &self.user].map(bytes);
        let named = [&self.collector, &self.encoding, &self.schema].map(bytes);
        let headers: Vec<&[u8]> = self.headers.iter().map(String::as_bytes).collect();
        let base = requests::get(&self.path, self.raw_query.as_ref().unwrap_or(&query));
        requests::record(&Wire {
            schema: named[2].as_deref().or(base.schema),
            encoding: named[1].as_deref().or(base.encoding),
            collector: named[0].as_deref().or(base.collector),
            body: texts[0].as_deref(),
            content_type: texts[1].as_deref(),
            hostname: texts[2].as_deref(),
            ip_address: texts[3].as_deref(),
            user_agent: more[0].as_deref(),
            referer_uri: more[1].as_deref(),
            network_userid: more[2].as_deref(),
            headers: &headers,
            ..base
        })
    }
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    event::json::write_string(text, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn place(name: impl Into<String>, plant: impl Fn(&mut Request, &str) + 'static) -> Place {
    Place { name: name.into(), open: false, plant: Box::new(plant) }
}

/// A secret in the page's URL, which events show.
fn in_page(name: &str, url: impl Fn(&str) -> String + 'static) -> Place {
    Place { open: true, ..place(name, move |r, s| r.set("url", &url(s))) }
}

fn places() -> Vec<Place> {
    let mut places = vec![
        place("host name", |r, s| r.hostname = Some(s.to_owned())),
        place("address", |r, s| r.address = Some(s.to_owned())),
        place("foreign value", |r, s| r.set("mail", s)),
        place("foreign name", |r, s| r.set(s, "1")),
        place("redirect", |r, s| r.set("u", &format!("http://a.test/?u={s}"))),
        place("name of a header", |r, s| r.headers.push(format!("{s}: 1"))),
        place("no header", |r, s| r.headers.push(s.replace(':', "."))),
    ];
    places.extend(HEADERS.map(|name| {
        place(format!("header {name}"), move |r, s| r.headers.push(format!("{name}: {s}")))
    }));
    // An event shows its collector, the user agent, the page and columns of which nobody said
    // otherwise.
    let shown = [
        place("collector", |r, s| r.collector = Some(s.to_owned())),
        place("user agent", |r, s| r.useragent = Some(s.to_owned())),
        place("referer", |r, s| r.referer = Some(format!("http://a.test/?u={s}"))),
    ];
    places.extend(shown.map(|place| Place { open: true, ..place }));
    places.extend(PARAMETERS.iter().map(|parameter| {
        let name = parameter.name();
        let open = match parameter.rule {
            Rule::Text(field) | Rule::Last(field) => !COVERED.contains(&field),
            _ => false,
        };
        Place { open, ..place(format!("parameter {name}"), move |r, s| r.set(name, s)) }
    }));
    for (name, encoded) in [("co", false), ("cx", true), ("ue_pr", false), ("ue_px", true)] {
        let put = move |r: &mut Request, text: &str, secret: &str| {
            let text = text.replace("SECRET", &quoted(secret));
            r.set("e", if name.starts_with('u') { "ue" } else { "pv" });
            r.set(name, &if encoded { base64::encode(text.as_bytes()) } else { text });
        };
        places.extend(
            TEXTS.map(|(what, text)| place(format!("{name}: {what}"), move |r, s| put(r, text, s))),
        );
        places.extend(MEMBERS.map(|(what, members)| {
            let entity = format!(r#"{{"schema":"{SIGNUP_URI}","data":{{{members}}}}}"#);
            let (kind, data) = match name.starts_with('c') {
                true => ("contexts", format!("[{entity}]")),
                false => ("unstruct_event", entity),
            };
            let vendor = "iglu:com.snowplowanalytics.snowplow";
            let uri = format!("{vendor}/{kind}/jsonschema/1-0-0");
            let text = format!(r#"{{"schema":"{uri}","data":{data}}}"#);
            place(format!("{name}: {what}"), move |r, s| put(r, &text, s))
        }));
    }
    places
}

/// Ways to fail, each applied after the secret was planted.
fn ways() -> Vec<Place> {
    let webhook = |r: &mut Request| {
        r.path = "/com.snowplowanalytics.iglu/v1".to_owned();
        r.set("schema", SIGNUP_URI);
    };
    let in_body = |r: &mut Request, rest: String| {
        r.post(requests::body(&format!(r#"{{"e":"pv","p":"web",{rest}}}"#)));
    };
    vec![
        place("nothing more", |_, _| {}),
        place("a decimal", |r, s| r.set("tr_tt", s)),
        place("a number", |r, s| r.set("vid", s)),
        place("a time", |r, s| r.set("dtm", s)),
        place("a type of event", |r, s| r.set("e", s)),
        place("a size", |r, s| r.set("res", s)),
        in_page("no URL", |s| format!("http://[{s}")),
        in_page("a linker's time", |s| {
            format!("http://a.test/?_sp=a.{}", escape(&format!("{s}x")))
        }),
        place("a column too long", |r, _| r.set("tr_cu", "dollars")),
        place("an illegal query", |r, s| r.raw_query = Some(format!("e=pv&uid={s}&page=a|b"))),
        place("a malformed escape", |r, s| r.raw_query = Some(format!("uid={s}&x=%zz"))),
        place("no UUID", |r, s| r.user = Some(s.to_owned())),
        place("no charset", |r, s| r.encoding = Some(s.to_owned())),
        place("another schema", |r, s| r.schema = Some(format!("iglu:{s}/a/thrift/1-0-0"))),
        place("no schema", |r, s| r.schema = Some(s.to_owned())),
        place("a long path", |r, s| r.path = format!("/{s}/a/b")),
        place("a vendor", |r, s| r.path = format!("/{s}/v1")),
        place("a version", |r, s| r.path = format!("/com.acme/{s}")),
        place("no redirect", |r, _| {
            r.path = "/r/tp2".to_owned();
            r.query.retain(|(name, _)| name != "u");
        }),
        place("contexts of a redirect", |r, s| {
            r.path = "/r/tp2".to_owned();
            r.set("u", "http://a.test");
            r.set("co", s);
        }),
        place("a content type", |r, s| {
            r.post("{}".to_owned());
            r.content_type = Some(s.to_owned());
        }),
        place("no JSON", |r, s| r.post(format!("[{s}]"))),
        place("no envelope", |r, s| r.post(format!(r#"{{"a":{}}}"#, quoted(s)))),
        place("an unknown key", move |r, s| in_body(r, format!(r#""tv":"1",{}:"1""#, quoted(s)))),
        place("no text", move |r, s| {
            in_body(r, format!(r#""tv":"1","page":1,"uid":{}"#, quoted(s)))
        }),
        place("no tracker", move |r, s| in_body(r, format!(r#""uid":{}"#, quoted(s)))),
        place("a POST", |r, s| {
            r.set("tr_tt", s);
            let body = requests::body(&r.as_event());
            r.query.clear();
            r.post(body);
        }),
        place("a form", move |r, s| {
            webhook(r);
            r.content_type = Some("application/x-www-form-urlencoded".to_owned());
            r.body = Some(format!("email={s}&x=%zz"));
        }),
        place("a webhook's schema", move |r, s| {
            webhook(r);
            r.set("schema", s);
        }),
        place("a webhook's data", move |r, s| {
            webhook(r);
            r.set("email", s);
        }),
    ]
}

/// Endpoints of webhooks, which refuse what is not theirs.
const WEBHOOKS: [&str; 17] = [
    "com.amazon.aws.cloudfront/wd_access_log",
    "com.callrail/v1",
    "com.getvero/v1",
    "com.google.analytics.measurement-protocol/v1",
    "com.hubspot/v1",
    "com.mailchimp/v1",
    "com.mailgun/v1",
    "com.mandrill/v1",
    "com.marketo/v1",
    "com.olark/v1",
    "com.pagerduty/v1",
    "com.pingdom/v1",
    "com.sendgrid/v3",
    "com.statusgator/v1",
    "com.unbounce/v1",
    "com.urbanairship.connect/v1",
    "com.snowplowanalytics.iglu/v1",
];

/// Bodies that webhooks refuse, or of which they make events that are not valid.
fn of_webhooks() -> Vec<Place> {
    let bodies: [fn(&str) -> String; 8] = [
        |s| format!("{{{s}:{s}}}"),
        |s| format!("[{{{s}:{s},\"event\":{s},\"subscriptionType\":{s}}},{s}]"),
        |s| format!("{{\"type\":{s},\"event\":{s},\"messages\":[{{\"type\":{s}}},{s}]}}"),
        |s| format!("{{\"event-data\":{{\"event\":{s}}},\"signature\":{s}}}"),
        |s| format!("{{\"occurred\":{s},\"processed\":{s},\"type\":{s},\"id\":{s}}}"),
        |s| format!("{s}={s}&x=%zz"),
        |s| format!("type={0}&t={0}&data={0}&mandrill_events={0}", escape(s)),
        |s| format!("{0}\t{0}\t{0}\t1\t2\t3\t4\t5\t6\t7\t8\t9", s.trim_matches('"')),
    ];
    let each = WEBHOOKS.iter().flat_map(|path| bodies.iter().map(move |body| (*path, *body)));
    let each = each.enumerate().map(|(number, (path, body))| {
        let name = format!("{path} with body {}", number % bodies.len());
        place(name, move |r, s| {
            r.post(body(&quoted(s)));
            r.path = format!("/{path}");
            let form = number % bodies.len() > 4;
            let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
            r.content_type = Some(kind.to_owned());
            r.set("message", s);
            r.set("gclid", s);
        })
    });
    each.collect()
}

/// Everything that can be read in a row: what it says, and what is encoded in it.
fn readable(row: &str) -> String {
    let arena = Bump::new();
    let mut all = row.to_lowercase();
    let is_encoding = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    for word in row.split(|c: char| !is_encoding(c)).filter(|word| word.len() >= 16) {
        let bytes = base64::decode_bytes(word.as_bytes(), &arena);
        all.push_str(&String::from_utf8_lossy(bytes).to_lowercase());
    }
    all
}

fn shows(row: &str, secret: &str) -> bool {
    let all = readable(row);
    let mut forms = vec![secret.to_owned(), quoted(secret).trim_matches('"').to_owned()];
    forms.push(escape(secret));
    // Half of an address is an address, too.
    forms.extend(secret.split_once('@').map(|(user, _)| user.to_owned()));
    forms.iter().any(|form| all.contains(&form.to_lowercase()))
}

fn pipeline(change: impl FnOnce(&mut Settings)) -> Pipeline {
    let folder = tempfile::tempdir().expect("a folder");
    let pojo = |field: &Field| format!(r#"{{"pojo":{{"field":"{}"}}}}"#, field.name());
    let json = |column: &&str| {
        let criterion = "iglu:com.acme/signup/jsonschema/1-*-*";
        format!(
            r#"{{"json":{{"field":"{column}","jsonPath":"$.*","schemaCriterion":"{criterion}"}}}}"#
        )
    };
    let mut fields: Vec<String> = COVERED.iter().map(pojo).collect();
    fields.extend(["contexts", "unstruct_event"].iter().map(json));
    let vendor = "iglu:com.snowplowanalytics.snowplow";
    let pii = format!(
        r#"{{"schema":"{vendor}.enrichments/pii_enrichment_config/jsonschema/2-0-0",
            "data":{{"enabled":true,"emitEvent":false,"parameters":{{"pii":[{}],
            "strategy":{{"pseudonymize":{{"hashFunction":"SHA-256","salt":"salt"}}}}}}}}}}"#,
        fields.join(",")
    );
    let anon = format!(
        r#"{{"schema":"{vendor}/anon_ip/jsonschema/1-0-0",
            "data":{{"enabled":true,"parameters":{{"anonOctets":2}}}}}}"#
    );
    std::fs::write(folder.path().join("pii.json"), pii).expect("a file");
    std::fs::write(folder.path().join("anon_ip.json"), anon).expect("a file");
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let processor = Processor { artifact: "test".to_owned(), version: "1.0.0".to_owned() };
    let mut settings = Settings { incomplete: true, ..Settings::new(processor) };
    change(&mut settings);
    Pipeline::new(settings, Arc::new(enrichments.expect("it is right")))
}

/// The schemas that there are, and that these are missing, as all that were asked for before.
fn schemas(missing: &[SchemaKey]) -> Schemas {
    static KNOWN: Mutex<Vec<(Arc<str>, Arc<Known>)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().expect("nothing panics with it");
    if known.is_empty() {
        known.extend(found());
    }
    let history = RegistryHistory {
        repository: "none".to_owned(),
        errors: vec![RegistryError::NotFound],
        attempts: 1,
        last_attempt_ms: 1_714_558_272_345,
    };
    let lookup = || Arc::new(Known::new(Lookup::Missing(vec![history.clone()].into())));
    known.extend(missing.iter().map(|key| (key.to_string().into(), lookup())));
    known.iter().cloned().collect()
}

fn found() -> impl Iterator<Item = (Arc<str>, Arc<Known>)> {
    let embedded = embedded::keys().map(|key| {
        let text = embedded::text(&key).expect("it is embedded");
        (format!("iglu:{}", key.path()), Schema::compile(text))
    });
    let own = (SIGNUP_URI.to_owned(), Schema::compile(SIGNUP));
    embedded.chain([own]).map(|(uri, schema): (String, Schema)| {
        (uri.into(), Arc::new(Known::new(Lookup::Found(Arc::new(schema)))))
    })
}

/// A mode in which everything must hold, with pipelines that fail in different ways.
struct Mode {
    personal: Personal,
    pipelines: Vec<(&'static str, Pipeline)>,
}

impl Mode {
    fn new(personal: Personal) -> Mode {
        let pipelines = vec![
            ("usual", pipeline(|settings| settings.personal = personal)),
            (
                "small lines",
                pipeline(|settings| {
                    settings.personal = personal;
                    settings.line_bytes_max = 900;
                    settings.lengths = Lengths::Accepted;
                }),
            ),
            (
                "small flat lines",
                pipeline(|settings| {
                    settings.personal = personal;
                    settings.line_bytes_max = 900;
                    settings.format = Format::Json;
                }),
            ),
        ];
        Mode { personal, pipelines }
    }
}

/// What was seen of many requests.
#[derive(Default)]
struct Seen {
    kinds: BTreeSet<BadKind>,
    incomplete: usize,
    wrong: Vec<String>,
}

impl Seen {
    fn check(
        &mut self,
        mode: &Mode,
        place: &Place,
        way: &Place,
        secret: &str,
        schemas: &mut Schemas,
    ) {
        let open = place.open && mode.personal == Personal::Pseudonymise;
        let looked_for = if open { OTHER } else { secret };
        let mut request = Request::page_view();
        (place.plant)(&mut request, secret);
        (way.plant)(&mut request, looked_for);
        let record = request.record();
        // Lines cut short differ little from place to place.
        let pipelines = if place.name.len().is_multiple_of(3) { 3 } else { 1 };
        for (what, pipeline) in mode.pipelines.iter().take(pipelines) {
            let output = process(pipeline, schemas, &record);
            let context =
                format!("{:?}, {}, {}, {what}, {looked_for}", mode.personal, place.name, way.name);
            self.kinds.extend(output.verdicts.iter().filter_map(|(_, verdict)| match verdict {
                Verdict::Bad(kind) => Some(*kind),
                _ => None,
            }));
            self.incomplete += output.incomplete.len();
            let open = way.open && mode.personal == Personal::Pseudonymise;
            for row in output.bad.iter() {
                let row = String::from_utf8_lossy(row);
                let told = if open { failure(&row) } else { &row };
                if shows(told, looked_for) {
                    self.wrong.push(format!("{context}\n  {row}"));
                }
                if let Some(fault) = fault(&row, schemas) {
                    self.wrong.push(format!("{context}: {fault}\n  {row}"));
                }
            }
            for row in output.incomplete.iter().filter(|_| !open) {
                let row = String::from_utf8_lossy(row);
                if shows(&row, looked_for) {
                    self.wrong.push(format!("{context}, incomplete\n  {row}"));
                }
            }
        }
    }
}

fn process(pipeline: &Pipeline, schemas: &mut Schemas, record: &[u8]) -> Output {
    let record = Record { sequence: "1", sub_sequence: 0, data: record };
    let batch = Batch { shard: "s", records: vec![record] };
    loop {
        match pipeline.process(&batch, &*schemas, 1_714_558_272_345) {
            Outcome::Done(output) => return output,
            Outcome::Need(keys) => *schemas = self::schemas(&keys),
            Outcome::Waits(_) => unreachable!("there are no look-ups"),
        }
    }
}

/// What a row says of the failure; of a row cut short, nothing.
fn failure(row: &str) -> &str {
    let data = event::json::member(row, "data").expect("a row has data");
    event::json::member(data, "failure").expect("a row tells what failed")
}

/// What is wrong with a row by its published schema.
fn fault(row: &str, schemas: &Schemas) -> Option<String> {
    let part = |name| event::json::member(row, name).expect("a row has its parts");
    let uri = part("schema").trim_matches('"');
    let Some(Lookup::Found(schema)) = schemas.get(uri) else { panic!("no schema {uri}") };
    schema.check(part("data")).err().map(|error| format!("{error:?}"))
}

#[test]
fn secrets_are_seen_where_nothing_protects() {
    let mut schemas = schemas(&[]);
    let mode = Mode::new(Personal::Keep);
    let (mut seen, ways) = (Seen::default(), ways());
    let places = places();
    for place in &places {
        seen.check(&mode, place, &ways[1], SECRETS[0], &mut schemas);
    }
    let seen_in = |place: &&Place| {
        let context = format!("Keep, {}, ", place.name);
        seen.wrong.iter().any(|wrong| wrong.starts_with(&context))
    };
    let unseen: Vec<&str> =
        places.iter().filter(|place| !seen_in(place)).map(|place| place.name.as_str()).collect();
    assert!(unseen.is_empty(), "not seen in {unseen:?}");
}

#[test]
fn no_secret_is_readable_wherever_it_stood_and_however_its_event_failed() {
    let mut schemas = schemas(&[]);
    let (places, ways) = (places(), ways());
    let mut seen = Seen::default();
    for mode in [Personal::Pseudonymise, Personal::Withhold].map(Mode::new) {
        for (number, place) in places.iter().enumerate() {
            for (turn, way) in ways.iter().enumerate() {
                let secret = SECRETS[(number + turn) % SECRETS.len()];
                seen.check(&mode, place, way, secret, &mut schemas);
            }
            for secret in SECRETS {
                seen.check(&mode, place, &ways[number % ways.len()], secret, &mut schemas);
                seen.check(&mode, place, &ways[1], secret, &mut schemas);
            }
        }
        let nowhere = place("nowhere", |_, _| {});
        for way in of_webhooks() {
            for secret in SECRETS {
                seen.check(&mode, &nowhere, &way, secret, &mut schemas);
            }
        }
    }
    for kind in BadKind::ALL.iter().filter(|kind| **kind != BadKind::GenericError) {
        assert!(seen.kinds.contains(kind), "no request failed as {kind:?}");
    }
    assert!(seen.incomplete > 1_000, "only {} incomplete events", seen.incomplete);
    let first: Vec<&str> = seen.wrong.iter().take(12).map(String::as_str).collect();
    assert!(seen.wrong.is_empty(), "{} are wrong\n{}", seen.wrong.len(), first.join("\n"));
}
