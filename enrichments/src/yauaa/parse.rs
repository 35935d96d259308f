//! From tokens to a tree, by the grammar.
//!
//! A text that the grammar does not fit gets a tree as well: a token too many is dropped, one that
//! is missing is made up, and where neither helps a rule ends early and reading goes on at a token
//! that some caller can use. The rules know trees of broken user agents, so this is done exactly as
//! the parser generator does it that the grammar was written for.

use super::grammar::{Choice, END, NETWORK, Op, Rule, Set, bit};
use super::lexer::{Kind, Token};
use super::predict::{Learnt, Stuck};
use super::stacks::{MOST_DEPTH, NOBODY, Stack};
use super::tree::{NONE, Node, NodeId, Tree};

/// The text is given up: it takes too much work or is too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// Why a rule ends early.
enum Trouble {
    /// The tokens do not fit.
    Misfit,
    TooMuch,
}

type Step<T = ()> = Result<T, Trouble>;

struct Parser<'p> {
    tokens: &'p [Token],
    learnt: &'p mut Learnt,
    tree: &'p mut Tree,
    at: usize,
    node: NodeId,
    state: u16,
    depth: u32,
    /// Whether the end of the text was taken: nodes that end from then on reach to it.
    at_end: bool,
    /// Whether an error was met since the last token that fitted.
    recovering: bool,
    last_error: Option<(usize, Vec<u16>)>,
}

/// Makes the tree of some tokens, the last of which is the end of the text.
pub(super) fn parse(tokens: &[Token], learnt: &mut Learnt, tree: &mut Tree) -> Result<(), TooMuch> {
    tree.clear();
    learnt.begin();
    let mut parser = Parser {
        tokens,
        learnt,
        tree,
        at: 0,
        node: NONE,
        state: 0,
        depth: 0,
        at_end: false,
        recovering: false,
        last_error: None,
    };
    parser.rule(Rule::UserAgent, 0, NOBODY).map_err(|_| TooMuch)
}

