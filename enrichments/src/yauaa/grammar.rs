//! The grammar of user agents, and the network of states made of it.
//!
//! [`notation`] holds the grammar of the library whose rules are read. It is ambiguous: of several
//! alternatives the first that leads on wins. Whoever parses follows the [`Op`]s; whoever has to
//! choose between alternatives looks ahead in the [`State`]s.

mod notation;

use std::sync::LazyLock;

use super::lexer::{KINDS, Kind};
use notation::{Ast, alternatives, read_either};

/// A set of kinds of tokens, one bit each, and [`END`].
pub(super) type Set = u32;

/// The bit that says that a rule may end.
pub(super) const END: Set = 1 << 31;

/// The bit of a kind.
pub(super) fn bit(kind: Kind) -> Set {
    1 << kind as u32
}

/// A rule of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Rule {
    UserAgent,
    RootElements,
    RootText,
    Product,
    CommentProduct,
    VersionWords,
    ProductName,
    NameWords,
    ProductVersion,
    VersionWithCommas,
    VersionSingleWord,
    SingleVersion,
    SingleVersionWithCommas,
    NameVersion,
    NameEmail,
    NameUrl,
    NameUuid,
    UuId,
    EmailAddress,
    SiteUrl,
    Base64,
    CommentSeparator,
    CommentBlock,
    CommentEntry,
    NameKeyValue,
    NameNoVersion,
    KeyValueProductVersion,
    KeyValue,
    KeyWithoutValue,
    KeyValueVersion,
    KeyName,
    EmptyWord,
    MultipleWords,
    TextVersions,
    /// No rule: a token's place in the tree.
    Token,
}

/// The rules in the order of [`Rule`], by their names in the notation.
pub(super) const RULES: [(Rule, &str); 34] = [
    (Rule::UserAgent, "user_agent"),
    (Rule::RootElements, "root_elements"),
    (Rule::RootText, "root_text"),
    (Rule::Product, "product"),
    (Rule::CommentProduct, "comment_product"),
    (Rule::VersionWords, "version_words"),
    (Rule::ProductName, "product_name"),
    (Rule::NameWords, "name_words"),
    (Rule::ProductVersion, "product_version"),
    (Rule::VersionWithCommas, "version_with_commas"),
    (Rule::VersionSingleWord, "version_single_word"),
    (Rule::SingleVersion, "single_version"),
    (Rule::SingleVersionWithCommas, "single_version_with_commas"),
    (Rule::NameVersion, "name_version"),
    (Rule::NameEmail, "name_email"),
    (Rule::NameUrl, "name_url"),
    (Rule::NameUuid, "name_uuid"),
    (Rule::UuId, "uu_id"),
    (Rule::EmailAddress, "email_address"),
    (Rule::SiteUrl, "site_url"),
    (Rule::Base64, "base64"),
    (Rule::CommentSeparator, "comment_separator"),
    (Rule::CommentBlock, "comment_block"),
    (Rule::CommentEntry, "comment_entry"),
    (Rule::NameKeyValue, "name_key_value"),
    (Rule::NameNoVersion, "name_no_version"),
    (Rule::KeyValueProductVersion, "key_value_product_version"),
    (Rule::KeyValue, "key_value"),
    (Rule::KeyWithoutValue, "key_without_value"),
    (Rule::KeyValueVersion, "key_value_version"),
    (Rule::KeyName, "key_name"),
    (Rule::EmptyWord, "empty_word"),
    (Rule::MultipleWords, "multiple_words"),
    (Rule::TextVersions, "text_versions"),
];

/// What a parser does.
#[derive(Debug)]
pub(super) enum Op {
    /// Takes a token of one kind.
    Take(u16, Set),
    /// Takes a token of several kinds.
    TakeOneOf(u16, Set),
    /// Follows a rule.
    Call(u16, Rule),
    /// Follows one of some alternatives, the last of which is to do nothing when `optional`.
    Choice { state: u16, choice: Choice, alternatives: Vec<Vec<Op>>, optional: bool },
    /// Follows its body again and again: `least` times at least.
    Loop { state: u16, back: u16, choice: Choice, body: Vec<Op>, least: u8 },
}

/// How to choose: a decision, and the next tokens that tell its alternatives apart where one token
/// does.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) decision: u16,
    pub(super) by_token: Option<Vec<Set>>,
}

/// A state of the network.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) rule: Rule,
    pub(super) moves: Moves,
    /// What may come next within the rule, [`END`] if the rule may end.
    pub(super) next: Set,
}

