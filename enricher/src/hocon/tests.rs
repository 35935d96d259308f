use serde_json::json;

use super::{duration_ms, read};

#[track_caller]
fn check(text: &str, expected: serde_json::Value) {
    let read = read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    assert_eq!(read.json(), expected, "{text}");
}

#[track_caller]
fn wrong(text: &str, expected: &str) {
    let mistake = read(text).expect_err("it is wrong");
    assert_eq!(mistake.to_string(), expected, "{text}");
}

#[test]
fn values_are_read() {
    check("", json!({}));
    check("{}", json!({}));
    check(
        "{\"a\": 1, b = two words // not this\n c: true\n}",
        json!({"a":1,"b":"two words","c":true}),
    );
    check("a.b.c = x\na.\"d.e\" : null", json!({"a":{"b":{"c":"x"},"d.e":null}}));
    check("a { b = 1 }\na { c = 2 }\na.b = 3", json!({"a":{"b":3,"c":2}}));
    check("a = { b = 1 } { c = 2 }", json!({"a":{"b":1,"c":2}}));
    check("a = [1, 2\n3,\n] [4]\na += 5", json!({"a":[1,2,3,4,5]}));
    check("a += 1", json!({"a":[1]}));
    check("a = \"x\\n\\u0041\\\"\" # c", json!({"a":"x\nA\""}));
    check("a = \"\"\"x \"q\" \\n\ny\"\"\"\"\nb=1", json!({"a":"x \"q\" \\n\ny\"","b":1}));
    check(
        "a = 15 minutes, b = collector-g.acme.com",
        json!({"a":"15 minutes","b":"collector-g.acme.com"}),
    );
    check("a = 1\na = { b = 2 }", json!({"a":{"b":2}}));
    check("include = 1", json!({"include":1}));
}

#[test]
fn references_are_replaced() {
    check("a = 1, b = ${a}", json!({"a":1,"b":1}));
    check("b = ${a.x}, a { x = 1, y = ${a.x} }", json!({"b":1,"a":{"x":1,"y":1}}));
    check("a = x\na = ${a}y", json!({"a":"xy"}));
    check("a = [1]\na = ${a} [2]", json!({"a":[1,2]}));
    check("d { r = 1 }, a = ${d} { s = 2 }", json!({"d":{"r":1},"a":{"r":1,"s":2}}));
    check("a = ${?x.y}", json!({}));
    check("a = { b = 1 }\na = { b = ${?VAR} }", json!({"a":{"b":"${VAR:-1}"}}));
    check("a = ${NAME}\nb = pre-${NAME}-post", json!({"a":"${NAME}","b":"pre-${NAME}-post"}));
    check("a = ${b}, b = 1\nb = 2", json!({"a":2,"b":2}));
}

#[test]
fn mistakes_name_their_line() {
    wrong("a = 1\nb = ${x.y}", "line 2: `${x.y}` is not in this file");
    wrong(
        "\ninclude \"other.conf\"\n",
        "line 2: `include \"other.conf\"` is not followed: put the text in its place",
    );
    wrong("a = {\n b = 1", "line 2: expected `}`, found the end");
    wrong("a = [1", "line 1: expected `]`, found the end");
    wrong("a\n", "line 2: expected `=`, `:` or `{` after `a`");
    wrong("a =\n", "line 2: expected a value");
    wrong("a = x@y", "line 1: `@` has to stand in quotes");
    wrong("a = \"x\ny\"", "line 1: this `\"` has no end on its line");
    wrong("a = \"\"\"x", "line 1: this `\"\"\"` has no end");
    wrong("a = {} 1", "line 1: values of different kinds stand side by side");
    wrong("{} x", "line 1: expected the end, found `x`");
    wrong("a = 1 }", "line 1: expected a comma or another line, found `}`");
    let deep = "a = [".to_owned() + &"[".repeat(100);
    wrong(&deep, "line 1: expected at most 64 levels");
}

#[test]
fn references_in_circles_end() {
    for text in
        ["a = ${b.c}, b { c = ${a.d} }", "a = ${a.b.c}", "a = ${b} { x = ${a.y.z} }, b = ${a.x}"]
    {
        let _ = read(text);
    }
    wrong("a { b = ${a.b} }", "line 1: `${a.b}` is not in this file");
}

#[test]
fn lines_are_kept() {
    let read = read("a = \"\"\"\n\n\"\"\"\nb {\n  c = 1\n}\nb.c = 2").expect("it is right");
    assert_eq!(read.at(&["b", "c"]).map(|it| it.line), Some(7));
    assert_eq!(read.at(&["b"]).map(|it| it.line), Some(4));
}

#[test]
fn durations_have_units() {
    for (text, expected) in [
        ("7 days", Some(604_800_000)),
        ("10s", Some(10_000)),
        ("1.5 minutes", Some(90_000)),
        ("100 milliseconds", Some(100)),
        ("250", Some(250)),
        ("5 fortnights", None),
        ("soon", None),
    ] {
        assert_eq!(duration_ms(text), expected, "{text}");
    }
}
