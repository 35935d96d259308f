//! The operator's statement: where its placeholders are, and its text as the server wants it.
//!
//! A `?` is a placeholder unless it stands in a literal, a quoted name or a comment, which each
//! dialect writes in its own way. PostgreSQL's operators with a question mark are written with two
//! of them (`??`, `??|`), as every peer's driver has it. Nothing here knows whether the statement
//! means anything: that is the server's to say.

use super::Dialect;

/// A statement with its placeholders found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What is sent to the server: as written for MySQL, with `$1` and so on for PostgreSQL.
    pub text: String,
    /// How many placeholders there are.
    pub placeholders: usize,
    /// Where the text ends but for blanks, comments and semicolons.
    end: usize,
    /// What is never closed, if anything is: the server will refuse the statement.
    pub unclosed: Option<&'static str>,
}

impl Statement {
    /// Finds the placeholders of a statement.
    pub fn read(sql: &str, dialect: Dialect) -> Statement {
        let mut scan = Scan { sql, bytes: sql.as_bytes(), at: 0, dialect };
        let text = String::with_capacity(sql.len());
        let mut statement = Statement { text, placeholders: 0, end: 0, unclosed: None };
        while let Some(&byte) = scan.bytes.get(scan.at) {
            let start = scan.at;
            if byte == b'?' {
                scan.at += 1;
                scan.placeholder(&mut statement);
                statement.end = statement.text.len();
                continue;
            }
            let counts = scan.skip().unwrap_or_else(|unclosed| {
                statement.unclosed = Some(unclosed);
                scan.at = sql.len();
                true
            });
            statement.text.push_str(&sql[start..scan.at]);
            if counts {
                statement.end = statement.text.len();
            }
        }
        statement
    }

    /// The text without what may follow a statement and cannot stand inside another one.
    pub fn body(&self) -> &str {
        &self.text[..self.end]
    }
}

struct Scan<'s> {
    sql: &'s str,
    bytes: &'s [u8],
    at: usize,
    dialect: Dialect,
}

impl Scan<'_> {
    fn placeholder(&mut self, statement: &mut Statement) {
        match self.dialect {
            Dialect::MySql => {
                statement.text.push('?');
                statement.placeholders += 1;
            }
            Dialect::Postgres if self.bytes.get(self.at) == Some(&b'?') => {
                statement.text.push('?');
                self.at += 1;
            }
            Dialect::Postgres => {
                statement.placeholders += 1;
                statement.text.push('$');
                statement.text.push_str(&statement.placeholders.to_string());
            }
        }
    }

    /// Moves past one character, or all of a literal, a quoted name or a comment, and tells whether
    /// it counts; else says what is never closed.
    fn skip(&mut self) -> Result<bool, &'static str> {
        let (byte, next) = (self.bytes[self.at], self.bytes.get(self.at + 1).copied());
        let postgres = self.dialect == Dialect::Postgres;
        match (byte, next) {
            (b'\'', _) => {
                let escapes = !postgres || self.is_escape_string();
                self.quoted(b'\'', escapes).ok_or("a literal")?;
            }
            (b'"', _) => self.quoted(b'"', !postgres).ok_or("a quoted name")?,
            (b'`', _) if !postgres => self.quoted(b'`', false).ok_or("a quoted name")?,
            (b'-', Some(b'-')) if postgres || self.is_blank(self.at + 2) => return self.line(),
            (b'#', _) if !postgres => return self.line(),
            (b'/', Some(b'*')) => return self.comment(postgres).ok_or("a comment"),
            (b'$', _) if postgres => self.dollar_quoted().ok_or("a dollar-quoted literal")?,
            _ => {
                self.at += self.sql[self.at..].chars().next().map_or(1, char::len_utf8);
                return Ok(byte != b';' && !byte.is_ascii_whitespace());
            }
        }
        Ok(true)
    }

    /// Whether the quote here is that of `E'…'`, in which a backslash escapes.
    fn is_escape_string(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.bytes[at]);
        matches!(before(1), Some(b'e' | b'E')) && !before(2).is_some_and(is_name)
    }

    /// Moves past a quoted text, in which two quotes stand for one.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Option<()> {
        let mut at = self.at + 1;
        loop {
            match *self.bytes.get(at)? {
                b'\\' if escapes => at += 2,
                byte if byte == quote && self.bytes.get(at + 1) == Some(&quote) => at += 2,
                byte if byte == quote => break,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(())
    }

    fn is_blank(&self, at: usize) -> bool {
        self.bytes.get(at).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    }

    /// Moves past a comment that ends with its line. None counts.
    fn line(&mut self) -> Result<bool, &'static str> {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        Ok(false)
    }

    fn comment(&mut self, nested: bool) -> Option<bool> {
        let (mut at, mut depth) = (self.at + 2, 1);
        while depth > 0 {
            match (self.bytes.get(at)?, self.bytes.get(at + 1)) {
                (b'*', Some(b'/')) => (at, depth) = (at + 2, depth - 1),
                (b'/', Some(b'*')) if nested => (at, depth) = (at + 2, depth + 1),
                _ => at += 1,
            }
        }
        self.at = at;
        Some(false)
    }

    /// Moves past `$tag$…$tag$`, or past a dollar sign that begins none.
    fn dollar_quoted(&mut self) -> Option<()> {
        let inside_name = self.at > 0 && is_name(self.bytes[self.at - 1]);
        let tag = self.bytes[self.at + 1..].iter().position(|byte| !is_tag(*byte));
        let tag = tag.map(|length| &self.sql[self.at..=self.at + 1 + length]);
        match tag.filter(|tag| tag.ends_with('$') && !inside_name && !begins_with_digit(tag)) {
            None => self.at += 1,
            Some(tag) => {
                let start = self.at + tag.len();
                self.at = start + self.sql[start..].find(tag)? + tag.len();
            }
        }
        Some(())
    }
}