/// Where a state leads.
#[derive(Clone, Debug)]
pub(super) enum Moves {
    /// By a token.
    Token(Set, u16),
    /// Into a rule, and after it on from a state.
    Rule(Rule, u16),
    /// Without a token, to any of these; of a decision these are its alternatives.
    Free(Vec<u16>),
    /// The end of its rule.
    Stop,
}

/// The network of the grammar.
pub(super) struct Network {
    pub(super) states: Vec<State>,
    /// By state the states that it leads to without a token, a rule or an end.
    pub(super) near: Vec<Box<[u16]>>,
    pub(super) starts: Vec<u16>,
    /// By rule the states after all its uses.
    pub(super) follows: Vec<Vec<u16>>,
    pub(super) programs: Vec<Vec<Op>>,
    /// The state of each decision.
    pub(super) decisions: Vec<u16>,
}

/// The one network there is.
pub(super) static NETWORK: LazyLock<Network> = LazyLock::new(Network::build);

impl Network {
    fn build() -> Network {
        let words = notation::words();
        let mut network = Network {
            states: Vec::new(),
            near: Vec::new(),
            starts: Vec::new(),
            follows: vec![Vec::new(); RULES.len()],
            programs: Vec::new(),
            decisions: Vec::new(),
        };
        let mut at = 0;
        for (rule, name) in RULES {
            assert!(words[at] == name && words[at + 1] == "=", "the rules are in order");
            at += 2;
            let ast = read_either(&words, &mut at);
            let (mut ops, start) = (Vec::new(), network.state(rule));
            network.starts.push(start);
            let end = network.add(rule, &ast, start, &mut ops);
            let stop = network.state(rule);
            network.states[usize::from(stop)].moves = Moves::Stop;
            network.link(end, stop);
            network.programs.push(ops);
        }
        network.find_next();
        network.near = (0..network.states.len() as u16).map(|state| network.near(state)).collect();
        let mut programs = std::mem::take(&mut network.programs);
        let after = network.after_rules();
        programs.iter_mut().for_each(|ops| network.choose_by_token(ops, &after));
        network.programs = programs;
        network
    }

    fn state(&mut self, rule: Rule) -> u16 {
        self.states.push(State { rule, moves: Moves::Free(Vec::new()), next: 0 });
        u16::try_from(self.states.len() - 1).expect("the grammar is small")
    }

    fn link(&mut self, from: u16, to: u16) {
        match &mut self.states[usize::from(from)].moves {
            Moves::Free(targets) => targets.push(to),
            moves => unreachable!("{moves:?} leads on by itself"),
        }
    }

    fn decision(&mut self, state: u16) -> Choice {
        self.decisions.push(state);
        Choice { decision: self.decisions.len() as u16 - 1, by_token: None }
    }

    /// Adds the states and operations of an expression after a state; the state it ends in.
    fn add(&mut self, rule: Rule, ast: &Ast, from: u16, ops: &mut Vec<Op>) -> u16 {
        let state = self.state(rule);
        self.link(from, state);
        match ast {
            Ast::Tokens(set) => {
                let end = self.state(rule);
                self.states[usize::from(state)].moves = Moves::Token(*set, end);
                let one = set.count_ones() == 1;
                ops.push(if one { Op::Take(state, *set) } else { Op::TakeOneOf(state, *set) });
                end
            }
            Ast::Rule(called) => {
                let end = self.state(rule);
                self.states[usize::from(state)].moves = Moves::Rule(*called, end);
                self.follows[*called as usize].push(end);
                ops.push(Op::Call(state, *called));
                end
            }
            Ast::Sequence(parts) => {
                parts.iter().fold(state, |from, part| self.add(rule, part, from, ops))
            }
            Ast::Either(parts) => self.add_choice(rule, parts, state, false, ops),
            Ast::Optional(part) => {
                let parts = alternatives(part);
                self.add_choice(rule, parts, state, true, ops)
            }
            Ast::Star(part) => self.add_loop(rule, part, state, 0, ops),
            Ast::Plus(part) => self.add_loop(rule, part, state, 1, ops),
        }
    }

    fn add_choice(
        &mut self,
        rule: Rule,
        parts: &[Ast],
        state: u16,
        optional: bool,
        ops: &mut Vec<Op>,
    ) -> u16 {
        let (choice, end) = (self.decision(state), self.state(rule));
        let mut alternatives = Vec::new();
        for part in parts {
            let mut body = Vec::new();
            let last = self.add(rule, part, state, &mut body);
            self.link(last, end);
            alternatives.push(body);
        }
        if optional {
            self.link(state, end);
        }
        ops.push(Op::Choice { state, choice, alternatives, optional });
        end
    }

