//! Cutting a user agent into tokens.
//!
//! At each place the longest token wins, and of two equally long ones the first of [`RULES`]. All
//! rules but that for URLs become one table of transitions, made at start; a URL needs to know the
//! top level domains and is measured by [`url_length`]. Every character belongs to some token, so
//! nothing fails here.

mod url;

use std::collections::HashMap;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::domains::Domains;
use url::{Labels, url_length};

/// What kind of token; the numbers are bits of the sets that the grammar works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Kind {
    Eof,
    Backslash,
    Email,
    CurlyOpen,
    CurlyClose,
    BraceOpen,
    BraceClose,
    BlockOpen,
    BlockClose,
    Semicolon,
    Colon,
    Comma,
    Slash,
    Equals,
    Minus,
    Uuid,
    Url,
    SpecialVersion,
    Variable,
    Gibberish,
    At,
    Word,
    Version,
    Base64,
    /// White space, quotes and the like, which no rule of the grammar sees.
    Skip,
}

/// How many kinds the grammar knows.
pub(super) const KINDS: usize = Kind::Skip as usize;

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Its first byte, and the one after its last.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The machine that finds tokens.
pub(super) struct Lexer {
    table: Table,
    width: usize,
}

/// The table of transitions.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    /// The class of each ASCII character, of two kinds of space, and of all other characters.
    pub(super) classes: Vec<u8>,
    /// By state and class the next state; 0 is none, 1 the start.
    pub(super) next: Vec<u16>,
    /// By state the rule that ends there.
    pub(super) accepts: Vec<Option<u8>>,
}

/// ASCII, U+2002, U+0220, anything else.
const SYMBOLS: usize = 131;

fn symbol(character: char) -> usize {
    match character {
        '\u{2002}' => 128,
        '\u{220}' => 129,
        _ if character.is_ascii() => character as usize,
        _ => 130,
    }
}

const URL_RULE: usize = 26;

