//! What two sets have in common, and what not.

use std::collections::{BTreeMap, HashSet};

use event::fields::FIELDS;
use event::{Field, tsv};
use serde_json::{Value, json};

use super::set::{Line, Part};

/// So much of a value is shown.
const SHOWN: usize = 60;

/// Columns of JSON, in which neither the order of keys nor spaces mean anything.
const JSON: [Field; 3] = [Field::Contexts, Field::UnstructEvent, Field::DerivedContexts];

/// The comparison so far.
pub(super) struct Report {
    ignored: Vec<Field>,
    examples: usize,
    a: Counts,
    b: Counts,
    both: u64,
    equal: u64,
    only_a: Named,
    only_b: Named,
    /// Enriched in A, and bad in B.
    worse: Named,
    /// Bad in A, and enriched in B.
    better: Named,
    columns: BTreeMap<usize, Column>,
}

#[derive(Default)]
struct Counts {
    enriched: u64,
    bad: u64,
    /// Bad rows of payloads that have no event id.
    nameless: u64,
    /// Lines of events that the set had already.
    again: u64,
}

/// Some events.
#[derive(Default)]
struct Named {
    count: u64,
    examples: Vec<String>,
}

/// What is different in a column.
#[derive(Default)]
struct Column {
    /// Empty in B.
    only_a: u64,
    /// Empty in A.
    only_b: u64,
    other: u64,
    examples: Vec<[String; 3]>,
}

impl Report {
    pub(super) fn new(ignored: Vec<Field>, examples: usize) -> Report {
        Report {
            ignored,
            examples,
            a: Counts::default(),
            b: Counts::default(),
            both: 0,
            equal: 0,
            only_a: Named::default(),
            only_b: Named::default(),
            worse: Named::default(),
            better: Named::default(),
            columns: BTreeMap::new(),
        }
    }

    /// How many events there are in either.
    pub(super) fn events(&self) -> u64 {
        self.a.enriched + self.a.bad + self.b.enriched + self.b.bad
    }

    /// Counts a line of A.
    pub(super) fn count_a(&mut self, line: &Line) {
        self.a.count(line);
    }

    /// Compares a part of A with the same part of B.
    pub(super) fn compare(
        &mut self,
        Part { mut kept, again }: Part,
        each: impl FnOnce(&mut dyn FnMut(Line)) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.a.again += again;
        let mut seen = HashSet::new();
        each(&mut |line| {
            self.b.count(&line);
            let Some((id, text)) = line.identified() else { return };
            if !seen.insert(id.clone()) {
                self.b.again += 1;
                return;
            }
            match kept.remove(&id) {
                Some(was) => self.pair(id, was, text),
                None => self.only_b.add(id, self.examples),
            }
        })?;
        let mut left: Vec<String> = kept.into_keys().collect();
        left.sort_unstable();
        left.into_iter().for_each(|id| self.only_a.add(id, self.examples));
        Ok(())
    }

