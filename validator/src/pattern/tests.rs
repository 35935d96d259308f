//! Patterns against what Java 17 says of them, and the engines against one another.
//!
//! `java17.jsonl` holds what `java.util.regex` said: whether it finds a pattern in a text, or
//! refuses it. Where ours differs on purpose a row goes on with what ours says, and why.

use proptest::prelude::*;

use super::*;

/// What Java said, pattern, text; and what we say instead, and why.
const JAVA: &str = include_str!("tests/java17.jsonl");

/// Why some answers differ on purpose.
const REASONS: [&str; 5] = [
    // Java refuses look-behinds whose bound it does not see. Nothing here needs one.
    "any length",
    // `\N{…}` would need the names of all characters.
    "no table of names",
    // Java never finds a cluster behind a place.
    "clusters behind",
    // Beside a repetition Java no longer sees where a cluster ends.
    "edges of clusters",
    // Java ends a repetition with the first turn that reads nothing, and looks no further.
    "turns that read nothing",
];

fn compile(pattern: &str) -> Pattern {
    Pattern::new(pattern, &mut Room::default()).expect("the pattern is well-formed")
}

fn answer(pattern: &str, text: &str) -> &'static str {
    match Pattern::new(pattern, &mut Room::default()) {
        Ok(pattern) if pattern.is_match(text) => "found",
        Ok(_) => "not",
        Err(_) => "refused",
    }
}

#[test]
fn notations_mean_what_they_mean_in_java() {
    let mut rows = 0;
    for line in JAVA.lines() {
        let row: Vec<String> = serde_json::from_str(line).expect("every line is a list of texts");
        let (java, pattern, text) = (&row[0], &row[1], &row[2]);
        let expected = row.get(3).unwrap_or(java);
        assert_eq!(answer(pattern, text), expected, "{pattern:?} in {text:?}");
        if let Some(why) = row.get(4) {
            assert!(expected != java && REASONS.contains(&why.as_str()), "{line}");
        }
        rows += 1;
    }
    assert!(rows > 450, "{rows}");
}

/// Patterns that make engines go wild which try one way after the other.
const WILD: [&str; 8] = [
    "^(a+)+$",
    "^(a|a)*$",
    "(a*)*b",
    r"^(?=(a+)+$)(a|aa)+b",
    "(?<=(a|aa)+)b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "a{1,5000}b",
    r"(?:\w{1,30}\s?){1,30}!",
];

#[test]
fn steps_grow_with_the_text_and_not_faster() {
    for pattern in WILD {
        let syntax = read::read(pattern).expect("the pattern is well-formed");
        let automaton = Automaton::new(&syntax).expect("it remembers nothing");
        let steps = |length: usize| {
            let mut left = usize::MAX;
            automaton.find_within(&"a".repeat(length), &mut left);
            usize::MAX - left
        };
        let (short, long) = (steps(10_000), steps(20_000));
        assert!(long < short * 5 / 2, "{pattern}: {short} steps, then {long}");
        // Beyond that there is only what the bound of steps lets through.
        assert!(long < steps_allowed(&"a".repeat(20_000)), "{pattern}: {long}");
    }
}

#[test]
fn what_refers_back_and_explodes_gives_up() {
    for pattern in [r"^(?=(a+)+$)(a+)+\2b", r"(a|aa)+\1c", r"^(?>(a|aa)+)+\1b|(a+)+\2c"] {
        let syntax = read::read(pattern).expect("the pattern is well-formed");
        assert!(Automaton::new(&syntax).is_none(), "{pattern}");
        let backtracker = Backtracker::new(&syntax).expect("it is short");
        assert_eq!(backtracker.find(&"a".repeat(60)), Found::GaveUp, "{pattern}");
        assert!(!compile(pattern).is_match(&"a".repeat(60)), "{pattern}");
    }
    // What remembers more than it may gives up, too.
    let endless = compile(r"^(?:(a)|(b))*\1$");
    assert!(endless.is_match(&"a".repeat(1_000)));
    assert!(!endless.is_match(&"a".repeat(1_000_000)));
}

#[test]
fn a_repetition_is_counted_and_not_written_out() {
    for (pattern, found) in [
        (r"^[\p{L}\p{M} .'-]{1,100}$", "José O'Neil"),
        (r"^\p{L}{1,255}$", "Zoë"),
        (r"^[^\n]{1,4096}$", "hello"),
        ("^.{1,5000}$", "hello"),
        (r"(?!x)[\p{L}\p{N}]{1,1000000}(?<=\S{3,70000})y", "éééy"),
        (r"^(?:\p{L}{1,500}-){1,50}\p{L}{1,500}$", "Jean-François-René"),
    ] {
        let mut room = Room::default();
        let compiled = Pattern::new(pattern, &mut room).expect("it is well-formed");
        let taken = SCHEMA_BYTES - room.0;
        assert!(taken < 512 << 10, "{pattern} takes {taken} bytes");
        assert!(compiled.is_match(found), "{pattern}");
    }
    assert!(!compile("^.{1,5000}$").is_match(&"a".repeat(5_001)));
    assert!(compile("^.{1,5000}$").is_match(&"a".repeat(5_000)));
}

