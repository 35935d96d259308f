//! Which lines a destination takes: a small expression over the columns of a line.
//!
//! ```text
//! app_id == "shop" and not (platform in ["srv", "iot"] or event_name starts with "debug_")
//! ```
//!
//! Columns are texts, as they stand in an enriched line; one that is not set is the empty text.
//! `not` binds closest, then `and`, then `or`. Texts stand in double or single quotes, without
//! escapes.

use super::column::{Column, Seen};
use crate::Route;

/// The longest expression, in bytes: many screens of it.
const LONGEST: usize = 16 << 10;

/// How deep parentheses and `not` may nest, so that no text exhausts the stack.
const DEEPEST: usize = 64;

/// An expression that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Test(Column, Test),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    StartsWith(String),
}

/// What is wrong with an expression, or with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {at}: {what}")]
pub struct Mistake {
    /// The character at which it stands, counted from 1.
    pub at: usize,
    /// What was expected and what was found.
    pub what: String,
    /// The name that is no column of the route.
    pub unknown: Option<String>,
}

impl Condition {
    /// Reads an expression about lines of a route.
    pub fn parse(text: &str, route: Route) -> Result<Condition, Mistake> {
        let mut parser = Parser { text, at: 0, route, depth: 0 };
        if text.len() > LONGEST {
            return Err(parser.mistake(0, format!("expected up to {LONGEST} bytes")));
        }
        let root = parser.any()?;
        match parser.peek() {
            None => Ok(Condition { root }),
            Some(found) => Err(parser.expected("`and`, `or` or the end", found)),
        }
    }

    /// Whether it holds for a line.
    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        self.root.holds(seen)
    }

    /// The columns that it looks at.
    pub(super) fn columns(&self, each: &mut impl FnMut(Column)) {
        self.root.columns(each);
    }
}

