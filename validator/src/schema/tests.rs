//! The two walks against each other, against the official suite and against another
//! implementation.

mod differential;
mod suite;

use proptest::prelude::*;

use super::Schema;

/// What both walks together say of a text; fails if they contradict each other.
fn accepts(schema: &Schema, json: &str) -> bool {
    let tree = schema.check_tree(json).is_ok();
    let bytes = schema.check_bytes(json);
    assert!(!bytes || tree, "the bytes accept {json}, the tree does not: {schema:?}");
    assert_eq!(schema.check(json).is_ok(), tree);
    tree
}

/// As [`accepts`], and the bytes alone must see what the tree sees.
fn accepts_fast(schema: &Schema, json: &str) -> bool {
    let verdict = accepts(schema, json);
    assert_eq!(schema.check_bytes(json), verdict, "only a tree accepts {json}");
    verdict
}

/// Schemas, each with data that it accepts and data that it does not.
const RULES: &[(&str, &str, &str)] = &[
    (r#"{"type":"integer"}"#, "[1,-5,123456789012345678901234567890]", r#"[1.0,1e2,-0,"1"]"#),
    (r#"{"type":["string","null"]}"#, r#"["",null]"#, "[1,[],{}]"),
    (r#"{"type":"string","nullable":true}"#, r#"["",null]"#, "[false]"),
    (
        r#"{"minLength":2,"maxLength":3}"#,
        r#"["aé","\u00e9\n","éöü","\ud83d\ude00x"]"#,
        r#"["é","\n","aéöü"]"#,
    ),
    (r#"{"pattern":"^a\"$"}"#, r#"["a\"","a\"\n"]"#, r#"["a","a\"\n\n"]"#),
    (r#"{"format":"uuid"}"#, r#"["b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5e",5]"#, r#"["x"]"#),
    (
        r#"{"enum":["a",1,null,{"k":[1]}]}"#,
        r#"["a",1.0,null,{"k":[1]}]"#,
        r#"["b",2,true,{"k":[1.0]},[]]"#,
    ),
    (r#"{"minimum":1,"exclusiveMinimum":true,"maximum":2.5}"#, "[1.1,2.5]", "[1,2.50001,1e9]"),
    (r#"{"multipleOf":0.01}"#, "[1.23,0,5]", "[1.234]"),
    (
        r#"{"items":[{"type":"string"}],"additionalItems":false}"#,
        r#"[[],["a"]]"#,
        r#"[["a",1],[1]]"#,
    ),
    (
        r#"{"items":[{"type":"string"}],"additionalItems":{"type":"null"}}"#,
        r#"[["a",null]]"#,
        r#"[["a",1]]"#,
    ),
    (r#"{"minItems":1,"maxItems":2,"uniqueItems":true}"#, "[[1],[1,1.0]]", "[[],[1,1],[1,2,3]]"),
    (
        r#"{"properties":{"a":{"type":"integer"}},"required":["a","b"],
            "additionalProperties":false}"#,
        "[]",
        r#"[{},{"a":1},{"a":"x","b":1},{"a":1,"b":2},{"a":1,"b":1,"c":1}]"#,
    ),
    (
        r#"{"properties":{"a\"b":{"type":"integer"}},"additionalProperties":false}"#,
        r##"[{"a\"b":1},{"#c":1},{}]"##,
        r#"[{"a\"b":""},{"c":1}]"#,
    ),
    (
        r#"{"patternProperties":{"^s_":{"type":"string"}},
            "additionalProperties":{"type":"null"}}"#,
        r#"[{"s_a":"","b":null}]"#,
        r#"[{"s_a":1},{"b":1}]"#,
    ),
    (r#"{"enum":["a"],"nullable":true}"#, r#"["a",null]"#, r#"["b",1]"#),
    (r#"{"minProperties":1,"maxProperties":1}"#, r#"[{"a":1}]"#, r#"[{},{"a":1,"b":1}]"#),
    (r#"{"dependencies":{"a":["b"]}}"#, r#"[{"b":1},{"b":1,"a":1},{}]"#, r#"[{"a":1}]"#),
    (r#"{"dependencies":{"a":{"required":["b"]}}}"#, r#"[{"b":1,"a":1},{}]"#, r#"[{"a":1}]"#),
    (r#"{"notAllowed":["a"]}"#, r#"[{"b":1}]"#, r#"[{"a":1}]"#),
    (r#"{"readOnly":["a"]}"#, "[1]", "[{}]"),
    (r#"{"allOf":[{"type":"string"},{"minLength":2}]}"#, r#"["ab"]"#, r#"["a",1]"#),
    (r#"{"anyOf":[{"type":"string"},{"minimum":2}]}"#, r#"["a",2]"#, "[1]"),
    (r#"{"oneOf":[{"type":"integer"},{"minimum":2}]}"#, "[1,2.5]", "[2,1.5]"),
    (r#"{"not":{"required":["a"]}}"#, "[{}]", r#"[{"a":1}]"#),
    (
        r##"{"properties":{"n":{"$ref":"#"},"v":{"$ref":"#/definitions/v"}},
            "definitions":{"v":{"type":"null"}}}"##,
        r#"[{"n":{"n":{"v":null}}}]"#,
        r#"[{"n":{"n":{"v":1}}}]"#,
    ),
];

#[test]
fn a_rule_is_seen_by_both_walks() {
    for (schema, good, bad) in RULES {
        let compiled = Schema::compile(schema);
        assert_eq!(compiled.issues(), [], "{schema}");
        for (list, expected) in [(good, true), (bad, false)] {
            let items: Vec<Box<serde_json::value::RawValue>> =
                serde_json::from_str(list).expect("the list is JSON");
            for item in items {
                assert_eq!(accepts_fast(&compiled, item.get()), expected, "{schema} {item}");
            }
        }
    }
}

#[test]
fn unique_items_are_asked_of_members_too() {
    let schema = Schema::compile(r#"{"uniqueItems":true}"#);
    assert!(accepts(&schema, r#"{"a":1,"b":2}"#) && accepts(&schema, "5"));
    assert!(!accepts(&schema, r#"{"a":1,"b":1}"#));
    let schema = Schema::compile(r#"{"type":["array","null"],"uniqueItems":true}"#);
    assert!(accepts_fast(&schema, "[1,2]"));
}

/// Where what is wrong is, and the keyword, in the order of the report.
fn reported(schema: &str, json: &str) -> Vec<String> {
    let error = Schema::compile(schema).check_tree(json).expect_err("it is not valid");
    let event::ClientError::Invalid { violations, .. } = *error else { panic!("{error:?}") };
    let place = |v: &event::reason::Violation| {
        let (path, keyword) = (v.path.as_deref(), v.keyword.as_deref());
        format!("{} {}", path.unwrap_or_default(), keyword.unwrap_or_default())
    };
    violations.iter().map(place).collect()
}

#[test]
fn one_of_tells_the_least_that_explains_it() {
    let branches = r#"{"oneOf":[
        {"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}},
        {"type":"object","required":["b"],"additionalProperties":false,"properties":{"b":{}}}]}"#;
    assert_eq!(reported(branches, r#"{"a":"x"}"#), ["$.a type"]);
    assert_eq!(reported(branches, "{}"), ["$ required", "$ required"]);
    assert_eq!(reported(branches, r#"{"c":1}"#), ["$ additionalProperties"]);
    let given_up = r#"{"oneOf":[{"required":["b"],"properties":{"a":{"type":"integer"},"b":{}}}]}"#;
    assert_eq!(reported(given_up, r#"{"a":"x"}"#), ["$ required"]);
    let any = given_up.replace("oneOf", "anyOf");
    assert_eq!(reported(&any, r#"{"a":"x"}"#), ["$.a type", "$ required"]);
}

#[test]
fn a_fraction_where_an_integer_is_wanted_is_compared_without_its_fraction() {
    let bounds = |kind: &str| format!(r#"{{"type":{kind},"maximum":10,"minimum":5}}"#);
    assert_eq!(reported(&bounds("\"integer\""), "10.5"), ["$ type"]);
    assert_eq!(reported(&bounds("\"integer\""), "4.5"), ["$ minimum", "$ type"]);
    assert_eq!(reported(&bounds("[\"integer\"]"), "10.5"), ["$ maximum", "$ unionType"]);
}

#[test]
fn a_fault_is_met_only_by_data_that_reaches_it() {
    for schema in [
        r##"{"properties":{"a":{"$ref":"#/definitions/none"}}}"##,
        r#"{"properties":{"a":{"$ref":"iglu:com.acme/x/jsonschema/1-0-0"}}}"#,
        r#"{"properties":{"a":{"$ref":"http://a.test/x#/y"}}}"#,
        r#"{"properties":{"a":{"pattern":"(unclosed"}}}"#,
        r#"{"properties":{"a":{"patternProperties":{"[a":{}}}}}"#,
        r#"{"properties":{"a":{"dateTime":true}}}"#,
        r##"{"properties":{"a":{"$ref":"#/definitions/l"}},
            "definitions":{"l":{"$ref":"#/definitions/l"}}}"##,
        r##"{"properties":{"a":{"allOf":[{"not":{"$ref":"#/properties/a"}}]}}}"##,
    ] {
        let schema = Schema::compile(schema);
        assert_eq!(schema.issues(), []);
        assert!(accepts(&schema, r#"{"b":1}"#));
        let error = schema.check(r#"{"a":"x"}"#).expect_err("the fault is reached");
        assert!(matches!(*error, event::ClientError::BadSchema { .. }), "{error:?}");
    }
    let anything = Schema::compile(r#"{"properties":{"a":{"$ref":"http://a.test/x.json"}}}"#);
    assert!(accepts_fast(&anything, r#"{"a":5}"#));
}

#[test]
fn a_fault_in_a_branch_is_not_mistaken_for_a_rejection() {
    let schema = r##"{"not":{"properties":{"a":{"type":"null"},"b":{"$ref":"#/none"}}}}"##;
    let error = Schema::compile(schema).check(r#"{"a":1,"b":1}"#).expect_err("b reaches the fault");
    assert!(matches!(*error, event::ClientError::BadSchema { .. }), "{error:?}");
}

#[test]
fn long_chains_of_references_are_faults_and_depth_is_bounded() {
    let links = |count: usize| {
        let link = |n: usize| format!(r##""d{n}":{{"$ref":"#/definitions/d{}"}}"##, n + 1);
        let links: Vec<String> = (0..count).map(link).collect();
        let last = format!(r#""d{count}":{{"type":"integer"}}"#);
        let links = format!("{},{last}", links.join(","));
        Schema::compile(&format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{links}}}}}"##))
    };
    assert!(accepts_fast(&links(40), "1"));
    assert!(!accepts(&links(5_000), "1"));

    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    for schema in ["{}", r##"{"items":{"$ref":"#"}}"##, r#"{"not":{"type":"null"}}"#] {
        let schema = Schema::compile(schema);
        assert!(accepts_fast(&schema, &nested(40)));
        assert!(!accepts(&schema, &nested(41)));
        assert!(!accepts(&schema, &nested(100_000)));
    }
    let deep = format!("{}{}", r#"{"not":"#.repeat(40), "{}".to_owned() + &"}".repeat(40));
    assert_eq!(Schema::compile(&deep).issues()[0].path, "/");
}

#[test]
fn texts_that_are_not_compact_json_do_no_harm() {
    let schema = Schema::compile(r#"{"properties":{"a":{"minLength":1}},"items":{"type":"null"}}"#);
    assert!(accepts(&schema, " { \"a\" : \"x\" } "));
    assert!(!accepts(&schema, " { \"a\" : \"\" } "));
    let whole = r#"{"a":"x\né","b":[1,{"c":null}],"d":-1.5e3}"#;
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        assert!(!accepts(&schema, &whole[..end]), "{}", &whole[..end]);
    }
    for text in ["", "]", "}", ",", "\"", "\"\\", "nul", "{\"a\" 1}", "[1 2]"] {
        assert!(!accepts(&schema, text), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in r#"[\[\]{}",:a-f0-9.\\né -]{0,40}"#, start in r#"|\{"a":|\["#) {
        let schema = Schema::compile(
            r##"{"type":["object","array"],"properties":{"a":{"pattern":"^a","minimum":1}},
                "patternProperties":{"b":{"enum":[1,"x",[]]}},"minProperties":1,
                "dependencies":{"c":["d"],"e":{"maxProperties":2}},
                "items":[{"$ref":"#"}],"additionalItems":{"not":{"type":"null"}},"uniqueItems":true}"##,
        );
        assert_eq!(schema.issues(), []);
        let _ = schema.check(&format!("{start}{text}"));
        let _ = Schema::compile(&format!("{start}{text}"));
    }
}

#[test]
fn a_schema_that_says_nothing_or_is_none() {
    for text in ["{}", "{\"title\":\"t\",\"x\":1}"] {
        assert!(accepts_fast(&Schema::compile(text), "[1,{\"a\":null}]"));
    }
    for (text, path) in [
        ("[]", "$"),
        ("true", "$"),
        ("{", "/"),
        (r#"{"$schema":"http://json-schema.org/draft-04/schema#"}"#, "$"),
        (r#"{"id":"x.json"}"#, "$"),
        (r#"{"properties":{"a":{"maxLength":2.0}}}"#, "$.properties.a.maxLength"),
        (r#"{"required":[]}"#, "$.required"),
    ] {
        let schema = Schema::compile(text);
        assert_eq!(schema.issues()[0].path, path, "{text}");
        assert!(schema.check("1").is_err());
    }
}
