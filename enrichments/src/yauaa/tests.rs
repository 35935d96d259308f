//! The engine with small rules of our own.

mod published;

use std::collections::BTreeMap;

use super::rules::{Reader, Rules};
use super::*;

/// A list of public suffixes.
const SUFFIXES: &str =
    "// ===BEGIN ICANN DOMAINS===\ncom\norg\nuk\nco.uk\n// ===END ICANN DOMAINS===\n";

/// Rules that use every part of the language.
const RULES: &str = r#"
config:
- lookup:
    name: 'Systems'
    map:
      'Acme OS' : 'AcmeOS|Desktop'
      'Phone'   : 'PhoneOS|Mobile'
- lookup:
    name: 'Models'
    merge:
    - 'Systems'
    map:
      'AX-' : 'Acme X'
- set:
    name: 'Robots'
    merge:
    - 'Models'
    values:
    - 'Crawler'
- matcher:
    extract:
    - 'DeviceClass : 0 : "Desktop"'
- matcher:
    variable:
    - 'Browser : agent.(1)product.(1)name="Roam"^.(1)version'
    require:
    - 'agent.product.name="Roam"'
    - 'IsNull[agent.product.name="Spoofed"]'
    extract:
    - 'AgentName    : 10 : "Roam"'
    - 'AgentVersion : 10 : CleanVersion[@Browser]'
- matcher:
    variable:
    - 'Browser : agent.(1)product.(1)name="Roam"^.(1)version'
    extract:
    - 'AgentBuild   : 10 : Concat["b";@Browser[2];"!"]'
- matcher:
    variable:
    - 'System : agent.(1)product.(1)comments.entry.(1-3)text?Systems'
    extract:
    - 'OperatingSystemName  : 5 : LookUp[Systems;@System][[1]]'
    - 'OperatingSystemClass : 5 : LookUp[Systems;@System;"None|None"][[2]]'
    - 'DeviceName           : 5 : DefaultIfNull[LookUpPrefix[Models;@System^>.(1)text];"Plain"]'
- matcher:
    require:
    - 'IsInLookUpContains[Robots;agent.(1)product.(1)name]'
    extract:
    - 'DeviceClass           : 99 : "Robot"'
    - 'AgentInformationUrl   : 9 : agent.product.comments.entry.url'
    - 'AgentInformationEmail : 9 : agent.product.comments.entry.email'
- matcher:
    require:
    - '__SyntaxError__="true"'
    extract:
    - 'AgentSecurity : 1 : "broken"'
- matcher:
    extract:
    - 'AgentLanguage : 3 : agent.product.comments.entry.keyvalue.key="lang"^.text{"en-"[1-2]'
- matcher:
    require:
    - 'agent.(1)product.name!="Roam"'
    - 'agent.(1)product[1-1]~"oth"'
    extract:
    - 'AgentName : 3 : ReplaceString[NormalizeBrand[agent.(1)product.name@];"er";"ER"]'
"#;

fn engine(rules: &str) -> Engine {
    let rules = read(&[("own.yaml", rules)]).expect("own rules");
    Engine::new(rules, lexer::Lexer::new()).expect("own rules")
}

fn read(files: &[(&str, &str)]) -> Result<Rules, String> {
    let mut reader = Reader::default();
    files.iter().try_for_each(|(name, text)| reader.add(name, text))?;
    reader.finish(SUFFIXES.to_owned())
}

fn fields(engine: &Engine, useragent: &str, headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut room = Room::default();
    let headers = headers.iter().copied();
    analyse(engine, Some(useragent), headers, &mut room, None, |fields| {
        fields.shown().map(|(name, value, _)| (name.to_owned(), value.to_owned())).collect()
    })
}

thread_local! {
    static OWN: std::rc::Rc<Engine> = std::rc::Rc::new(engine(RULES));
}

fn check(useragent: &str, headers: &[(&str, &str)], expected: &[(&str, &str)]) {
    let found = OWN.with(|engine| fields(engine, useragent, headers));
    for (name, value) in expected {
        assert_eq!(found.get(*name).map(String::as_str), Some(*value), "{name} of {useragent}");
    }
}

