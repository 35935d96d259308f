//! Which statements are looked at at all: one at a time, a query, and no larger than can be planned
//! in bounded time and stack.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::fault::{Fault, only_reads};

/// The longest statement, in bytes: what people write has a hundredth of it.
const BYTES: usize = 256 << 10;

/// So many operators, brackets and keywords may be in one. Every one may nest the plan once more:
/// planning is recursive, which a thread's stack must hold, takes time by the square of the depth,
/// and cannot be interrupted.
const DEPTH: usize = 2000;

/// Refuses what is too large before anything recursive sees it.
pub(crate) fn check_size(sql: &str) -> Result<(), Fault> {
    if sql.len() > BYTES {
        return Err(Fault::mistake(format!("a statement has at most {BYTES} bytes")));
    }
    if sql.trim().is_empty() {
        return Err(Fault::mistake("there is no statement"));
    }
    // What cannot be taken apart is refused by the parser in better words.
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let nesting = tokens.iter().filter(|token| nests(token)).count();
    match nesting > DEPTH {
        true => {
            let why = format!("a statement has at most {DEPTH} operators, brackets and keywords");
            Err(Fault::mistake(why).hint("a list of values, as of IN (...), may be longer"))
        }
        false => Ok(()),
    }
}

fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.keyword != datafusion::sql::sqlparser::keywords::Keyword::NoKeyword
        }
        Token::Comma
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

/// Lets through what reads. The plan is checked once more, since a query may hold what is none.
pub(crate) fn check_kind(statement: &Statement) -> Result<(), Fault> {
    match statement {
        Statement::Statement(inner) => match inner.as_ref() {
            ast::Statement::Query(_)
            | ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. } => Ok(()),
            _ => Err(only_reads()),
        },
        Statement::Explain(explain) => check_kind(&explain.statement),
        _ => Err(only_reads()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_nest_too_deeply_is_refused() {
        let sum = |n: usize| format!("SELECT 1{}", " + 1".repeat(n));
        assert!(check_size(&sum(1900)).is_ok());
        assert!(check_size(&sum(2100)).is_err());
        let list = vec!["1"; 20_000].join(", ");
        assert!(check_size(&format!("SELECT 1 IN ({list})")).is_ok());
        assert!(check_size(" \n").is_err());
        assert!(check_size(&format!("SELECT '{}'", "x".repeat(BYTES))).is_err());
    }
}