impl Node {
    fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Node::Any(nodes) => nodes.iter().any(|node| node.holds(seen)),
            Node::All(nodes) => nodes.iter().all(|node| node.holds(seen)),
            Node::Not(node) => !node.holds(seen),
            Node::Test(column, Test::In(texts)) => {
                let found = seen.text(*column);
                texts.iter().any(|text| text.as_bytes() == found)
            }
            Node::Test(column, Test::StartsWith(text)) => {
                seen.text(*column).starts_with(text.as_bytes())
            }
        }
    }

    fn columns(&self, each: &mut impl FnMut(Column)) {
        match self {
            Node::Any(nodes) | Node::All(nodes) => nodes.iter().for_each(|node| node.columns(each)),
            Node::Not(node) => node.columns(each),
            Node::Test(column, _) => each(*column),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    route: Route,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<Node, Mistake> {
        let mut nodes = vec![self.all()?];
        while self.takes("or") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node, Mistake> {
        let mut nodes = vec![self.one()?];
        while self.takes("and") {
            nodes.push(self.one()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn one(&mut self) -> Result<Node, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.mistake(self.at, format!("expected up to {DEEPEST} levels")));
        }
        let node = if self.takes("not") {
            Node::Not(Box::new(self.one()?))
        } else if self.takes("(") {
            let node = self.any()?;
            self.take(")")?;
            node
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, Mistake> {
        let column = self.column()?;
        let negated = |test| Node::Not(Box::new(Node::Test(column, test)));
        if self.takes("==") {
            return Ok(Node::Test(column, Test::In(vec![self.quoted()?])));
        }
        if self.takes("!=") {
            return Ok(negated(Test::In(vec![self.quoted()?])));
        }
        let not = self.takes("not");
        let test = if self.takes("in") {
            Test::In(self.list()?)
        } else if self.takes("starts") {
            self.take("with")?;
            Test::StartsWith(self.quoted()?)
        } else {
            let found = self.peek().unwrap_or_default();
            return Err(self.expected("`==`, `!=`, `in` or `starts with`", found));
        };
        Ok(if not { negated(test) } else { Node::Test(column, test) })
    }

    fn column(&mut self) -> Result<Column, Mistake> {
        let name = self.peek().unwrap_or_default();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || KEYWORDS.contains(&name) {
            return Err(self.expected("a column", name));
        }
        let column = Column::named(name, self.route);
        let column = column.map_err(|what| Mistake {
            unknown: Some(name.to_owned()),
            ..self.mistake(self.at, what)
        })?;
        self.at += name.len();
        Ok(column)
    }

    fn list(&mut self) -> Result<Vec<String>, Mistake> {
        self.take("[")?;
        let mut texts = vec![self.quoted()?];
        while self.takes(",") {
            if self.peek() == Some("]") {
                break;
            }
            texts.push(self.quoted()?);
        }
        self.take("]")?;
        Ok(texts)
    }

    fn quoted(&mut self) -> Result<String, Mistake> {
        let found = self.peek().unwrap_or_default();
        let quote = found.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| self.expected("a text in quotes", found))?;
        let rest = &self.text[self.at + 1..];
        let end = rest.find(quote);
        let end = end.ok_or_else(|| {
            self.mistake(self.at, format!("expected a closing {quote} after this one"))
        })?;
        self.at += end + 2;
        Ok(rest[..end].to_owned())
    }

    fn take(&mut self, token: &str) -> Result<(), Mistake> {
        let found = self.peek().unwrap_or_default();
        if self.takes(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"), found)) }
    }

    fn takes(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// The next word, sign or quote; none at the end.
    fn peek(&mut self) -> Option<&'t str> {
        let rest = &self.text[self.at..];
        let blank = rest.len() - rest.trim_start().len();
        self.at += blank;
        let rest = &rest[blank..];
        let first = rest.chars().next()?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = match first {
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            '=' | '!' if rest[1..].starts_with('=') => 2,
            c => c.len_utf8(),
        };
        Some(&rest[..length])
    }

    fn expected(&self, what: &str, found: &str) -> Mistake {
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        self.mistake(self.at, format!("expected {what}, found {found}"))
    }

    fn mistake(&self, at: usize, what: String) -> Mistake {
        let at = self.text[..at.min(self.text.len())].chars().count() + 1;
        Mistake { at, what, unknown: None }
    }
}

const KEYWORDS: [&str; 6] = ["and", "or", "not", "in", "starts", "with"];

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;
    use proptest::prelude::*;

    fn holds(text: &str) -> bool {
        let condition = Condition::parse(text, Route::Enriched).expect(text);
        let line = line("shop", "web", "page_view");
        condition.holds(&Seen::of(Route::Enriched, &line, &mut Vec::new()))
    }

    #[test]
    fn conditions_hold_or_not() {
        for (text, expected) in [
            ("app_id == 'shop'", true),
            ("app_id==\"shop\"", true),
            ("app_id != 'shop'", false),
            ("app_id == 'sho'", false),
            ("app_id in ['blog', 'shop',]", true),
            ("app_id not in ['blog']", true),
            ("event_name starts with 'page_'", true),
            ("event_name not starts with 'page_'", false),
            ("user_id == ''", true),
            ("not app_id == 'shop'", false),
            ("not not app_id == 'shop'", true),
            ("not app_id == 'x' and platform == 'web'", true),
            ("not (app_id == 'x' and platform == 'web')", true),
            ("app_id == 'x' and platform == 'x' or platform == 'web'", true),
            ("platform == 'web' or platform == 'x' and app_id == 'x'", true),
            ("(platform == 'web' or platform == 'x') and app_id == 'x'", false),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_say_where_and_what_was_expected() {
        for (text, expected) in [
            ("", "column 1: expected a column, found the end"),
            ("ap_id == 'x'", "column 1: unknown column `ap_id`"),
            ("app_id = 'x'", "column 8: expected `==`, `!=`, `in` or `starts with`, found `=`"),
            ("app_id == shop", "column 11: expected a text in quotes, found `shop`"),
            ("app_id == 'shop", "column 11: expected a closing ' after this one"),
            ("app_id == 'é' x", "column 15: expected `and`, `or` or the end, found `x`"),
            ("app_id in []", "column 12: expected a text in quotes, found `]`"),
            ("app_id starts 'x'", "column 15: expected `with`, found `'`"),
            ("(app_id == 'x'", "column 15: expected `)`, found the end"),
            ("app_id == 'x' and", "column 18: expected a column, found the end"),
            ("kind == 'x'", "column 1: unknown column `kind`"),
        ] {
            let said = Condition::parse(text, Route::Enriched).expect_err(text);
            assert_eq!(said.to_string(), expected, "{text}");
        }
        let deep = format!("{}app_id == 'x'{}", "(".repeat(65), ")".repeat(65));
        assert!(Condition::parse(&deep, Route::Enriched).is_err());
        let raw = Condition::parse("app_id == 'x'", Route::Raw).expect_err("it has no columns");
        assert!(raw.what.contains("nothing is known"), "{raw}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_condition_or_a_mistake_within_it(text in "[a-z_ ()\\[\\]='\",!é]{0,60}") {
            if let Err(mistake) = Condition::parse(&text, Route::Enriched) {
                prop_assert!(mistake.at <= text.chars().count() + 1);
            }
        }

        #[test]
        fn what_one_condition_takes_its_opposite_leaves(
            app in prop::sample::select(vec!["shop", "blog", ""]),
            negations in 0..5_usize,
        ) {
            let text = format!("{}(app_id in ['shop', ''])", "not ".repeat(negations));
            let condition = Condition::parse(&text, Route::Enriched).expect("it is right");
            let line = line(app, "web", "x");
            let holds = condition.holds(&Seen::of(Route::Enriched, &line, &mut Vec::new()));
            prop_assert_eq!(holds, (app != "blog") == negations.is_multiple_of(2));
        }
    }
}
