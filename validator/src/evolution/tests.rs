//! Pairs of schemas, and what the step from one to the other is.

use super::*;

/// The level of the step and its worst column.
fn check(old: &str, new: &str) -> (Level, Column) {
    let comparison = compare(old, new).expect("both are JSON");
    (comparison.level(), comparison.column())
}

/// An object of these properties and nothing else.
fn closed(properties: &str, required: &str) -> String {
    format!(
        r#"{{"type":"object","properties":{{{properties}}},"required":[{required}],
        "additionalProperties":false}}"#
    )
}

/// An object of one property.
fn a(schema: &str) -> String {
    closed(&format!(r#""a":{schema}"#), "")
}

fn check_steps(steps: &[(String, String, Level, Column)]) {
    for (old, new, level, column) in steps {
        assert_eq!(check(old, new), (*level, *column), "{old}\n{new}");
        assert_eq!(check(new, new), (Level::Same, Column::Kept), "{new}");
    }
}

#[test]
fn a_step_is_what_it_does_to_members() {
    use Column::{Added, Kept};
    use Level::{Addition, Model, Revision, Same};
    check_steps(&[
        (a("{}"), a(r#"{"description":"x","default":1}"#), Same, Kept),
        (a("{}"), closed(r#""a":{},"b":{"type":"string"}"#, ""), Addition, Added),
        (a("{}"), closed(r#""a":{},"b":{"type":"string"}"#, r#""b""#), Model, Added),
        (a("{}"), closed(r#""a":{}"#, r#""a""#), Revision, Kept),
        (closed(r#""a":{}"#, r#""a""#), a("{}"), Addition, Kept),
        (a("{}"), closed("", ""), Revision, Kept),
        (a("{}"), "{\"type\":\"object\"}".to_owned(), Addition, Kept),
        ("{}".to_owned(), a("{}"), Revision, Added),
        (
            r#"{"properties":{}}"#.into(),
            r#"{"properties":{"a":{"type":"null"}}}"#.into(),
            Revision,
            Added,
        ),
    ]);
}

#[test]
fn a_step_is_what_it_does_to_values() {
    use Column::{Breaks, Kept, Widened};
    use Level::{Addition, Model, Revision};
    check_steps(&[
        (a(r#"{"type":"string"}"#), a(r#"{"type":["string","null"]}"#), Addition, Kept),
        (a(r#"{"type":"string"}"#), a(r#"{"type":"string","nullable":true}"#), Addition, Kept),
        (a(r#"{"type":["string","null"]}"#), a(r#"{"type":"string"}"#), Revision, Kept),
        (a(r#"{"type":"string"}"#), a(r#"{"type":"integer"}"#), Model, Breaks),
        (a(r#"{"type":"integer"}"#), a(r#"{"type":"number"}"#), Addition, Breaks),
        (
            a(r#"{"type":"string"}"#),
            a(r#"{"type":"string","format":"date-time"}"#),
            Revision,
            Breaks,
        ),
        (
            a(r#"{"type":"string","maxLength":5}"#),
            a(r#"{"type":"string","maxLength":9}"#),
            Addition,
            Widened,
        ),
        (
            a(r#"{"type":"string","maxLength":5}"#),
            a(r#"{"type":"string","maxLength":4}"#),
            Revision,
            Kept,
        ),
        (a(r#"{"maximum":5}"#), a(r#"{"maximum":5,"exclusiveMaximum":true}"#), Revision, Kept),
        (a(r#"{"minimum":5,"exclusiveMinimum":true}"#), a(r#"{"minimum":5.0}"#), Addition, Kept),
        (a(r#"{"enum":["x"]}"#), a(r#"{"enum":["y","x"]}"#), Addition, Kept),
        (a(r#"{"enum":["x"]}"#), a(r#"{"enum":["y"]}"#), Revision, Kept),
        (a(r#"{"pattern":"x"}"#), a("{}"), Addition, Kept),
        (a(r#"{"pattern":"x"}"#), a(r#"{"pattern":"y"}"#), Revision, Kept),
        (
            a(r#"{"anyOf":[{"type":"null"}]}"#),
            a(r#"{"anyOf":[{"type":"null"},{"type":"string"}]}"#),
            Addition,
            Kept,
        ),
        (
            a(r#"{"allOf":[{"minLength":1}]}"#),
            a(r#"{"allOf":[{"minLength":1},{"maxLength":1}]}"#),
            Revision,
            Kept,
        ),
        (
            a(r#"{"type":"array","items":{"type":"string"}}"#),
            a(r#"{"type":"array","items":{"type":"integer"}}"#),
            Model,
            Breaks,
        ),
    ]);
}

#[test]
fn references_are_followed_and_may_be_circular() {
    let schema = |of: &str| {
        format!(
            r##"{{"properties":{{"a":{{"$ref":"#/definitions/d"}},"self":{{"$ref":"#"}}}},
            "definitions":{{"d":{of}}}}}"##
        )
    };
    let old = schema(r#"{"type":"string"}"#);
    assert_eq!(check(&old, &old).0, Level::Same);
    let comparison = compare(&old, &schema(r#"{"type":"integer"}"#)).expect("both are JSON");
    assert_eq!(comparison.changes.len(), 1, "{comparison:?}");
    assert_eq!(comparison.changes[0].pointer, "/properties/a/type");
    assert_eq!((comparison.level(), comparison.column()), (Level::Model, Column::Breaks));
}

#[test]
fn keywords_beside_a_reference_count() {
    use Column::Kept;
    use Level::{Addition, Model, Revision, Same};
    let schema = |beside: &str, of: &str| {
        format!(
            r##"{{"properties":{{"a":{{"$ref":"#/definitions/d"{beside}}}}},
            "definitions":{{"d":{of}}}}}"##
        )
    };
    let text = r#"{"type":"string"}"#;
    check_steps(&[
        (schema("", text), schema(r#","maxLength":3"#, text), Revision, Kept),
        (schema(r#","maxLength":3"#, text), schema("", text), Addition, Kept),
        (schema(r#","maxLength":3"#, text), schema(r#","maxLength":4"#, text), Addition, Kept),
        (
            schema(r#","maxLength":3"#, text),
            schema(r#","title":"x","maxLength":3"#, text),
            Same,
            Kept,
        ),
        (schema(r#","type":"string""#, "{}"), schema(r#","type":"null""#, "{}"), Model, Kept),
        // What moves to the reference may or may not stay the same: that is not looked into.
        (schema(r#","maxLength":3"#, "{}"), schema("", r#"{"maxLength":3}"#), Revision, Kept),
        (a(r#"{"maxLength":3}"#), schema("", r#"{"maxLength":4}"#), Addition, Kept),
        // References that lead in a circle, with something beside them that leads there, too.
        (
            schema(r##","items":{"$ref":"#/definitions/d"}"##, r##"{"$ref":"#/properties/a"}"##),
            schema(
                r##","items":{"$ref":"#/definitions/d"}"##,
                r##"{"$ref":"#/properties/a","minimum":1}"##,
            ),
            Revision,
            Kept,
        ),
    ]);
}

#[test]
fn a_version_number_must_promise_no_more_than_is_kept() {
    let version = |text: &str| SchemaVer::parse(text).expect("a version");
    let step = |old: &str, new: &str, from: &str, to: &str| {
        let comparison = compare(old, new).expect("both are JSON");
        comparison.judge(version(from), version(to))
    };
    let (text, number) =
        (r#"{"properties":{"a":{"type":"integer"}}}"#, r#"{"properties":{"a":{"type":"number"}}}"#);
    let judgement = step(text, number, "1-0-0", "1-0-1");
    assert_eq!((judgement.declared, judgement.needed), (Level::Addition, Level::Model));
    assert!(judgement.fault.expect("a column breaks").contains("column"));
    assert_eq!(step(text, number, "1-0-0", "2-0-0").fault, None);
    let judgement = step(number, text, "1-0-0", "1-1-0");
    assert!(judgement.fault.expect("a column breaks").contains("column"));
    let (loose, tight) = (r#"{"maxLength":9}"#, r#"{"maxLength":8}"#);
    let fault = step(loose, tight, "1-0-0", "1-0-1").fault;
    assert_eq!(fault.as_deref(), Some("the version says ADDITION, but the change is a REVISION"));
    assert_eq!(step(loose, tight, "1-0-0", "1-1-0").fault, None);
    assert_eq!(step(tight, loose, "1-0-0", "1-1-0").fault, None, "to say more is no fault");
    assert!(step(tight, loose, "1-0-0", "1-0-0").fault.is_some());
}

#[test]
fn a_list_of_values_may_gain_what_they_all_keep() {
    use Column::{Breaks, Kept};
    use Level::{Addition, Revision};
    let listed = r#"{"enum":["aa","bb"]}"#;
    let typed = r#"{"type":"string","enum":["aa","bb"]}"#;
    check_steps(&[
        (a(listed), a(typed), Addition, Kept),
        (a(typed), a(r#"{"type":"string","maxLength":128}"#), Addition, Kept),
        (a(listed), a(r#"{"type":"string","minLength":2,"pattern":"^[ab]"}"#), Addition, Kept),
        (a(r#"{"enum":["aa",null]}"#), a(r#"{"type":["string","null"]}"#), Addition, Kept),
        (a(r#"{"enum":["aa",null]}"#), a(r#"{"type":"string"}"#), Revision, Kept),
        (a(typed), a(r#"{"type":"string","maxLength":1}"#), Revision, Kept),
        (a(r#"{"enum":[1,2]}"#), a(r#"{"type":"integer","maximum":2}"#), Addition, Kept),
        (a(r#"{"enum":[1,2]}"#), a(r#"{"type":"string"}"#), Revision, Breaks),
        (
            a(r#"{"enum":["a",2]}"#),
            a(r#"{"enum":["a",2],"type":["string","integer"]}"#),
            Addition,
            Kept,
        ),
        (
            a(r#"{"type":"boolean"}"#),
            a(r#"{"type":"boolean","enum":[true,false]}"#),
            Addition,
            Kept,
        ),
        (
            a(r#"{"type":"integer","minimum":0,"maximum":1}"#),
            a(r#"{"type":"integer","enum":[0,1]}"#),
            Addition,
            Kept,
        ),
        (
            a(r#"{"type":"integer","minimum":0,"maximum":2}"#),
            a(r#"{"type":"integer","enum":[0,1]}"#),
            Revision,
            Kept,
        ),
        (
            a(r#"{"type":"string","format":"uuid"}"#),
            a(r#"{"type":"string","format":"uuid","minLength":36,"maxLength":36}"#),
            Addition,
            Kept,
        ),
        (
            a(r#"{"type":"string","format":"uuid"}"#),
            a(r#"{"type":"string","format":"uuid","maxLength":35}"#),
            Revision,
            Kept,
        ),
        (
            a(r#"{"enum":[{"x":1}]}"#),
            a(r#"{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}"#),
            Addition,
            Column::Breaks,
        ),
    ]);
    let referred = |of: &str| {
        format!(
            r##"{{"properties":{{"a":{{"$ref":"#/definitions/d"}}}},"definitions":{{"d":{of}}}}}"##
        )
    };
    check_steps(&[(referred(listed), referred(typed), Addition, Kept)]);
}