fn is_name(byte: u8) -> bool {
    is_tag(byte) || byte == b'$'
}

/// A byte of a tag or a name; all bytes of characters beyond ASCII may be.
fn is_tag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn begins_with_digit(tag: &str) -> bool {
    tag.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_are_those_outside_literals_and_comments() {
        let postgres = |sql: &str, text: &str, placeholders: usize| {
            let found = Statement::read(sql, Dialect::Postgres);
            assert_eq!((&*found.text, found.placeholders), (text, placeholders), "{sql}");
            assert_eq!(found.unclosed, None, "{sql}");
        };
        postgres("SELECT 1", "SELECT 1", 0);
        postgres("a = ? AND b=?", "a = $1 AND b=$2", 2);
        postgres("'?', ?::text", "'?', $1::text", 1);
        postgres("'it''s ?' || ?", "'it''s ?' || $1", 1);
        postgres(r"'\' || ?", r"'\' || $1", 1);
        postgres(r"E'\'?' || ?", r"E'\'?' || $1", 1);
        postgres(r"name'\' || ?", r"name'\' || $1", 1);
        postgres("\"a?\" = ?", "\"a?\" = $1", 1);
        postgres("? -- ?\n, ?", "$1 -- ?\n, $2", 2);
        postgres("? --?", "$1 --?", 1);
        postgres("/* ? /* ? */ ? */ ?", "/* ? /* ? */ ? */ $1", 1);
        postgres("$$ ? $$ || ?", "$$ ? $$ || $1", 1);
        postgres("$a$ ? $b$ ? $a$ || ?", "$a$ ? $b$ ? $a$ || $1", 1);
        postgres("a$b$ = ?", "a$b$ = $1", 1);
        postgres("$1$ = ?", "$1$ = $1", 1);
        postgres("j ?? 'k' AND j ??| ?", "j ? 'k' AND j ?| $1", 1);
        postgres("'日本?' = ? # 1", "'日本?' = $1 # 1", 1);
        postgres("`?`", "`$1`", 1);

        let mysql = |sql: &str, placeholders: usize| {
            let found = Statement::read(sql, Dialect::MySql);
            assert_eq!((&*found.text, found.placeholders), (sql, placeholders), "{sql}");
            assert_eq!(found.unclosed, None, "{sql}");
        };
        mysql("a = ? AND b=?", 2);
        mysql(r"'\'?' = ?", 1);
        mysql("`a?` = \"?\"", 0);
        mysql("? # ?\n = ?", 2);
        mysql("? -- ?\n = ?", 2);
        mysql("?--?", 2);
        mysql("/* ? /* ? */ ?", 1);
        mysql("$$ ? $$", 1);
    }

    #[test]
    fn a_body_can_stand_inside_another_statement() {
        let body = |sql: &str| Statement::read(sql, Dialect::Postgres).body().to_owned();
        assert_eq!(body("SELECT ';' ; -- one ;\n /* two */ ;"), "SELECT ';'");
        assert_eq!(body("SELECT 1 /* one */ + ?"), "SELECT 1 /* one */ + $1");
        assert_eq!(body("SELECT 日"), "SELECT 日");
        assert_eq!(body(" ;"), "");
    }

    #[test]
    fn what_is_never_closed_is_said() {
        for (sql, unclosed) in [
            ("SELECT '?", "a literal"),
            ("SELECT \"?", "a quoted name"),
            ("SELECT /* ?", "a comment"),
            ("SELECT $a$ ?", "a dollar-quoted literal"),
        ] {
            let found = Statement::read(sql, Dialect::Postgres);
            assert_eq!((found.unclosed, found.placeholders), (Some(unclosed), 0), "{sql}");
            assert_eq!(found.text, sql);
        }
    }

    proptest! {
        /// Whatever is written, what is not a placeholder stays as it is.
        #[test]
        fn a_text_is_kept(sql in r#"[a?'"`$#*/ \\\n\-Eé]{0,40}"#) {
            let mysql = Statement::read(&sql, Dialect::MySql);
            prop_assert_eq!(&mysql.text, &sql);
            let postgres = Statement::read(&sql, Dialect::Postgres);
            let marks = sql.matches('?').count();
            prop_assert!(postgres.placeholders <= marks && mysql.placeholders <= marks);
        }
    }
}
