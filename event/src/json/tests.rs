use bumpalo::Bump;
use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: Option<&str>) {
    let arena = Bump::new();
    assert_eq!(compact(text, &arena).ok(), expected, "{text:?}");
}

#[test]
fn compact_texts_are_borrowed() {
    let arena = Bump::new();
    for text in ["{}", "[]", "0", "-0", "1.50e+3", "\"\"", "null", r#"{"a":[1,{"b":"\u0000\n"}]}"#]
    {
        let printed = compact(text, &arena).expect("the text is JSON");
        assert!(std::ptr::eq(printed, text), "{text}");
    }
}

#[test]
fn other_texts_are_printed_in_the_one_form() {
    check(" { \"a\" : 1 , \"b\" : [ 1 , 2 ] }\n", Some(r#"{"a":1,"b":[1,2]}"#));
    check(r#""\u0041\/\u00e9\u000A\u007F""#, Some("\"A/é\\n\\u007f\""));
    check("\"\u{7f}\u{85}\u{a0}\"", Some("\"\\u007f\\u0085\u{a0}\""));
    check(r#""\ud83d\ude00 \ud83d \ude00""#, Some("\"😀 ? ?\""));
    check("123456789012345678901234567890", Some("123456789012345678901234567890"));
}

#[test]
fn of_duplicate_keys_the_last_value_stands_in_the_first_place() {
    check(r#"{"a":1,"b":2,"a":3}"#, Some(r#"{"a":3,"b":2}"#));
    check(r#"{"a":1,"\u0061":2}"#, Some(r#"{"a":2}"#));
    check(r#"[{"x":{"k":1,"k":{"k":2}}}]"#, Some(r#"[{"x":{"k":{"k":2}}}]"#));
    let many: String = (0..60).map(|i| format!("\"k{}\":{i},", i % 30)).collect();
    let arena = Bump::new();
    let many = format!("{{{}}}", many.trim_end_matches(','));
    let printed = compact(&many, &arena).expect("the text is JSON");
    assert_eq!(Members::of(printed).expect("an object").count(), 30);
    assert_eq!(member(printed, "k3"), Some("33"));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        "+1",
        ".5",
        "1e",
        "nul",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "'a'",
        "NaN",
        "// x\n1",
        "]",
    ] {
        check(text, None);
    }
    let arena = Bump::new();
    let error = compact("{\n \"a\": oops}", &arena).expect_err("oops is no value");
    assert_eq!((error.line, error.column), (2, 7));
}

#[test]
fn depth_is_no_danger() {
    let arena = Bump::new();
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert_eq!(compact(&deep, &arena), Ok(deep.as_str()));
    let deep = "{\"a\":{\"a\":1,\"a\":".repeat(10_000) + "1" + &"}}".repeat(10_000);
    assert!(compact(&deep, &arena).is_ok());
}

#[test]
fn members_and_elements_are_cut_at_their_ends() {
    let text = r#"{"schema":"iglu:a\"}","data":[{"x":"]"},2,[],"s"]}"#;
    let data = member(text, "data").expect("the object has data");
    let elements: Vec<_> = Elements::of(data).expect("an array").collect();
    assert_eq!(elements, [r#"{"x":"]"}"#, "2", "[]", "\"s\""]);
    assert_eq!(member(text, "schema"), Some(r#""iglu:a\"}""#));
    assert_eq!(Members::of("{}").expect("an object").next(), None);
    let arena = Bump::new();
    assert_eq!(unescape(r#""a\"\u00e9\n""#, &arena), Some("a\"é\n"));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC*|[\\x00-\\x1f\"\\\\\u{7f}-\u{a0}]*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("[a-c\\x01é\"]{0,3}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_compact_form_means_the_same_and_is_stable(value in any_json(), pretty in any::<bool>()) {
        let print = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let text = print(&value).expect("a value prints");
        let arena = Bump::new();
        let printed = compact(&text, &arena).expect("the text is JSON");
        prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(printed).expect("JSON"), &value);
        prop_assert!(std::ptr::eq(compact(printed, &arena).expect("JSON"), printed));
    }

    #[test]
    fn verdicts_agree_with_another_parser(text in "[\\[\\]{},:\"\\\\ 0-9a-fu.eE+tnrlsé\u{7f}-]{0,12}") {
        let arena = Bump::new();
        let ours = compact(&text, &arena).is_ok();
        // serde_json refuses half surrogates, which the compact form turns into question marks.
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let surrogate = theirs.as_ref().is_err_and(|error| error.to_string().contains("surrogate"));
        prop_assert!(ours == theirs.is_ok() || surrogate || text.contains("\\u"), "{} {:?}", ours, theirs);
    }
}
