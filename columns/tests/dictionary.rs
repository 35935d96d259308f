//! The dictionary of a table, in its three forms.

use columns::dictionary::{Entry, columns, html, json, markdown};
use columns::{Table, Uses};
use event::SchemaKey;

const OLD: &str = r#"{"type": "object", "description": "An <old> cart.", "required": ["items"],
    "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {
    "size": {"type": "string", "enum": ["S", "M"]}}}}}}"#;
const NEW: &str = r#"{"type": "object", "description": "A cart | <b>\"new\"</b>.",
    "required": ["items"], "properties": {
    "items": {"type": "array", "items": {"type": "object", "properties": {
    "size": {"type": "string", "enum": ["S", "M", "L"], "description": "Its size."}}}},
    "voucherCode": {"type": ["string", "null"], "examples": ["SPRING", "<script>"]}}}"#;
const BROKEN: &str = r#"{"type": "object", "properties": {"items": {"type": "integer"}}}"#;

fn table() -> Table {
    let key = |version| {
        SchemaKey::parse(&format!("iglu:com.acme/cart/jsonschema/{version}")).expect("an Iglu URI")
    };
    let entity = Uses { event: false, entity: true };
    Table::of([
        (key("1-0-0"), OLD, entity),
        (key("1-0-1"), BROKEN, entity),
        (key("1-0-2"), NEW, entity),
    ])
}

fn entries() -> Vec<Entry> {
    let columns = columns(&table());
    columns.into_iter().flat_map(|it| std::iter::once(it.entry).chain(it.fields)).collect()
}

#[test]
fn every_field_says_what_its_schemas_say_of_it() {
    let entries = entries();
    let named = |path: &str| {
        let found = entries.iter().find(|entry| entry.path == path);
        found.unwrap_or_else(|| panic!("no {path}")).clone()
    };
    let version = |version: &str| format!("iglu:com.acme/cart/jsonschema/{version}");
    let column = named("contexts_com_acme_cart_1");
    assert_eq!(column.ty, "list of struct");
    assert_eq!(column.schemas, [version("1-0-0"), version("1-0-2")]);
    assert_eq!(column.description.as_deref(), Some("A cart | <b>\"new\"</b>."));
    let size = named("contexts_com_acme_cart_1[].items[].size");
    assert_eq!(size.description.as_deref(), Some("Its size."));
    assert_eq!(size.examples, [r#""S""#, r#""M""#, r#""L""#]);
    assert!(size.nullable && !named("contexts_com_acme_cart_1[].items").nullable);
    let voucher = named("contexts_com_acme_cart_1[].voucher_code");
    assert_eq!(voucher.schemas, [version("1-0-2")]);
    assert_eq!(voucher.examples, [r#""SPRING""#, r#""<script>""#]);
    let all = named("contexts_com_acme_cart_1[]._schema_version");
    assert_eq!(all.schemas, column.schemas);
    let own = entries
        .iter()
        .find(|entry| entry.path.contains("_recovered_") && !entry.path.contains('['));
    let own = own.expect("a version breaks");
    assert_eq!(own.schemas, [version("1-0-1")]);
    assert_eq!(named(&format!("{}[].items", own.path)).ty, "long");
    let app = named("app_id");
    assert!(app.schemas.is_empty() && app.description.is_some());
}

#[test]
fn each_form_has_every_column_and_no_markup_of_a_schema() {
    let columns = columns(&table());
    let (page, text, document) = (html(&columns), markdown(&columns), json(&columns));
    for entry in entries() {
        assert!(page.contains(&format!("<code>{}</code>", entry.path)), "{}", entry.path);
        assert!(text.contains(&format!("`{}`", entry.path)), "{}", entry.path);
    }
    assert!(page.contains("A cart | &lt;b&gt;&quot;new&quot;&lt;/b&gt;."), "{page}");
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    assert!(text.contains("A cart \\| \\<b\\>\"new\"\\</b\\>."), "{text}");
    let names: Vec<&str> = document
        .as_array()
        .expect("a list")
        .iter()
        .map(|column| column["path"].as_str().expect("a text"))
        .collect();
    assert_eq!(names.len(), 130 + 2);
    let cart = &document[130];
    assert_eq!(cart["path"], "contexts_com_acme_cart_1");
    assert_eq!(cart["fields"][3]["examples"][1], "<script>");
}
