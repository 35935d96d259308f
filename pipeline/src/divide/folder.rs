//! The folders of objects: a template, filled with the time and with columns of a line.
//!
//! ```text
//! {app_id}/date={yyyy}-{mm}-{dd}/hour={hh}/
//! ```
//!
//! What a column holds comes from whoever sends events, so it is escaped: a value can neither end
//! its part of a name nor hide it. Letters, digits, `-`, `_` and `.` stay, all else becomes `%XX`;
//! so does the first character of a value that begins with `_` or `.`, or that is `none` or `other`
//! itself, since these two words stand for a value that is not there, and for all values beyond the
//! bound on open objects. Longer values are cut.

use event::{Field, Utc};

use super::column::{Column, Seen};
use super::condition::Mistake;
use crate::Route;

/// The most bytes of a value, escaped. Longer ones share their beginning, and so a folder.
const VALUE_BYTES: usize = 96;

/// The most bytes of a template that is filled: names of objects have up to 1,024.
const LONGEST: usize = 512;

/// The most bytes between two slashes: files of a machine have up to 255.
const LONGEST_PART: usize = 240;

/// Where lines go whose folder would be one too many.
const OTHER: &str = "other";

/// What stands for a value that is not there.
const NONE: &str = "none";

/// A template that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Time(Unit),
    Value(Column, Option<Unit>),
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Date,
}

/// The parts of a time by name, with where they stand in `yyyy-MM-dd HH`.
const UNITS: [(&str, Unit, std::ops::Range<usize>); 6] = [
    ("yyyy", Unit::Year, 0..4),
    ("mm", Unit::Month, 5..7),
    ("dd", Unit::Day, 8..10),
    ("hh", Unit::Hour, 11..13),
    ("hour", Unit::Hour, 11..13),
    ("date", Unit::Date, 0..10),
];

impl Default for Folder {
    fn default() -> Folder {
        let date = "date={date}/hour={hour}/";
        Folder::parse(date, Route::Raw).expect("it names times alone")
    }
}

impl Folder {
    /// Reads a template for objects of a route.
    pub fn parse(text: &str, route: Route) -> Result<Folder, Mistake> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mistake = |rest: &str, what: String| {
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            Mistake { at, what, unknown: None }
        };
        while let Some(first) = rest.chars().next() {
            if let Some(from) = rest.strip_prefix('{') {
                let end = from.find('}');
                let end =
                    end.ok_or_else(|| mistake(rest, "expected a closing brace".to_owned()))?;
                let part = variable(&from[..end], route)
                    .map_err(|(what, unknown)| Mistake { unknown, ..mistake(from, what) })?;
                parts.push(part);
                rest = &from[end + 1..];
                continue;
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "/=-_.+".contains(c);
            if !plain(first) {
                let what = format!("expected letters, digits and any of `/=-_.+`, found `{first}`");
                return Err(mistake(rest, what));
            }
            let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
            parts.push(Part::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        if !text.is_empty() && !text.ends_with('/') {
            parts.push(Part::Text("/".to_owned()));
        }
        let folder = Folder { parts };
        folder.check().map_err(|what| Mistake { at: 1, what, unknown: None })?;
        Ok(folder)
    }

    /// Whether lines of one batch may belong into different folders.
    pub fn has_columns(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(..)))
    }

    pub(super) fn columns(&self, each: &mut impl FnMut(Column)) {
        for part in &self.parts {
            if let Part::Value(column, _) = part {
                each(*column);
            }
        }
    }

    /// The folder of a line that was processed then.
    pub(super) fn of(&self, seen: &Seen<'_>, now_ms: i64, out: &mut String) {
        self.fill(now_ms, out, |column, unit, out| {
            let text = seen.text(column);
            let text = unit.map_or(text, |unit| text.get(unit.range()).unwrap_or_default());
            escape(text, out);
        });
    }

    /// Where lines go, processed then, whose folder would be one too many; of a template without
    /// columns, where all of them go.
    pub fn rest(&self, now_ms: i64) -> String {
        let mut out = String::new();
        self.fill(now_ms, &mut out, |_, _, out| out.push_str(OTHER));
        out
    }

