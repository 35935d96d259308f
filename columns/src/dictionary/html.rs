//! The dictionary as one page of HTML: no script, nothing loaded from anywhere.

use super::{Column, Entry};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>Columns</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #444c56); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem; }
code { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: start; padding: 0.5rem 0; }
th, td { border: 1px solid var(--line); padding: 0.3rem 0.5rem; }
th, td { text-align: start; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; }
nav ul { columns: 24rem; padding-inline-start: 1.2rem; }
section { margin-block: 2rem; }
</style>
</head>
<body>
<h1>Columns</h1>
"#;

/// The dictionary as HTML.
pub fn html(columns: &[Column]) -> String {
    let (always, typed): (Vec<&Column>, Vec<&Column>) =
        columns.iter().partition(|column| column.entry.schemas.is_empty());
    let mut out = HEAD.to_owned();
    out.push_str(
        "<nav aria-label=\"Columns\">\n<ul>\n<li><a href=\"#every-event\">Every event</a></li>\n",
    );
    for column in &typed {
        let name = escaped(&column.entry.path);
        out.push_str(&format!("<li><a href=\"#{name}\"><code>{name}</code></a></li>\n"));
    }
    out.push_str("</ul>\n</nav>\n<main>\n<section id=\"every-event\">\n<h2>Every event</h2>\n");
    table(&mut out, "The columns that every event has.", always.iter().map(|it| &it.entry));
    out.push_str("</section>\n");
    for column in typed {
        section(&mut out, column);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn section(out: &mut String, column: &Column) {
    let Entry { path, ty, description, schemas, .. } = &column.entry;
    let name = escaped(path);
    out.push_str(&format!("<section id=\"{name}\">\n<h2><code>{name}</code></h2>\n"));
    if let Some(description) = description {
        out.push_str(&format!("<p>{}</p>\n", escaped(description)));
    }
    let uris: Vec<String> =
        schemas.iter().map(|uri| format!("<code>{}</code>", escaped(uri))).collect();
    out.push_str(&format!("<p>A {}, of {}.</p>\n", escaped(ty), uris.join(", ")));
    if !column.fields.is_empty() {
        table(out, "The fields within.", column.fields.iter());
    }
    out.push_str("</section>\n");
}

fn table<'a>(out: &mut String, caption: &str, entries: impl Iterator<Item = &'a Entry>) {
    out.push_str(&format!(
        "<table>\n<caption>{caption}</caption>\n<thead>\n<tr><th scope=\"col\">Column</th>\
         <th scope=\"col\">Type</th><th scope=\"col\">May be null</th>\
         <th scope=\"col\">What it says</th><th scope=\"col\">Examples</th>\
         <th scope=\"col\">Schemas</th></tr>\n</thead>\n<tbody>\n"
    ));
    for entry in entries {
        let list = |texts: &[String]| {
            let texts = texts.iter().map(|text| format!("<code>{}</code>", escaped(text)));
            texts.collect::<Vec<_>>().join("<br>")
        };
        out.push_str(&format!(
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td></tr>\n",
            escaped(&entry.path),
            escaped(&entry.ty),
            if entry.nullable { "yes" } else { "no" },
            escaped(entry.description.as_deref().unwrap_or_default()),
            list(&entry.examples),
            list(&entry.schemas),
        ));
    }
    out.push_str("</tbody>\n</table>\n");
}

/// A text in which no sign is markup, in attributes too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