    fn pair(&mut self, id: String, a: Option<String>, b: Option<String>) {
        self.both += 1;
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => {
                self.equal += 1;
                return;
            }
            (Some(_), None) => return self.worse.add(id, self.examples),
            (None, Some(_)) => return self.better.add(id, self.examples),
        };
        let mut equal = true;
        if a != b
            && let (Some(a), Some(b)) = (tsv::columns(&a), tsv::columns(&b))
        {
            for (at, field) in FIELDS.into_iter().enumerate() {
                if !self.ignored.contains(&field) && !same(field, a[at], b[at]) {
                    equal = false;
                    self.columns.entry(at).or_default().add(&id, [a[at], b[at]], self.examples);
                }
            }
        }
        self.equal += u64::from(equal);
    }

    /// Whether nothing differs.
    pub(super) fn same(&self) -> bool {
        self.equal == self.both
            && self.only_a.count + self.only_b.count == 0
            && self.a.nameless == self.b.nameless
    }

    /// The report for people.
    pub(super) fn lines(
        &self,
        a: impl std::fmt::Display,
        b: impl std::fmt::Display,
    ) -> Vec<String> {
        let mut lines = vec![format!("A is {a}"), format!("B is {b}"), String::new()];
        lines.push(format!("{:<28}{:>14}{:>14}", "", "A", "B"));
        for (name, a, b) in [
            ("enriched events", self.a.enriched, self.b.enriched),
            ("bad rows", self.a.bad, self.b.bad),
            ("bad rows without event id", self.a.nameless, self.b.nameless),
            ("lines of events told before", self.a.again, self.b.again),
            ("events only here", self.only_a.count, self.only_b.count),
            ("enriched here alone", self.worse.count, self.better.count),
        ] {
            lines.push(format!("{name:<28}{a:>14}{b:>14}"));
        }
        lines.push(String::new());
        lines.push(format!("{} events are in both, {} of them equal", self.both, self.equal));
        for (what, named) in [
            ("only in A", &self.only_a),
            ("only in B", &self.only_b),
            ("enriched in A, bad in B", &self.worse),
            ("bad in A, enriched in B", &self.better),
        ] {
            if !named.examples.is_empty() {
                lines.push(format!("{what}: {}", named.examples.join(", ")));
            }
        }
        if !self.columns.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "{:<28}{:>14}{:>14}{:>14}",
                "column", "other values", "only in A", "only in B"
            ));
        }
        for (at, column) in &self.columns {
            let name = FIELDS[*at].name();
            lines.push(format!(
                "{name:<28}{:>14}{:>14}{:>14}",
                column.other, column.only_a, column.only_b
            ));
            for [id, a, b] in &column.examples {
                lines.push(format!("  {id}: {} → {}", shown(a), shown(b)));
            }
        }
        lines
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let counts = |counts: &Counts, only: &Named| {
            json!({
                "enriched": counts.enriched, "bad": counts.bad, "nameless": counts.nameless,
                "again": counts.again,
                "only": only.count, "only_examples": only.examples,
            })
        };
        let named = |named: &Named| json!({ "count": named.count, "examples": named.examples });
        let column = |(at, column): (&usize, &Column)| {
            let example = |[id, a, b]: &[String; 3]| json!({ "event_id": id, "a": a, "b": b });
            let examples: Vec<Value> = column.examples.iter().map(example).collect();
            let value = json!({
                "other": column.other, "only_a": column.only_a, "only_b": column.only_b,
                "examples": examples,
            });
            (FIELDS[*at].name().to_owned(), value)
        };
        json!({
            "same": self.same(),
            "a": counts(&self.a, &self.only_a),
            "b": counts(&self.b, &self.only_b),
            "both": self.both,
            "equal": self.equal,
            "enriched_in_a_bad_in_b": named(&self.worse),
            "bad_in_a_enriched_in_b": named(&self.better),
            "columns": self.columns.iter().map(column).collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Counts {
    fn count(&mut self, line: &Line) {
        match line {
            Line::Event(..) => self.enriched += 1,
            Line::Bad(id) => {
                self.bad += 1;
                self.nameless += u64::from(id.is_none());
            }
        }
    }
}

impl Named {
    fn add(&mut self, id: String, most: usize) {
        self.count += 1;
        if self.examples.len() < most {
            self.examples.push(id);
        }
    }
}

impl Column {
    fn add(&mut self, id: &str, [a, b]: [&str; 2], most: usize) {
        match (a.is_empty(), b.is_empty()) {
            (false, true) => self.only_a += 1,
            (true, false) => self.only_b += 1,
            _ => self.other += 1,
        }
        if self.examples.len() < most {
            self.examples.push([id, a, b].map(str::to_owned));
        }
    }
}

fn same(field: Field, a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    JSON.contains(&field) && read(a).is_some_and(|a| Some(a) == read(b))
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "(nothing)".to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn event(id: &str, app: &str, contexts: &str, etl: &str) -> Line {
        let mut columns = [""; 131];
        columns[Field::EventId as usize] = id;
        columns[Field::AppId as usize] = app;
        columns[Field::Contexts as usize] = contexts;
        columns[Field::EtlTstamp as usize] = etl;
        Line::Event(id.to_owned(), columns.join("\t"))
    }

    fn compared(a: &[Line], b: &[Line]) -> Report {
        let mut report = Report::new(vec![Field::EtlTstamp], 2);
        let (mut kept, mut again) = (HashMap::new(), 0);
        for line in a {
            report.count_a(line);
            if let Some((id, text)) = line.clone().identified() {
                again += u64::from(kept.contains_key(&id));
                kept.entry(id).or_insert(text);
            }
        }
        let all = |each: &mut dyn FnMut(Line)| {
            b.iter().cloned().for_each(each);
            Ok(())
        };
        report.compare(Part { kept, again }, all).expect("nothing is read");
        report
    }

    #[test]
    fn equal_sets_are_equal_in_any_order_and_spelling_of_json() {
        let a = [event("1", "x", r#"{"a":1,"b":[2]}"#, "now"), Line::Bad(Some("2".to_owned()))];
        let b = [
            Line::Bad(Some("2".to_owned())),
            event("1", "x", r#"{"b": [2], "a": 1}"#, "later"),
            event("1", "x", "", ""),
        ];
        let report = compared(&a, &b);
        assert!(report.same(), "{}", report.json());
        assert_eq!(report.json()["b"]["again"], 1);
        let more = compared(&a, &[&b[..], &[Line::Bad(None)]].concat());
        assert!(!more.same(), "a bad row without an id is a difference");
    }

    #[test]
    fn each_difference_is_counted_where_it_belongs() {
        let a = [
            event("1", "x", r#"{"a":1}"#, ""),
            event("2", "", "", ""),
            event("3", "", "", ""),
            Line::Bad(Some("4".to_owned())),
        ];
        let b = [
            event("1", "y", r#"{"a":1.0}"#, ""),
            Line::Bad(Some("2".to_owned())),
            event("4", "", "", ""),
            event("5", "", "", ""),
        ];
        let report = compared(&a, &b);
        let json = report.json();
        assert!(!report.same());
        assert_eq!((&json["both"], &json["equal"]), (&json!(3), &json!(0)));
        assert_eq!(json["a"]["only_examples"], json!(["3"]));
        assert_eq!(json["b"]["only_examples"], json!(["5"]));
        assert_eq!(json["enriched_in_a_bad_in_b"]["examples"], json!(["2"]));
        assert_eq!(json["bad_in_a_enriched_in_b"]["examples"], json!(["4"]));
        assert_eq!(json["columns"]["app_id"]["other"], 1);
        // A number is its text: a warehouse reads an integer as another type than a decimal.
        assert_eq!(json["columns"]["contexts"]["other"], 1);
        let told = report.lines("a", "b").join("\n");
        assert!(told.contains("1: x → y"), "{told}");
    }
}