    /// The most bytes that it comes to.
    pub fn longest(&self) -> usize {
        self.sizes().sum()
    }

    fn sizes(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Time(_) => 10,
            Part::Value(..) => VALUE_BYTES,
        })
    }

    fn fill(
        &self,
        now_ms: i64,
        out: &mut String,
        value: impl Fn(Column, Option<Unit>, &mut String),
    ) {
        let t = Utc::from_ms(now_ms);
        let now = format!("{:04}-{:02}-{:02} {:02}", t.year, t.month, t.day, t.hour);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Time(unit) => out.push_str(&now[unit.range()]),
                Part::Value(column, unit) => value(*column, *unit, out),
            }
        }
    }

    /// Names with parts that are empty, that readers do not see or that lead elsewhere are refused,
    /// and so are those that could become too long.
    fn check(&self) -> Result<(), String> {
        if self.longest() > LONGEST {
            return Err(format!(
                "expected up to {LONGEST} bytes, counting {VALUE_BYTES} for each column; it may \
                 come to {}",
                self.longest()
            ));
        }
        // A value is never empty and never begins with a dot or an underscore: a letter stands for
        // it.
        let shape: String = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Time(_) => "0".repeat(10),
                Part::Value(..) => "v".repeat(VALUE_BYTES),
            })
            .collect();
        let names = shape.strip_suffix('/').unwrap_or(&shape);
        for part in names.split('/').filter(|_| !names.is_empty() || !shape.is_empty()) {
            if part.is_empty() {
                return Err("expected no slash at the beginning and none after another".to_owned());
            }
            if part.starts_with(['_', '.']) {
                return Err(
                    "expected no part that begins with `_` or `.`: readers pass over such \
                            folders, and what belongs to an object is kept in them"
                        .to_owned(),
                );
            }
            if part.len() > LONGEST_PART {
                return Err(format!("expected up to {LONGEST_PART} bytes between two slashes"));
            }
        }
        Ok(())
    }
}

impl Unit {
    fn range(self) -> std::ops::Range<usize> {
        let named = UNITS.into_iter().find(|(_, unit, _)| *unit == self);
        named.expect("every part of a time has a name").2
    }
}

/// What stands in braces.
fn variable(name: &str, route: Route) -> Result<Part, (String, Option<String>)> {
    let unit = |name: &str| UNITS.into_iter().find(|(known, ..)| *known == name).map(|it| it.1);
    if let Some(unit) = unit(name) {
        return Ok(Part::Time(unit));
    }
    let (name, of_time) = match name.split_once(':') {
        Some((name, part)) => (name, Some(part)),
        None => (name, None),
    };
    let column = Column::named(name, route).map_err(|what| (what, Some(name.to_owned())))?;
    let Some(part) = of_time else { return Ok(Part::Value(column, None)) };
    let is_time = matches!(column, Column::Field(field) if is_time(field));
    match unit(part).filter(|_| is_time) {
        Some(unit) => Ok(Part::Value(column, Some(unit))),
        None => {
            let what = format!(
                "expected a column of times and `date`, `hour`, `yyyy`, `mm`, `dd` or `hh` of it, \
                 found `{name}:{part}`"
            );
            Err((what, None))
        }
    }
}

fn is_time(field: Field) -> bool {
    field.kind() == event::fields::Kind::Timestamp
}

