//! What is unwise or contradictory in a schema that is valid as such.
//!
//! The checks that `igluctl lint` knows by name, which can be skipped, and those that find schemas
//! which cannot mean what they say. How versions follow one another is [`crate::evolution`]'s.

mod emptiness;
mod metaschema;
mod rules;

use event::{SchemaKey, SchemaVer};

use crate::document::{self, Value};
use crate::pointer;
use crate::schema::{DEPTH_LIMIT, Schema};

/// What was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The text is a schema of a known dialect.
    Metaschema,
    /// `self` names the schema, and the place it lies in.
    SelfDescription,
    /// The version that is said to supersede this one can.
    Superseded,
    /// No rule excludes another one, and each can be carried out.
    Contradiction,
    /// The root is an object with properties.
    RootObject,
    /// Formats are enforced ones.
    UnknownFormats,
    /// Numbers have bounds.
    NumericMinMax,
    /// Texts have a bound, and no column is too narrow for it.
    StringLength,
    /// What may be left out may be null.
    OptionalNull,
    /// Properties are described.
    Description,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// By which check.
    pub check: Check,
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong, and what should be.
    pub message: String,
}

impl Check {
    /// Those that can be skipped, named as `igluctl` names them.
    pub const OPTIONAL: [Check; 6] = [
        Check::RootObject,
        Check::UnknownFormats,
        Check::NumericMinMax,
        Check::StringLength,
        Check::OptionalNull,
        Check::Description,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Check::Metaschema => "metaschema",
            Check::SelfDescription => "self",
            Check::Superseded => "supersededBy",
            Check::Contradiction => "contradiction",
            Check::RootObject => "rootObject",
            Check::UnknownFormats => "unknownFormats",
            Check::NumericMinMax => "numericMinMax",
            Check::StringLength => "stringLength",
            Check::OptionalNull => "optionalNull",
            Check::Description => "description",
        }
    }

    /// The optional check of that name.
    pub fn named(name: &str) -> Option<Check> {
        Check::OPTIONAL.into_iter().find(|check| check.name() == name)
    }

    /// Whether what it finds makes the schema unusable; else it is advice.
    pub fn is_error(self) -> bool {
        !Check::OPTIONAL.contains(&self)
    }
}