#[test]
fn matchers_name_places_walk_compare_and_transform() {
    check(
        "Roam/1_2.3 (Acme OS; AX-12; lang=en-GB x; u) Other/2",
        &[],
        &[
            ("DeviceClass", "Desktop"),
            ("AgentName", "Roam"),
            ("AgentVersion", "1.2.3"),
            ("AgentVersionMajor", "1"),
            ("AgentNameVersion", "Roam 1.2.3"),
            ("AgentBuild", "b2!"),
            ("OperatingSystemName", "AcmeOS"),
            ("OperatingSystemClass", "Desktop"),
            ("OperatingSystemVersion", "??"),
            ("DeviceName", "Acme X"),
            ("__SyntaxError__", "false"),
        ],
    );
    check("Roam/1 (Phone)", &[], &[("DeviceName", "Plain"), ("OperatingSystemName", "PhoneOS")]);
    check("Roam/1 Spoofed/2", &[], &[("AgentName", "Unknown")]);
    check("smooth_browser/1", &[], &[("AgentName", "Smooth_BrowsER"), ("AgentClass", "Special")]);
}

#[test]
fn robots_tell_whose_they_are() {
    check(
        "Big-Crawler/2.1 (+http://www.example.co.uk/bot; mail at acme.com; mail@acme.com)",
        &[],
        &[
            ("DeviceClass", "Robot"),
            ("AgentInformationUrl", "http://www.example.co.uk/bot"),
            ("AgentInformationEmail", "mail@acme.com"),
            ("DeviceBrand", "Example"),
        ],
    );
}

#[test]
fn what_breaks_the_grammar_is_said_and_read_all_the_same() {
    check("Roam/1 (a;(;b", &[], &[("AgentName", "Roam")]);
    check("Roam/1 Build/)", &[], &[("__SyntaxError__", "true"), ("AgentSecurity", "broken")]);
    check(")(", &[], &[("AgentName", "Unknown")]);
    let attack = [("DeviceClass", "Hacker"), ("HackerAttackVector", "Yauaa Exploit")];
    check("  ", &[], &attack);
    check("''", &[], &attack);
    let long = "x".repeat(2049);
    check(&long, &[], &[("HackerAttackVector", "Buffer overflow"), ("AgentName", "Hacker")]);
}