/// The rules in the order of their precedence; `{NAME}` stands for a piece of [`PIECES`].
const RULES: [(Kind, &str); 34] = [
    (Kind::Backslash, r"\\"),
    (Kind::Skip, r#"\\""#),
    (Kind::Skip, r#"""#),
    (Kind::Skip, r"\\\\"),
    (Kind::Skip, "'"),
    (Kind::Skip, r"\\t"),
    (Kind::Skip, "<"),
    (Kind::Skip, ">"),
    (Kind::Skip, "application/json"),
    (Kind::Skip, r"\*/\*"),
    (Kind::Skip, r"[ \u{2002}\u{220}\t+]"),
    (Kind::Skip, r"-*{AGENT} *[:={] *|'{AGENT}':"),
    (Kind::Email, r"{EWORDS}{EAT}{EWORDS}{EDOT}[a-zA-Z]+"),
    (Kind::CurlyOpen, r"\{"),
    (Kind::CurlyClose, r"\}"),
    (Kind::BraceOpen, r"\(|\\\(|\\\\\("),
    (Kind::BraceClose, r"\)|\\\)|\\\\\)"),
    (Kind::BlockOpen, r"\["),
    (Kind::BlockClose, r"\]"),
    (Kind::Semicolon, ";"),
    (Kind::Colon, ":"),
    (Kind::Comma, ","),
    (Kind::Slash, "/"),
    (Kind::Equals, "="),
    (Kind::Minus, "-"),
    (Kind::Uuid, "{HEX}{HEX}-{HEX}-{HEX}-{HEX}-{HEX}{HEX}{HEX}"),
    (Kind::Url, r"[^\s\S]"),
    (Kind::SpecialVersion, "{SPECIAL}"),
    (Kind::Variable, "{VARIABLE}"),
    (Kind::Gibberish, r"@[^ ;)]*[^-+_0-9a-zA-Z. ;)]+[^ ;)]*"),
    (Kind::At, "@"),
    (Kind::Word, "(?:-=)?-*(?:{LETTER})+(?:-+(?:{LETTER})+)*-*(?:=-)?|{VARIABLE}|3D"),
    (Kind::Version, r#"[^@0-9+;{}()\\/ \t:=\[\]",]*[0-9]+(?:,[0-9]+)?(?:\+?{INSIDE})*|{VARIABLE}"#),
    (Kind::Base64, "[a-zA-Z0-9]{B}{B}{B}(?:{B}{B}{B}{B}){7,}{B}(?:{B}{B}{B}|{B}{B}=|{B}==|===)"),
];

const PIECES: [(&str, &str); 12] = [
    ("{INSIDE}", r#"[^@+;{}()\\/ \t:=\[\]",]"#),
    ("{LETTER}", r#"[^<>@0-9+;,{}()\\/ \t:=\[\]"-]|\\x[0-9a-f][0-9a-f]|{SPECIAL}"#),
    ("{VARIABLE}", r"(?:@[-_0-9a-zA-Z.]+@|\$\{[-_0-9a-zA-Z.]+\}|%[a-z]|{SPECIAL})"),
    ("{SPECIAL}", "(?:{DAPPER}(?:-{SECURITY})?|{HARDY}(?:-{SECURITY})?)"),
    ("{DAPPER}", "[dD][aA][pP][pP][eE][rR]"),
    ("{HARDY}", "[hH][aA][rR][dD][yY]"),
    ("{SECURITY}", "[sS][eE][cC][uU][rR][iI][tT][yY]"),
    ("{AGENT}", "[Uu][Ss][Ee][Rr][-_]*[Aa][Gg][Ee][Nn][Tt]"),
    ("{EWORDS}", "{EWORD}(?:{EDOT}{EWORD})*"),
    ("{EWORD}", "(?:[a-zA-Z0-9](?:[a-zA-Z0-9_+-]| dash )+)"),
    ("{EDOT}", r"(?:\.| +dot +| *\[dot\] *|\\\\dot(?:\\\\)?)"),
    ("{EAT}", r"(?:@|\\@|\\\\@| +at +| *\[at\] *|\\\\at(?:\\\\)?|\[\\xc3\\xa07\])"),
];

impl Lexer {
    /// Makes the table.
    pub(super) fn new() -> Lexer {
        let mut nfa = Nfa::default();
        let start = nfa.state();
        for (index, (_, pattern)) in RULES.iter().enumerate() {
            let mut pattern = (*pattern).to_owned();
            for (name, piece) in PIECES {
                pattern = pattern.replace(name, piece);
            }
            pattern = pattern.replace("{HEX}", "[a-fA-F0-9]{4}").replace("{B}", "[a-zA-Z0-9+?_]");
            let hir = regex_syntax::parse(&pattern).expect("the rules are written here");
            let entry = nfa.state();
            nfa.skips.push((start, entry));
            let end = nfa.add(&hir, entry);
            nfa.ends.push((end, index as u8));
        }
        nfa.determinise(start)
    }

    /// The table, to keep it.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The machine of a table that was kept; none if the table cannot be one.
    pub(super) fn of_table(table: Table) -> Option<Lexer> {
        let width = usize::from(*table.classes.iter().max()?) + 1;
        let states = table.accepts.len();
        let whole = table.classes.len() == SYMBOLS && table.next.len() == states * width;
        let inside = table.next.iter().all(|next| usize::from(*next) < states) && states > 1;
        let rules = table.accepts.iter().flatten().all(|rule| usize::from(*rule) < RULES.len());
        let start = 1;
        let starts = table.classes.iter().all(|class| {
            let next = table.next.get(start * width + usize::from(*class));
            next.is_some_and(|next| {
                table.accepts.get(usize::from(*next)).is_some_and(Option::is_some)
            })
        });
        (whole && inside && rules && starts).then_some(Lexer { table, width })
    }

    /// The tokens of a text, an end of file last. Answers how many characters were looked at.
    pub(super) fn tokens(&self, text: &str, domains: &Domains, tokens: &mut Vec<Token>) -> u32 {
        tokens.clear();
        let (mut start, mut vain, mut labels) = (0, Vain::default(), Labels::default());
        while start < text.len() {
            let (mut length, mut rule) = self.longest(text, start, &mut vain);
            let url = url_length(text, start, domains, &mut labels).unwrap_or(0);
            if url > length || (url == length && URL_RULE < rule) {
                (length, rule) = (url, URL_RULE);
            }
            let kind = RULES[rule].0;
            let end = start + length;
            if kind != Kind::Skip {
                tokens.push(Token { kind, start: start as u32, end: end as u32 });
            }
            start = end;
        }
        let end = text.len() as u32;
        tokens.push(Token { kind: Kind::Eof, start: end, end });
        vain.looks + labels.looks
    }

    /// The length of the longest token at a place of a text, and its rule.
    fn longest(&self, text: &str, start: usize, vain: &mut Vain) -> (usize, usize) {
        let (mut state, mut at) = (1, start);
        let mut best = None;
        for character in text[start..].chars() {
            vain.looks += 1;
            state = self.next(state, character);
            if state == 0 {
                break;
            }
            at += character.len_utf8();
            if let Some(rule) = self.table.accepts[state] {
                best = Some((at, state, usize::from(rule)));
            } else if vain.knows(state, at) {
                break;
            }
        }
        let (end, accepted, rule) = best.expect("each character alone is some token");
        if at - end > FAR {
            let mut state = accepted;
            for (offset, character) in text[end..at].char_indices() {
                state = self.next(state, character);
                vain.note(state, end + offset + character.len_utf8());
            }
        }
        (end - start, rule)
    }

    fn next(&self, state: usize, character: char) -> usize {
        let class = usize::from(self.table.classes[symbol(character)]);
        usize::from(self.table.next[state * self.width + class])
    }
}

/// What a look beyond a token may cost without being noted.
const FAR: usize = 32;

/// Where the machine was, in which state, without coming to a token from there on.
#[derive(Default)]
struct Vain {
    places: HashSet<(u16, u32), FixedState>,
    /// How many characters were looked at.
    looks: u32,
}

impl Vain {
    fn knows(&self, state: usize, at: usize) -> bool {
        !self.places.is_empty() && self.places.contains(&(state as u16, at as u32))
    }

    fn note(&mut self, state: usize, at: usize) {
        self.looks += 1;
        self.places.insert((state as u16, at as u32));
    }
}

/// A machine with several next states for one character.
#[derive(Default)]
struct Nfa {
    states: usize,
    /// From, to, for no character.
    skips: Vec<(usize, usize)>,
    /// From, for these symbols, to.
    moves: Vec<(usize, [u64; 3], usize)>,
    ends: Vec<(usize, u8)>,
}

impl Nfa {
    fn state(&mut self) -> usize {
        self.states += 1;
        self.states - 1
    }

    /// Adds what an expression matches from a state on; the state where it ends.
    fn add(&mut self, hir: &Hir, from: usize) -> usize {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => from,
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).expect("rules are texts");
                text.chars().fold(from, |from, c| self.step(from, |symbol| symbol == c))
            }
            HirKind::Class(Class::Unicode(class)) => self.step(from, |c| {
                class.ranges().iter().any(|range| range.start() <= c && c <= range.end())
            }),
            HirKind::Class(Class::Bytes(class)) => self.step(from, |c| {
                let within = |r: &regex_syntax::hir::ClassBytesRange| {
                    char::from(r.start()) <= c && c <= char::from(r.end())
                };
                class.ranges().iter().any(within)
            }),
            HirKind::Capture(capture) => self.add(&capture.sub, from),
            HirKind::Concat(parts) => parts.iter().fold(from, |from, part| self.add(part, from)),
            HirKind::Alternation(parts) => {
                let end = self.state();
                for part in parts {
                    let last = self.add(part, from);
                    self.skips.push((last, end));
                }
                end
            }
            HirKind::Repetition(repetition) => {
                let sub = &repetition.sub;
                let mut at = (0..repetition.min).fold(from, |at, _| self.add(sub, at));
                let end = self.state();
                match repetition.max {
                    None => {
                        let entry = self.state();
                        self.skips.push((at, entry));
                        let last = self.add(sub, entry);
                        self.skips.extend([(last, entry), (entry, end)]);
                    }
                    Some(max) => {
                        for _ in repetition.min..max {
                            self.skips.push((at, end));
                            at = self.add(sub, at);
                        }
                        self.skips.push((at, end));
                    }
                }
                end
            }
        }
    }

    fn step(&mut self, from: usize, matches: impl Fn(char) -> bool) -> usize {
        let mut set = [0_u64; 3];
        let others = ['\u{2002}', '\u{220}', '\u{4e2d}'];
        for character in (0..128_u8).map(char::from).chain(others) {
            if matches(character) {
                set[symbol(character) / 64] |= 1 << (symbol(character) % 64);
            }
        }
        let to = self.state();
        self.moves.push((from, set, to));
        to
    }

    /// The machine with one next state for each character.
    fn determinise(self, start: usize) -> Lexer {
        let (classes, samples) = self.classes();
        let (mut skips, mut moves) = (vec![Vec::new(); self.states], vec![Vec::new(); self.states]);
        for (from, to) in &self.skips {
            skips[*from].push(*to);
        }
        for (from, set, to) in &self.moves {
            moves[*from].push((*set, *to));
        }
        let mut rules = vec![None; self.states];
        for (end, rule) in &self.ends {
            rules[*end] = Some(*rule);
        }
        let mut seen = vec![0_usize; self.states];
        let mut round = 0;
        let mut closed = |states: &mut Vec<usize>| {
            round += 1;
            let (mut index, mut all) = (0, std::mem::take(states));
            while index < all.len() {
                let state = all[index];
                index += 1;
                if seen[state] != round {
                    seen[state] = round;
                    all.extend(&skips[state]);
                    if !moves[state].is_empty() || rules[state].is_some() {
                        states.push(state);
                    }
                }
            }
            states.sort_unstable();
        };
        let width = samples.len();
        let mut first = vec![start];
        closed(&mut first);
        let classes = classes.to_vec();
        let mut table = Table { classes, next: vec![0; 2 * width], accepts: vec![None, None] };
        let mut known = HashMap::from([(first.clone(), 1)]);
        let mut work = vec![first];
        let mut at = 0;
        while at < work.len() {
            for (class, sample) in samples.iter().enumerate() {
                let here: &Vec<usize> = &work[at];
                let reached = here.iter().flat_map(|state| &moves[*state]);
                let reached = reached.filter(|(set, _)| set[sample / 64] >> (sample % 64) & 1 == 1);
                let mut reached: Vec<usize> = reached.map(|(_, to)| *to).collect();
                if reached.is_empty() {
                    continue;
                }
                closed(&mut reached);
                let number = *known.entry(reached.clone()).or_insert_with(|| {
                    table.accepts.push(reached.iter().filter_map(|state| rules[*state]).min());
                    table.next.extend(std::iter::repeat_n(0, width));
                    work.push(reached);
                    work.len()
                });
                table.next[(at + 1) * width + class] = number as u16;
            }
            at += 1;
        }
        Lexer { table, width }
    }

    /// Symbols that no move tells apart share a class; one symbol of each class.
    fn classes(&self) -> ([u8; SYMBOLS], Vec<usize>) {
        let mut known: HashMap<Vec<bool>, u8> = HashMap::new();
        let (mut classes, mut samples) = ([0; SYMBOLS], Vec::new());
        let mut sets: Vec<[u64; 3]> = self.moves.iter().map(|(_, set, _)| *set).collect();
        sets.sort_unstable();
        sets.dedup();
        for (symbol, class) in classes.iter_mut().enumerate() {
            let members = sets.iter().map(|set| set[symbol / 64] >> (symbol % 64) & 1 == 1);
            *class = *known.entry(members.collect()).or_insert_with(|| {
                samples.push(symbol);
                (samples.len() - 1) as u8
            });
        }
        (classes, samples)
    }
}