/// Everything found in the text of a schema, in the order of the checks. `place` is the key that
/// the schema's place stands for, if it has one.
pub fn lint(text: &str, place: Option<&SchemaKey>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let schema = Schema::compile(text);
    let mut official = Vec::new();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => official = metaschema::findings(&json),
        Err(why) if why.is_syntax() || why.is_eof() => {
            let message = format!("not JSON: {why}");
            return vec![Finding { check: Check::Metaschema, pointer: String::new(), message }];
        }
        // Too deep, which the schema itself says in its words.
        Err(_) => {}
    }
    let mut add = |check, pointer: &str, message: String| {
        findings.push(Finding { check, pointer: pointer.to_owned(), message });
    };
    for issue in schema.issues() {
        add(Check::Metaschema, &from_path(&issue.path), issue.message.clone());
    }
    // What both say is said once, in the words that bad rows have for it.
    official.retain(|finding| !findings.iter().any(|ours| ours.pointer == finding.pointer));
    findings.extend(official);
    let mut add = |check, pointer: &str, message: String| {
        findings.push(Finding { check, pointer: pointer.to_owned(), message });
    };
    let Ok(root) = document::parse(text, DEPTH_LIMIT) else { return findings };
    if root.get("$schema").is_none() {
        add(Check::Metaschema, "", format!("expected \"$schema\": \"{DIALECT}\""));
    }
    if let Err(message) = own_key(&root, place) {
        add(Check::SelfDescription, "/self", message);
    }
    if let Some(Err(message)) = superseded_by(&root) {
        add(Check::Superseded, SUPERSEDED, message);
    }
    if schema.issues().is_empty() {
        rules::walk(&root, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The dialect that every published schema names.
const DIALECT: &str =
    "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#";

/// Where a schema says which version superseded it.
pub const SUPERSEDED: &str = "/$supersededBy";

/// The version that a schema says superseded it, if that is a version.
pub fn superseding(text: &str) -> Option<SchemaVer> {
    superseded_by(&document::parse(text, DEPTH_LIMIT).ok()?)?.ok()
}

fn superseded_by(root: &Value<'_>) -> Option<Result<SchemaVer, String>> {
    let value = root.get("$supersededBy")?;
    let Some(version) = value.as_str().and_then(|text| SchemaVer::parse(text).ok()) else {
        let expected = "expected a version, model-revision-addition";
        return Some(Err(format!("{expected}, found {}", value.to_json())));
    };
    let own = read_key(root).map(|key| key.version);
    Some(match own.filter(|own| version <= *own) {
        Some(own) => Err(format!("expected a version after {own}, found {version}")),
        None => Ok(version),
    })
}

/// The key that a schema says it has.
pub fn key_of(text: &str) -> Option<SchemaKey> {
    let root = document::parse(text, DEPTH_LIMIT).ok()?;
    read_key(&root)
}

fn read_key(root: &Value<'_>) -> Option<SchemaKey> {
    let own = root.get("self")?;
    let part = |name| own.get(name).and_then(Value::as_str);
    let (vendor, name) = (part("vendor")?, part("name")?);
    let (format, version) = (part("format")?, part("version")?);
    SchemaKey::parse(&format!("iglu:{vendor}/{name}/{format}/{version}")).ok()
}

fn own_key(root: &Value<'_>, place: Option<&SchemaKey>) -> Result<(), String> {
    if root.get("self").is_none() {
        return Err("expected vendor, name, format and version, found nothing".to_owned());
    }
    let own = read_key(root);
    let own = own.ok_or("expected vendor, name, format and version, each well-formed")?;
    match place {
        Some(place) if *place != own => Err(format!("expected {place}, found {own}")),
        _ => Ok(()),
    }
}

/// A JSON pointer for a path of the report; names with dots come out as several, which only
/// misleads a reader.
fn from_path(path: &str) -> String {
    let path = path.trim_start_matches(['$', '/']);
    let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
    steps.fold(String::new(), |whole, step| pointer::join(&whole, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELF: &str = r#""$schema":"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#","self":{"vendor":"com.acme","name":"a","format":"jsonschema","version":"1-0-0"}"#;

    fn check(rest: &str) -> Vec<String> {
        let found = lint(&format!("{{{SELF},{rest}}}"), None);
        found.iter().map(|f| format!("{} {}", f.check.name(), f.pointer)).collect()
    }

    #[test]
    fn a_schema_without_fault_is_left_in_peace() {
        let good = r#""type":"object","properties":{
            "a":{"type":["string","null"],"maxLength":9,"description":"d"},
            "b":{"type":"integer","minimum":0,"maximum":5,"description":"d"},
            "c":{"type":["string","null"],"format":"uuid","description":"d"},
            "e":{"enum":["x",null],"description":"d"},
            "f":{"type":"number","minimum":0.1,"maximum":0.3,"multipleOf":0.1,"description":"d"},
            "g":{"type":["string","null"],"maxLength":36,"format":"uuid","description":"d"},
            "h":{"type":["string","null"],"maxLength":4,"pattern":"^[a-z]{4}$","description":"d"},
            "i":{"oneOf":[{"type":"null"},{"type":"boolean"}],"description":"d"}},
            "required":["b","f"],"additionalProperties":false,"$supersededBy":"1-0-1""#;
        assert_eq!(check(good), Vec::<String>::new());
    }

    #[test]
    fn each_check_sees_what_it_is_for() {
        for (rest, expected) in [
            (r#""type":"array""#, "rootObject "),
            (r#""type":"object""#, "rootObject "),
            (r#""definitions":{"a":{"format":"zip"}}"#, "unknownFormats /definitions/a/format"),
            (r#""items":{"type":"number","minimum":1}"#, "numericMinMax /items"),
            (r#""anyOf":[{},{"type":["string","null"]}]"#, "stringLength /anyOf/1"),
            (r#""not":{"type":"string","maxLength":70000}"#, "stringLength /not/maxLength"),
            (r#""properties":{"a":{"type":"null"}}"#, "description /properties/a"),
            (r#""properties":{"a":{"type":"boolean"}}"#, "optionalNull /properties/a"),
            (r#""minimum":5,"maximum":4"#, "contradiction "),
            (r#""minimum":1,"maximum":1,"exclusiveMinimum":true"#, "contradiction "),
            (r#""minimum":1,"maximum":1.0,"exclusiveMaximum":true"#, "contradiction "),
            (r#""type":"integer","minimum":1.2,"maximum":1.8"#, "contradiction "),
            (
                r#""type":"integer","minimum":1,"maximum":2,"exclusiveMinimum":true,"exclusiveMaximum":true"#,
                "contradiction ",
            ),
            (r#""minimum":1,"maximum":4,"multipleOf":5"#, "contradiction "),
            (r#""maxLength":3,"enum":["abc","abcdef"]"#, "contradiction /enum/1"),
            (r#""maximum":3,"enum":[5]"#, "contradiction /enum/0"),
            (r#""pattern":"^a","enum":["b"]"#, "contradiction /enum/0"),
            (
                r##""$ref":"#/definitions/x","definitions":{"x":{"maxLength":1}},"enum":["ab"]"##,
                "contradiction /enum/0",
            ),
            (r#""maxLength":3,"format":"uuid""#, "contradiction "),
            (r#""minLength":16,"format":"ipv4""#, "contradiction "),
            (r#""maxLength":3,"pattern":"^[a-z]{4,}$""#, "contradiction "),
            (r#""minLength":9,"pattern":"^[a-z]{4}$""#, "contradiction "),
            (r#""minItems":3,"items":[{},{}],"additionalItems":false"#, "contradiction "),
            (r#""minItems":3,"uniqueItems":true,"items":{"type":"boolean"}"#, "contradiction "),
            (r#""minItems":3,"uniqueItems":true,"items":{"enum":["a","b"]}"#, "contradiction "),
            (r#""required":["a","b"],"maxProperties":1"#, "contradiction "),
            (
                r#""properties":{"a":{}},"additionalProperties":false,"minProperties":2"#,
                "contradiction ",
            ),
            (r#""required":["a"],"notAllowed":["a"]"#, "contradiction "),
            (r#""type":"string","allOf":[{"type":"integer"}]"#, "contradiction "),
            (r#""type":"string","anyOf":[{"type":"integer"},{"type":"null"}]"#, "contradiction "),
            (r#""oneOf":[{"type":"null"},{"type":"null"}]"#, "contradiction "),
            (r#""type":"string","not":{"type":["string","null"]}"#, "contradiction "),
            (r#""not":{}"#, "contradiction "),
            (r#""edits":1"#, "contradiction "),
            (r#""$ref":"other.json#/definitions/x""#, "contradiction /$ref"),
            (r#""$supersededBy":"1.0.1""#, "supersededBy /$supersededBy"),
            (r#""$supersededBy":"1-0-0""#, "supersededBy /$supersededBy"),
            (r#""$supersededBy":5"#, "supersededBy /$supersededBy"),
            (r#""minLength":5,"maxLength":4"#, "contradiction "),
            (r#""minItems":5,"maxItems":4"#, "contradiction "),
            (r#""minProperties":5,"maxProperties":4"#, "contradiction "),
            (r#""type":"string","minimum":4"#, "contradiction /minimum"),
            (r#""type":["integer","null"],"pattern":"x""#, "contradiction /pattern"),
            (r#""type":"integer","enum":[1,"x"]"#, "contradiction /enum/1"),
            (r#""pattern":"(""#, "contradiction /pattern"),
            (r##""items":{"$ref":"#/definitions/x"}"##, "contradiction /items/$ref"),
            (
                r#""properties":{},"required":["x"],"additionalProperties":false"#,
                "contradiction /required",
            ),
            (r#""type":"objekt""#, "metaschema /type"),
            (r#""properties":{"a":{"maxLength":-1}}"#, "metaschema /properties/a/maxLength"),
        ] {
            let found = check(rest);
            assert!(found.iter().any(|found| found == expected), "{rest}: {found:?}");
        }
    }

    #[test]
    fn a_schema_must_say_its_own_name() {
        let place = SchemaKey::parse("iglu:com.acme/a/jsonschema/1-0-1").expect("an Iglu URI");
        let found = lint(&format!("{{{SELF}}}"), Some(&place));
        assert_eq!(found[0].check, Check::SelfDescription);
        assert!(found[0].message.contains("expected iglu:com.acme/a/jsonschema/1-0-1"));
        for text in ["{}", r#"{"self":{"vendor":"a"}}"#] {
            let found = lint(text, None);
            assert!(found.iter().any(|f| f.check == Check::SelfDescription), "{found:?}");
        }
        let broken = lint("{\n  \"a\": 1\n  \"b\"\n}", None);
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert_eq!(broken[0].check, Check::Metaschema);
        assert!(broken[0].message.contains("line 3 column 3"), "{broken:?}");
    }
}