    fn add_loop(
        &mut self,
        rule: Rule,
        part: &Ast,
        state: u16,
        least: u8,
        ops: &mut Vec<Op>,
    ) -> u16 {
        let (back, end) = (self.state(rule), self.state(rule));
        let mut body = Vec::new();
        let entry = self.state(rule);
        let last = self.add(rule, part, entry, &mut body);
        // Of a loop that may be skipped the place to choose is before it, else behind it.
        let decision = if least == 0 { state } else { back };
        self.link(last, back);
        self.link(decision, entry);
        self.link(decision, end);
        if least == 0 {
            self.link(back, state);
        } else {
            self.link(state, entry);
        }
        let choice = self.decision(decision);
        ops.push(Op::Loop { state, back, choice, body, least });
        end
    }

    /// Finds for each state what may come next within its rule.
    fn find_next(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for index in 0..self.states.len() {
                let next = match &self.states[index].moves {
                    Moves::Token(set, _) => *set,
                    Moves::Stop => END,
                    Moves::Free(targets) => {
                        targets.iter().fold(0, |set, to| set | self.states[usize::from(*to)].next)
                    }
                    Moves::Rule(rule, after) => {
                        let first = self.states[usize::from(self.starts[*rule as usize])].next;
                        let after = self.states[usize::from(*after)].next;
                        if first & END == 0 { first } else { first & !END | after }
                    }
                };
                changed |= next != self.states[index].next;
                self.states[index].next = next;
            }
        }
    }

    /// Where a state leads without a token, a rule or an end, in the order of the alternatives.
    fn near(&self, state: u16) -> Box<[u16]> {
        let (mut near, mut seen, mut work) = (Vec::new(), Vec::new(), vec![state]);
        while let Some(state) = work.pop() {
            if seen.contains(&state) {
                continue;
            }
            seen.push(state);
            match &self.states[usize::from(state)].moves {
                Moves::Free(targets) => work.extend(targets.iter().rev()),
                _ => near.push(state),
            }
        }
        near.into()
    }

    /// By rule what may come after it, wherever it is used.
    fn after_rules(&self) -> Vec<Set> {
        let mut after = vec![0; RULES.len()];
        for _ in 0..RULES.len() {
            for (rule, follows) in self.follows.iter().enumerate() {
                for state in follows {
                    let state = &self.states[usize::from(*state)];
                    after[rule] |= state.next & !END;
                    if state.next & END != 0 {
                        after[rule] |= after[state.rule as usize];
                    }
                }
            }
        }
        after
    }

    /// Fills in where the next token decides.
    fn choose_by_token(&self, ops: &mut [Op], after: &[Set]) {
        for op in ops {
            let choice = match op {
                Op::Take(..) | Op::TakeOneOf(..) | Op::Call(..) => continue,
                Op::Choice { choice, alternatives, .. } => {
                    alternatives.iter_mut().for_each(|ops| self.choose_by_token(ops, after));
                    choice
                }
                Op::Loop { choice, body, .. } => {
                    self.choose_by_token(body, after);
                    choice
                }
            };
            let decision = &self.states[usize::from(self.decisions[usize::from(choice.decision)])];
            let Moves::Free(targets) = &decision.moves else { unreachable!("decisions are free") };
            let look = targets.iter().map(|target| {
                let next = self.states[usize::from(*target)].next;
                let beyond = if next & END == 0 { 0 } else { after[decision.rule as usize] };
                next & !END | beyond
            });
            let look: Vec<Set> = look.collect();
            let all = look.iter().fold(0, |all, set| all | set);
            let sum: u32 = look.iter().map(|set| set.count_ones()).sum();
            if all.count_ones() == sum && !look.contains(&0) {
                choice.by_token = Some(look);
            }
        }
    }
}

/// How the library names the only kind of a set.
pub(super) fn kind_name(set: Set) -> &'static str {
    const NAMES: [&str; KINDS] = [
        "<EOF>",
        "'\\\\'",
        "EMAIL",
        "'{'",
        "'}'",
        "BRACEOPEN",
        "BRACECLOSE",
        "'['",
        "']'",
        "';'",
        "':'",
        "','",
        "'/'",
        "'='",
        "'-'",
        "UUID",
        "URL",
        "SPECIALVERSIONWORDS",
        "UNASSIGNEDVARIABLE",
        "GIBBERISH",
        "'@'",
        "WORD",
        "VERSION",
        "BASE64",
    ];
    NAMES[set.trailing_zeros() as usize % KINDS]
}