#[test]
fn hints_better_what_the_text_says() {
    let headers = [
        ("Sec-CH-UA", r#""Not_A Brand";v="8", "Chromium";v="120", "Google Chrome";v="120""#),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("Sec-CH-UA-Platform-Version", "\"15.0.0\""),
        ("Sec-CH-UA-Arch", "\"x86\""),
        ("Sec-CH-UA-Bitness", "\"64\""),
        ("Sec-CH-UA-Mobile", "?2"),
    ];
    check(
        "Mozilla/5.0",
        &headers,
        &[
            ("OperatingSystemNameVersion", "Windows 11"),
            ("AgentNameVersion", "Chrome 120"),
            ("LayoutEngineNameVersion", "Blink 120"),
            ("DeviceCpu", "Intel x86_64"),
            ("DeviceCpuBits", "64"),
            ("UAClientHintBrands_1_Brand", "Google Chrome"),
        ],
    );
    let broken = [("Sec-CH-UA", "\"x\";\"1\""), ("Sec-CH-UA-Model", "Pixel")];
    check("Mozilla/5.0", &broken, &[("AgentName", "Unknown"), ("DeviceName", "Unknown")]);
}

/// What texts made to cost much repeat.
const HOSTILE: [&str; 46] = [
    "(",
    "((a;",
    "[",
    "a(",
    "a/1 (",
    "a=",
    "a/b/",
    "{a",
    "-",
    "- ",
    "@",
    "(a,b)",
    "x1 ",
    "a/1 (b ",
    ";",
    "(;",
    "\\(",
    "a:1",
    "<",
    "http://a.com/",
    "a@b.com ",
    "(a b/1",
    "a,",
    "a-",
    "(1 ",
    "((1,1 ",
    "{a}(",
    "(b/1 [b/1 ",
    "a a(",
    "(a@b.com ",
    "Mozilla/5.0 (",
    "(a/1:",
    "a:b:c ",
    "a|1",
    "<a href=\"",
    "@a@",
    "%20",
    "(Linux; Android 1; SM-1 Build/",
    "a.co",
    "a dash ",
    "1,",
    "__",
    "\u{e9}",
    "\u{2002}",
    "f0f0-",
    "[FBAN/FBIOS(",
];

/// How often a character may be looked at before the grammar is.
const MOST_LOOKS: usize = 80;

#[test]
fn texts_made_to_cost_much_are_given_up() {
    let engine = engine(RULES);
    let mut tokens = Vec::new();
    for unit in HOSTILE {
        let text: String = unit.chars().cycle().take(2048).collect();
        let looks = engine.lexer.tokens(&text, &engine.domains, &mut tokens);
        assert!(looks as usize <= MOST_LOOKS * text.len(), "{unit}: {looks} looks");
        let mut room = Room::default();
        let text = Some(text.as_str());
        analyse(&engine, text, std::iter::empty(), &mut room, None, |fields| {
            assert!(!fields.value(fields::id::DEVICE_CLASS).is_empty());
        });
        assert!(room.work_done() <= 1_100, "{unit}: {} thousandths", room.work_done());
    }
    let deep = format!("Roam/1 {}", "(Acme OS ".repeat(200));
    check(&deep, &[], &[("HackerAttackVector", "Yauaa Exploit"), ("AgentName", "Hacker")]);
    check(&"(b/1 ".repeat(200_000), &[], &[("HackerAttackVector", "Buffer overflow")]);
}

#[test]
fn what_becomes_of_a_text_does_not_depend_on_those_before_it() {
    let engine = engine(RULES);
    let mut used = Room::default();
    let mut given_up = 0;
    for unit in HOSTILE {
        for length in [40, 160, 640, 2048] {
            let text: String = unit.chars().cycle().take(length).collect();
            if repair::repair(&text, engine.rules.version).is_none() {
                continue;
            }
            let run = |room: &mut Room| {
                let text = Some(text.as_str());
                let found = analyse(&engine, text, std::iter::empty(), room, None, |fields| {
                    fields.value(fields::id::ATTACK_VECTOR).to_owned()
                });
                (found, room.work_done())
            };
            let fresh = run(&mut Room::default());
            assert_eq!(run(&mut used), fresh, "{unit} {length}");
            assert_eq!(run(&mut used), fresh, "{unit} {length} again");
            given_up += usize::from(fresh.0 == "Yauaa Exploit");
        }
    }
    assert!(given_up > 20, "{given_up} texts");
}

/// Pieces that mean something to the grammar, and some that mean nothing to anybody.
const PIECES: [&str; 40] = [
    "Mozilla/5.0 ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    " ",
    "; ",
    "/",
    ":",
    "=",
    ",",
    "-",
    "@",
    "<",
    ">",
    "'",
    "\"",
    "\\",
    "|",
    "%20",
    "%2",
    "\t",
    "\u{0}",
    "\u{fffd}",
    "\u{1f600}",
    "Android 1",
    "x/1.2",
    "lang=en-GB",
    "mail@acme.com",
    "http://acme.com/a?b",
    "6f0f0f0f-0000-1111-2222-333344445555",
    "@var@",
    "dapper",
    "user-agent: ",
    "word",
    "7",
    "Q2FtZWwgY2FzZSBpcyBub3QgdGhlIG9ubHkgY2FzZQ==",
];

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 150, ..Default::default() })]

    #[test]
    fn whatever_is_sent_is_read_within_bounds(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..30),
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        repeated in 1_usize..100,
    ) {
        let engine = OWN.with(std::rc::Rc::clone);
        let unit: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        let unit = format!("{unit}{}", String::from_utf8_lossy(&bytes));
        let text: String = unit.repeat(repeated).chars().take(2048).collect();
        let looks = engine.lexer.tokens(&text, &engine.domains, &mut Vec::new());
        proptest::prop_assert!(looks as usize <= MOST_LOOKS * text.len(), "{} looks", looks);
        let mut room = Room::default();
        let hints = [("Sec-CH-UA", text.as_str()), ("Sec-CH-UA-Platform", text.as_str())];
        let hints = hints.into_iter();
        let (class, sum) = analyse(&engine, Some(&text), hints, &mut room, None, |fields| {
            let class = fields.value(fields::id::DEVICE_CLASS).to_owned();
            (class, fields.shown().count())
        });
        proptest::prop_assert!(!class.is_empty() && sum > 0);
        proptest::prop_assert!(room.work_done() <= 1_100, "{} thousandths", room.work_done());
    }
}

