//! The matchers, ready to run on trees.
//!
//! A matcher is a list of actions: variables, conditions and what to set. Each action hears of the
//! parts of a tree that its expression begins with; once all parts were told, every matcher whose
//! needed actions all heard of something does its actions in turn and, if none comes to nothing,
//! sets its fields. Of two matchers that are equally sure the one that heard of something first
//! wins.

use std::collections::HashMap;

use super::domains::Domains;
use super::expression::Expression;
use super::fields::{FieldId, Names};
use super::index::Index;
use super::lexer::Lexer;
use super::rules::{Line, Matcher as Source, Rules};
use super::steps::{self, Step};
use super::tables::Tables;

/// What an action is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Its value is for the actions that name it.
    Variable {
        listeners: Vec<u32>,
    },
    Require,
    FailIfFound,
    Extract {
        field: FieldId,
        weight: i64,
    },
}

/// One expression of a matcher.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) matcher: u32,
    pub(super) purpose: Purpose,
    pub(super) steps: Vec<Step>,
    /// Whether the matcher is out of the question as long as this heard of nothing.
    pub(super) needed: bool,
    /// Whether its steps may make something of nothing.
    pub(super) works_without: bool,
}

/// Some actions, and what to set besides what they find.
#[derive(Debug)]
pub(super) struct Matcher {
    /// The numbers of its actions: from the first to before the last.
    pub(super) actions: (u32, u32),
    /// Fields with fixed values.
    pub(super) fixed: Vec<(FieldId, String, i64)>,
    /// How many actions are needed to hear of something.
    pub(super) needed: i32,
}

/// Everything made of the rules.
pub(super) struct Engine {
    pub(super) rules: Rules,
    pub(super) lexer: Lexer,
    pub(super) domains: Domains,
    pub(super) tables: Tables,
    pub(super) names: Names,
    pub(super) index: Index,
    pub(super) matchers: Vec<Matcher>,
    pub(super) actions: Vec<Action>,
    /// Matchers that need to hear of nothing.
    pub(super) always: Vec<u32>,
}

impl Engine {
    /// Makes an engine of rules; an error names the file and line.
    pub(super) fn new(rules: Rules, lexer: Lexer) -> Result<Engine, String> {
        let mut domains = Domains::read(&rules.suffixes);
        domains.long_first_label = rules.version < 30;
        let mut engine = Engine {
            lexer,
            domains,
            tables: Tables::new(&rules),
            names: Names::new(),
            index: Index::new(),
            matchers: Vec::new(),
            actions: Vec::new(),
            always: Vec::new(),
            rules: Rules::default(),
        };
        for source in &rules.matchers {
            engine.add(source, &rules).map_err(|error| {
                format!("{}:{}: {error}", rules.files[usize::from(source.file)], source.line)
            })?;
        }
        let always = engine.matchers.iter().enumerate().filter(|(_, m)| m.needed == 0);
        engine.always = always.map(|(number, _)| number as u32).collect();
        engine.rules = rules;
        Ok(engine)
    }

    fn add(&mut self, source: &Source, rules: &Rules) -> Result<(), String> {
        let first = self.actions.len() as u32;
        let mut matcher = Matcher { actions: (first, first), fixed: Vec::new(), needed: 0 };
        let mut variables: HashMap<&str, u32> = HashMap::new();
        // Variables come first, whatever their place.
        let (first, rest): (Vec<&Line>, Vec<&Line>) =
            source.lines.iter().partition(|line| matches!(line, Line::Variable { .. }));
        for line in first.into_iter().chain(rest) {
            self.add_line(&mut matcher, &mut variables, line, rules)?;
        }
        matcher.actions.1 = self.actions.len() as u32;
        self.matchers.push(matcher);
        Ok(())
    }

    fn add_line<'r>(
        &mut self,
        matcher: &mut Matcher,
        variables: &mut HashMap<&'r str, u32>,
        line: &'r Line,
        rules: &Rules,
    ) -> Result<(), String> {
        let (purpose, text) = match line {
            Line::Variable { expression, .. } => {
                (Purpose::Variable { listeners: Vec::new() }, expression)
            }
            Line::Require(expression) => (Purpose::Require, expression),
            Line::FailIfFound(expression) => (Purpose::FailIfFound, expression),
            Line::Extract { field, weight, expression } => {
                (Purpose::Extract { field: self.names.add(field), weight: *weight }, expression)
            }
        };
        let expression = Expression::read(text)?;
        if let Some(value) = fixed(&expression) {
            let Purpose::Extract { field, weight } = purpose else {
                return Err(format!("expected a path, found a fixed value: {text}"));
            };
            matcher.fixed.push((field, value.to_owned(), weight));
            return Ok(());
        }
        let number = self.actions.len() as u32;
        let mut steps = steps::compile(&expression, &self.tables)?;
        for step in &steps {
            if let Step::LookUpContains(table, _)
            | Step::IsInContains(table)
            | Step::IsNotInContains(table) = step
            {
                self.tables.find_within(*table, rules)?;
            }
        }
        let needs_input = |steps: &[Step]| steps.iter().all(Step::needs_input);
        let mut needs = needs_input(&steps);
        if matches!(purpose, Purpose::Require | Purpose::FailIfFound) {
            let kept = steps.iter().rposition(Step::can_fail).map_or(0, |last| last + 1);
            steps.truncate(kept);
        }
        let hears = self.index.listen(number, &expression)?;
        let needed = needs && hears && !matches!(purpose, Purpose::FailIfFound);
        if matches!(purpose, Purpose::FailIfFound) {
            needs = needs_input(&steps);
        }
        if let Some(variable) = variable(&expression) {
            let known = variables.get(variable).copied();
            let known = known.ok_or_else(|| format!("the variable {variable} is not defined"))?;
            match &mut self.actions[known as usize].purpose {
                Purpose::Variable { listeners } => listeners.push(number),
                _ => unreachable!("only variables are noted"),
            }
        }
        if let Line::Variable { name, .. } = line {
            variables.insert(name, number);
        }
        matcher.needed += i32::from(needed);
        self.actions.push(Action {
            matcher: self.matchers.len() as u32,
            purpose,
            steps,
            needed,
            works_without: !needs,
        });
        Ok(())
    }
}

/// The value of an expression that always has the same one.
fn fixed(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Fixed(value) => Some(value),
        Expression::Then(inner, _) => fixed(inner),
        _ => None,
    }
}

/// The variable that an expression begins with.
fn variable(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Variable(name, _) => Some(name),
        Expression::Then(inner, _) => variable(inner),
        _ => None,
    }
}