/// Appends a value so that it is part of one name, and visible.
fn escape(text: &[u8], out: &mut String) {
    if text.is_empty() {
        return out.push_str(NONE);
    }
    let reserved = text == NONE.as_bytes() || text == OTHER.as_bytes();
    let start = out.len();
    for (at, byte) in text.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let first = at == 0 && (reserved || matches!(byte, b'_' | b'.'));
        let length = if plain && !first { 1 } else { 3 };
        if out.len() - start + length > VALUE_BYTES {
            return;
        }
        match length {
            1 => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-31T09:59:59.123Z
    const NOW: i64 = 1_769_853_599_123;

    fn filled(template: &str, app_id: &str) -> String {
        let folder = Folder::parse(template, Route::Enriched).expect(template);
        let line = line(app_id, "web", "page_view");
        let mut out = String::new();
        folder.of(&Seen::of(Route::Enriched, &line, &mut Vec::new()), NOW, &mut out);
        out
    }

    #[test]
    fn templates_are_filled() {
        for (template, expected) in [
            ("", ""),
            ("date={date}/hour={hour}", "date=2026-01-31/hour=09/"),
            ("{yyyy}/{mm}/{dd}/{hh}/", "2026/01/31/09/"),
            ("app_id={app_id}/{date}/", "app_id=shop/2026-01-31/"),
            ("{event_name}-{platform}/", "page_view-web/"),
            ("{user_id}/", "none/"),
            ("{collector_tstamp:date}/{collector_tstamp:hh}/", "2024-05-01/10/"),
        ] {
            assert_eq!(filled(template, "shop"), expected);
        }
        let folder =
            Folder::parse("{app_id}/{date}/{app_id}/", Route::Enriched).expect("it is right");
        assert_eq!(folder.rest(NOW), "other/2026-01-31/other/");
        assert_eq!(Folder::default().rest(NOW), "date=2026-01-31/hour=09/");
    }

    #[test]
    fn values_are_escaped() {
        for (value, expected) in [
            ("a.b-c_D9", "a.b-c_D9"),
            ("a/b", "a%2Fb"),
            ("..", "%2E."),
            ("_x", "%5Fx"),
            ("é", "%C3%A9"),
            ("100%", "100%25"),
            ("none", "%6Eone"),
            ("other", "%6Fther"),
            ("others", "others"),
        ] {
            assert_eq!(filled("{app_id}/", value), format!("{expected}/"));
        }
    }

    #[test]
    fn templates_that_cannot_be_used_are_refused() {
        for (template, expected) in [
            ("{ap_id}/", "column 2: unknown column `ap_id`"),
            ("{app_id", "column 1: expected a closing brace"),
            ("a b/", "column 2: expected letters, digits"),
            ("/a/", "expected no slash at the beginning"),
            ("a//b/", "expected no slash at the beginning and none after another"),
            ("/", "expected no slash at the beginning"),
            ("../", "begins with `_` or `.`"),
            ("a/_manifests/", "begins with `_` or `.`"),
            ("{app_id:date}/", "expected a column of times"),
            ("{tr_total:date}/", "expected a column of times"),
            ("{collector_tstamp:day}/", "expected a column of times"),
            ("{app_id}{platform}{user_id}/", "expected up to 240 bytes between two slashes"),
            ("{app_id}/{app_id}/{app_id}/{app_id}/{app_id}/{app_id}/", "expected up to 512 bytes"),
        ] {
            let said = Folder::parse(template, Route::Enriched).expect_err(template).to_string();
            assert!(said.contains(expected), "{template}: {said}");
        }
    }

    proptest! {
        /// Whatever an event holds, its folder has the parts of the template and no others, and
        /// none that leads elsewhere.
        #[test]
        fn no_value_leads_out_of_its_folder(value in "[^\t\n]{0,300}") {
            let name = filled("a/app={app_id}/{app_id}/{date}/", &value);
            let parts: Vec<_> = name.split('/').collect();
            prop_assert_eq!(parts.len(), 5);
            prop_assert_eq!((parts[0], parts[3], parts[4]), ("a", "2026-01-31", ""));
            for part in &parts[..4] {
                prop_assert!(!part.is_empty() && !part.starts_with(['.', '_']));
                prop_assert!(part.len() <= LONGEST_PART);
                prop_assert!(part.bytes().all(|b| b.is_ascii_graphic()), "{part}");
            }
            prop_assert!(parts[2] != "other");
            prop_assert_eq!(parts[2] == "none", value.is_empty());
        }

        #[test]
        fn short_values_that_differ_have_folders_that_differ(
            (one, other) in ("[^\t\n]{0,8}", "[^\t\n]{0,8}"),
        ) {
            let same = filled("{app_id}/", &one) == filled("{app_id}/", &other);
            prop_assert_eq!(same, one == other);
        }
    }
}