#[test]
fn patterns_of_a_schema_have_so_much_room_and_no_more() {
    let mut room = Room::default();
    let mut kept = Vec::new();
    let refused = (0..10_000).find_map(|index| {
        let pattern = format!(r"[\p{{L}}\x{{{index:x}}}]{{2}}[\p{{N}}\p{{P}}\x{{{index:x}}}](?!z)");
        match Pattern::new(&pattern, &mut room) {
            Ok(pattern) => {
                kept.push(pattern);
                None
            }
            Err(refusal) => Some(refusal),
        }
    });
    assert_eq!(refused, Some(Refusal::TooLarge));
    assert!(kept.len() > 500, "{}", kept.len());
    let taken: usize = kept.iter().map(|pattern| pattern._share.0).sum();
    assert!(taken <= SCHEMA_BYTES);
    assert!(TAKEN.load(Ordering::Relaxed) >= taken);
    // One pattern alone may not take it all, and none may be nested without end.
    let classes = (0..20_000).map(|index| format!(r"[\p{{L}}\x{{{index:x}}}]"));
    assert_eq!(answer(&classes.collect::<String>(), ""), "refused");
    assert_eq!(answer(&"(".repeat(100_000), ""), "refused");
    assert_eq!(answer(&"[".repeat(100_000), ""), "refused");
    assert_eq!(answer(&format!("{}{}", "(".repeat(150), ")".repeat(150)), ""), "found");
}

#[test]
fn patterns_of_real_schemas_are_runs_and_exact() {
    for (pattern, text, other) in [
        ("^[a-zA-Z0-9-_.]+$", "a-b_c.d", "a/b"),
        ("^[0-9.]+x[0-9.]+$", "1920x969", "1920x"),
        (
            "^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+$",
            "iglu:com.acme/x/1-0",
            "iglu:x/1-0",
        ),
        (r"^\d{4}-\d{2}$", "2024-05", "2024-5"),
        ("^s3://$", "s3://", "s3:/"),
        (r"^\p{L}{1,4}$", "Zoë", "Zoë Zoë"),
    ] {
        let syntax = read::read(pattern).expect("the pattern is well-formed");
        let runs = Runs::new(&syntax).expect("it is runs");
        assert_eq!(runs.find(text), Some(true), "{pattern}");
        assert_eq!(runs.find(other), Some(false), "{pattern}");
        assert_eq!(runs.find(&format!("{text}\n")), None, "{pattern}");
    }
    for pattern in ["abc", "^a|b$", "^(?=a)$", "^a++$", "^a", "a$", "^(ab)+$"] {
        let syntax = read::read(pattern).expect("the pattern is well-formed");
        assert!(Runs::new(&syntax).is_none(), "{pattern}");
    }
    let syntax = read::read("^a+a$").expect("the pattern is well-formed");
    assert_eq!(Runs::new(&syntax).expect("it is runs").find("aaa"), None);
}

/// Patterns of everything that both engines know.
fn patterns() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "é",
        ".",
        r"\w",
        r"\W",
        "[ab]",
        "[^a]",
        r"\b",
        r"\B",
        "^",
        "$",
        r"\z",
        "(?m:^)",
        "(?m:$)",
        r"\R",
        r"\X",
        "a{2,3}",
        "[aé]*",
        ".+?",
        r"\p{L}{0,2}",
        "a*+",
        "[ab]{1,2}+",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
            // A turn that reads nothing is where the two may differ: each reads a character.
            (inner.clone(), prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "+?"]))
                .prop_map(|(inner, count)| format!("(?:{inner}[ab]){count}")),
            (inner, prop::sample::select(vec!["?=", "?!", "?<=", "?<!"]))
                .prop_map(|(inner, look)| format!("({look}{inner})")),
        ]
    })
}

proptest! {
    #[test]
    fn all_engines_agree(pattern in patterns(), text in "[ab]{0,5}|[abé\n\r \u{301}]{0,6}") {
        let syntax = read::read(&pattern).expect("the pattern is well-formed");
        let automaton = Automaton::new(&syntax).expect("it remembers nothing").find(&text);
        let backtracker = Backtracker::new(&syntax).expect("it is short").find(&text);
        prop_assert_eq!(automaton, backtracker, "{} in {:?}", &pattern, &text);
        let found = automaton == Found::Yes;
        prop_assert_eq!(compile(&pattern).is_match(&text), found);
        if let Some(said) = Fast::new(&syntax).and_then(|fast| fast.find(&text)) {
            prop_assert_eq!(said, found, "{} in {:?}", &pattern, &text);
        }
        let anchored = read::read(&format!("^{pattern}$")).expect("the pattern is well-formed");
        if let Some(said) = Runs::new(&anchored).and_then(|runs| runs.find(&text)) {
            let automaton = Automaton::new(&anchored).expect("it remembers nothing");
            prop_assert_eq!(said, automaton.find(&text) == Found::Yes, "^{}$ {:?}", pattern, text);
        }
    }
}