#[test]
fn what_is_kept_of_an_asset_is_what_was_read() {
    let rules = read(&[("own.yaml", RULES)]).expect("own rules");
    let lexer = lexer::Lexer::new();
    let bytes = compiled::write(&rules, &lexer, &[7; 32]);
    let (again, table) = compiled::read(&bytes, &[7; 32]).expect("what was written");
    assert_eq!(again, rules);
    assert_eq!(table.table(), lexer.table());
    assert!(compiled::read(&bytes, &[8; 32]).is_none(), "of another asset");
    for cut in [0, 15, 48, 60, bytes.len() / 2, bytes.len() - 1] {
        assert!(compiled::read(&bytes[..cut], &[7; 32]).is_none(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(compiled::read(&longer, &[7; 32]).is_none(), "something behind it");
}

#[test]
fn a_folder_of_rules_is_an_asset_and_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = folder.path().join("UserAgents");
    std::fs::create_dir(&rules).expect("a folder");
    let version = "version:\n- project_version: '7.31.0'\n";
    std::fs::write(rules.join("__Version__.yaml"), version).expect("a file");
    std::fs::write(rules.join("own.yaml"), RULES).expect("a file");
    let missing = asset::open(&rules).map(|_| ()).expect_err("no suffixes");
    assert!(missing.contains("mozilla-public-suffix-list.txt"), "{missing}");
    let suffixes = folder.path().join("mozilla-public-suffix-list.txt");
    std::fs::write(suffixes, SUFFIXES).expect("a file");
    for _ in 0..2 {
        let engine = asset::open(&folder.path().join("yauaa-7.31.0.jar")).expect("the folder");
        assert_eq!(engine.rules.version, 31);
        assert_eq!(fields(&engine, "Roam/1", &[])["AgentName"], "Roam");
        assert!(folder.path().join(".UserAgents.compiled").exists());
    }
    let changed = RULES.replace("10 : \"Roam\"", "10 : \"Stay\"");
    std::fs::write(rules.join("own.yaml"), changed).expect("a file");
    let engine = asset::open(&rules).expect("the folder");
    assert_eq!(fields(&engine, "Roam/1", &[])["AgentName"], "Stay");
}

#[test]
fn mistakes_in_rules_are_named_with_their_place() {
    let rules = |expression: &str| {
        let text = format!("config:\n- matcher:\n    extract:\n    - 'AgentName:1:{expression}'\n");
        read(&[("own.yaml", &text)])
            .and_then(|rules| Engine::new(rules, lexer::Lexer::new()).map(|_| ()))
    };
    for (expression, why) in [
        ("agent.product.name=\"x", "a closing quote"),
        ("agent.product.nonsense", "found nonsense"),
        ("LookUp[Nothing;agent]", "found Nothing"),
        ("@Missing", "Missing is not defined"),
        ("Frobnicate[agent]", "found Frobnicate"),
        ("agent)", "expected the end"),
    ] {
        let error = rules(expression).expect_err(expression);
        assert!(error.contains("own.yaml:") && error.contains(why), "{expression}: {error}");
    }
    assert!(rules("agent.(1)product.name").is_ok());
    let nonsense = read(&[("own.yaml", "config:\n- frob:\n    a: b\n")]).expect_err("no entry");
    assert!(nonsense.contains("own.yaml: line 3"), "{nonsense}");
}

#[test]
fn tests_among_rules_are_passed_over() {
    let text =
        "config:\n- test:\n    input:\n      a: 'b'\n\n    expected: {}\n- matcher:\n    x: y\n";
    let rest = asset::without_tests(text);
    assert_eq!(rest.lines().count(), text.lines().count(), "lines keep their numbers");
    assert_eq!(rest.trim_start(), "config:\n\n\n\n\n\n- matcher:\n    x: y\n");
    assert!(!rest.contains("expected") && rest.contains("- matcher"));
}