impl Parser<'_> {
    fn kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    fn fits(&self, set: Set) -> bool {
        bit(self.kind()) & set != 0
    }

    /// Follows a rule that was called from a state.
    fn rule(&mut self, rule: Rule, from: u16, callers: Stack) -> Step {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(Trouble::TooMuch);
        }
        let caller = self.node;
        let node = Node { callers, from, ..Node::new(rule, caller, self.at) };
        self.node = self.tree.add(node);
        match self.run(&NETWORK.programs[rule as usize]) {
            Err(Trouble::Misfit) => {
                self.report();
                self.recover();
            }
            other => other?,
        }
        let end = if self.at_end { self.at + 1 } else { self.at };
        self.tree.nodes[self.node as usize].end = end as u32;
        self.state = from;
        self.node = caller;
        self.depth -= 1;
        Ok(())
    }

    fn run(&mut self, ops: &'static [Op]) -> Step {
        for op in ops {
            match op {
                Op::Take(state, set) => self.take(*state, *set, true)?,
                Op::TakeOneOf(state, set) => self.take(*state, *set, false)?,
                Op::Call(state, rule) => {
                    self.state = *state;
                    let callers = self.tree.nodes[self.node as usize].callers;
                    let after = after_call(*state);
                    let callers = self.learnt.stacks.push(callers, after);
                    self.rule(*rule, *state, callers)?;
                }
                Op::Choice { state, choice, alternatives, optional } => {
                    self.state = *state;
                    self.synchronise(false)?;
                    let chosen = self.choose(choice)?;
                    match alternatives.get(chosen) {
                        Some(ops) => self.run(ops)?,
                        None if *optional => {}
                        None => return Err(Trouble::Misfit),
                    }
                }
                Op::Loop { state, back, choice, body, least } => {
                    self.state = *state;
                    self.synchronise(false)?;
                    let mut again = *least == 1 || self.choose(choice)? == 0;
                    while again {
                        self.run(body)?;
                        self.state = *back;
                        self.synchronise(true)?;
                        again = self.choose(choice)? == 0;
                    }
                }
            }
        }
        Ok(())
    }

    /// The number of the alternative to follow, from 0; that of none where one token decides and
    /// fits none.
    fn choose(&mut self, choice: &Choice) -> Step<usize> {
        if let Some(by_token) = &choice.by_token {
            let found = by_token.iter().position(|set| self.fits(*set));
            return Ok(found.unwrap_or(by_token.len()));
        }
        let callers = self.tree.nodes[self.node as usize].callers;
        match self.learnt.choose(choice.decision, &self.tokens[self.at..], callers) {
            Ok(alternative) => Ok(usize::from(alternative) - 1),
            Err(Stuck::NoneFits) => Err(Trouble::Misfit),
            Err(Stuck::TooMuch) => Err(Trouble::TooMuch),
        }
    }

    /// Takes the token at hand if it fits; else mends what can be mended. A token that is made up
    /// is noted in the tree if `noted`.
    fn take(&mut self, state: u16, set: Set, noted: bool) -> Step {
        self.state = state;
        if self.fits(set) {
            self.at_end |= self.kind() == Kind::Eof;
            self.fitted();
            self.consume();
            return Ok(());
        }
        if self.drop_token() {
            self.consume();
            return Ok(());
        }
        let super::grammar::Moves::Token(_, next) = NETWORK.states[usize::from(state)].moves else {
            unreachable!("tokens are taken at their states")
        };
        if !self.fits(self.expected(next)) {
            return Err(Trouble::Misfit);
        }
        self.report();
        if noted {
            let made_up = Node { made_up: set, ..Node::new(Rule::Token, self.node, self.at) };
            self.tree.add(made_up);
        }
        Ok(())
    }

    /// Moves past a token, which becomes part of the tree.
    fn consume(&mut self) {
        let mut leaf = Node::new(Rule::Token, self.node, self.at);
        leaf.end += u32::from(self.kind() != Kind::Eof);
        self.tree.add(leaf);
        if self.kind() != Kind::Eof {
            self.at += 1;
        }
    }

    fn fitted(&mut self) {
        self.recovering = false;
        self.last_error = None;
    }

    fn report(&mut self) {
        if !self.recovering {
            self.recovering = true;
            self.tree.broken = true;
        }
    }

    /// Drops the token at hand if the one after it is expected here.
    fn drop_token(&mut self) -> bool {
        let after = self.tokens.get(self.at + 1).map_or(Kind::Eof, |token| token.kind);
        if bit(after) & self.expected(self.state) == 0 {
            return false;
        }
        self.report();
        self.consume();
        self.fitted();
        true
    }

    /// Before a choice: makes sure that some alternative begins with the token at hand.
    fn synchronise(&mut self, behind_loop: bool) -> Step {
        let next = NETWORK.states[usize::from(self.state)].next;
        if self.recovering || self.fits(next) || next & END != 0 {
            return Ok(());
        }
        if !behind_loop {
            return if self.drop_token() { Ok(()) } else { Err(Trouble::Misfit) };
        }
        self.report();
        let wanted = self.expected(self.state) | self.wanted_by_callers();
        self.skip_to(wanted);
        Ok(())
    }

    /// Ends a rule early: goes on to a token that some caller can use.
    fn recover(&mut self) {
        let (at, state) = (self.at, self.state);
        let again = self.last_error.as_ref();
        if again.is_some_and(|(last, states)| *last == at && states.contains(&state)) {
            self.consume();
        }
        let now = self.at;
        let states = self.last_error.take().map_or_else(Vec::new, |(_, states)| states);
        self.last_error = Some((now, states));
        self.last_error.as_mut().expect("just set").1.push(state);
        let wanted = self.wanted_by_callers();
        self.skip_to(wanted);
    }

    fn skip_to(&mut self, wanted: Set) {
        while self.kind() != Kind::Eof && !self.fits(wanted) {
            self.consume();
        }
    }

    /// What may come next at a state, with the callers where the rule may end.
    fn expected(&self, state: u16) -> Set {
        let mut next = NETWORK.states[usize::from(state)].next;
        let (mut expected, mut node) = (next & !END, self.node);
        while next & END != 0 {
            let here = &self.tree.nodes[node as usize];
            if here.parent == NONE {
                return expected | bit(Kind::Eof);
            }
            next = NETWORK.states[usize::from(after_call(here.from))].next;
            expected |= next & !END;
            node = here.parent;
        }
        expected
    }

    /// What may come after each of the rules being followed.
    fn wanted_by_callers(&self) -> Set {
        let (mut wanted, mut node) = (0, self.node);
        loop {
            let here = &self.tree.nodes[node as usize];
            if here.parent == NONE {
                return wanted & !END;
            }
            wanted |= NETWORK.states[usize::from(after_call(here.from))].next;
            node = here.parent;
        }
    }
}

/// The state that follows a call.
fn after_call(state: u16) -> u16 {
    match NETWORK.states[usize::from(state)].moves {
        super::grammar::Moves::Rule(_, after) => after,
        _ => unreachable!("rules are called from their states"),
    }
}
