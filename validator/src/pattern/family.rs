//! Families of characters by their names, `\p{…}`, and the classes that have a letter, `\w`.
//!
//! Names are those of Java 17, case and all; which characters have a property is Unicode's
//! answer, in the version of the `regex-syntax` crate. `blocks.txt`, `scripts.txt` and
//! `mirrored.txt` hold what that crate lacks: blocks, the codes of scripts, mirrored characters.

use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

use super::set::{Class, Set};
use super::syntax::Words;

const BLOCKS: &str = include_str!("family/blocks.txt");
const SCRIPTS: &str = include_str!("family/scripts.txt");
const MIRRORED: &str = include_str!("family/mirrored.txt");

/// Letters of two names of general categories, as Java spells them.
const CATEGORIES: [&str; 36] = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Me", "Mc", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf",
    "Co", "Pd", "Ps", "Pe", "Pc", "Po", "Pi", "Pf", "Sm", "Sc", "Sk", "So", "L", "M", "N", "Z",
    "P", "S", "Cn", "LC",
];

/// Flags that decide what a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sense {
    /// `(?U)`: names of POSIX mean what Unicode says.
    pub(super) unicode: bool,
    /// `(?i)`: upper, lower and title case are one.
    pub(super) any_case: bool,
}

/// The family of a name; `None` if there is no such.
pub(super) fn named(name: &str, sense: Sense) -> Option<Set> {
    if let Some((property, value)) = name.split_once('=') {
        return match property.to_ascii_lowercase().as_str() {
            "sc" | "script" => script(value),
            "blk" | "block" => block(value),
            "gc" | "general_category" => plain(value, sense),
            _ => None,
        };
    }
    if let Some(name) = name.strip_prefix("In") {
        return block(name);
    }
    if let Some(name) = name.strip_prefix("Is") {
        let capitals = name.to_ascii_uppercase();
        let unicode = property(&capitals, sense).or_else(|| posix(&capitals, sense));
        return unicode.or_else(|| plain(name, sense)).or_else(|| script(name));
    }
    let posix = if sense.unicode { posix(&name.to_ascii_uppercase(), sense) } else { None };
    posix.or_else(|| plain(name, sense))
}

/// `\d`
pub(super) fn digit(unicode: bool) -> Set {
    if unicode { unicode_class("Nd") } else { Set::range(0x30, 0x39) }
}

/// `\w`
pub(super) fn word(unicode: bool) -> Set {
    if !unicode {
        return alnum().union(&Set::chars("_"));
    }
    let marks = unicode_class("M").union(&unicode_class("Nd")).union(&unicode_class("Pc"));
    unicode_class("Alphabetic").union(&marks).union(&unicode_class("Join_Control"))
}

/// `\s`
pub(super) fn space(unicode: bool) -> Set {
    if unicode { unicode_class("White_Space") } else { Set::chars(" \t\n\x0B\x0C\r") }
}

/// `\h`
pub(super) fn horizontal() -> Set {
    let rare = Set::chars("\u{1680}\u{180e}\u{202f}\u{205f}\u{3000}");
    Set::chars(" \t\u{a0}").union(&rare).union(&Set::range(0x2000, 0x200A))
}

/// `\v`
pub(super) fn vertical() -> Set {
    Set::chars("\n\x0B\x0C\r\u{85}\u{2028}\u{2029}")
}

/// Whether a character belongs to a word.
pub(super) fn is_word(words: Words, character: char) -> bool {
    static LETTERS: LazyLock<Class> = LazyLock::new(|| {
        Class::new(unicode_class("L").union(&unicode_class("Nd")).union(&Set::chars("_")))
    });
    static UNICODE: LazyLock<Class> = LazyLock::new(|| Class::new(word(true)));
    match words {
        Words::Letters => LETTERS.has(character),
        Words::Unicode => UNICODE.has(character),
    }
}

/// Whether a character can carry marks that make one word with it.
pub(super) fn is_base(character: char) -> bool {
    character != '_' && is_word(Words::Letters, character)
}

/// Whether a character is a mark that takes no room of its own.
pub(super) fn is_mark(character: char) -> bool {
    static MARKS: LazyLock<Class> = LazyLock::new(|| Class::new(unicode_class("Mn")));
    !character.is_ascii() && MARKS.has(character)
}

/// The characters that Unicode gives a property, by a name of the `regex-syntax` crate.
pub(super) fn unicode_class(name: &str) -> Set {
    known(name).expect("the name is one of a table in this file")
}

fn known(name: &str) -> Option<Set> {
    let hir = regex_syntax::parse(&format!(r"\p{{{name}}}")).ok()?;
    match hir.kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            let ranges = class.iter().map(|range| (range.start().into(), range.end().into()));
            Some(Set::ranges(&ranges.collect::<Vec<_>>()))
        }
        // A class of one character.
        HirKind::Literal(literal) => Some(Set::chars(std::str::from_utf8(&literal.0).ok()?)),
        _ => None,
    }
}

fn alpha() -> Set {
    Set::ranges(&[(0x41, 0x5A), (0x61, 0x7A)])
}

fn alnum() -> Set {
    alpha().union(&Set::range(0x30, 0x39))
}

fn minus(set: Set, other: &Set) -> Set {
    set.intersection(other.clone().negated())
}

fn surrogates() -> Set {
    Set::range(0xD800, 0xDFFF)
}

fn assigned() -> Set {
    minus(unicode_class("Cn").negated(), &Set::default())
}

/// Names without a prefix: general categories, POSIX, Java's own.
fn plain(name: &str, sense: Sense) -> Option<Set> {
    if let Some(name) = name.strip_prefix("java") {
        return java(name, sense);
    }
    if sense.any_case && matches!(name, "Lu" | "Ll" | "Lt") {
        return Some(unicode_class("LC"));
    }
    if CATEGORIES.contains(&name) {
        return Some(unicode_class(name));
    }
    Some(match name {
        "Cs" => surrogates(),
        "C" => ["Cn", "Cc", "Cf", "Co"]
            .iter()
            .fold(surrogates(), |set, name| set.union(&unicode_class(name))),
        "LD" => unicode_class("L").union(&unicode_class("Nd")),
        "L1" => Set::range(0, 0xFF),
        "all" => Set::all(),
        "ASCII" => Set::range(0, 0x7F),
        "Lower" | "Upper" if sense.any_case => alpha(),
        "Lower" => Set::range(0x61, 0x7A),
        "Upper" => Set::range(0x41, 0x5A),
        "Alpha" => alpha(),
        "Digit" => digit(false),
        "Alnum" => alnum(),
        "Punct" => minus(Set::range(0x21, 0x7E), &alnum()),
        "Graph" => Set::range(0x21, 0x7E),
        "Print" => Set::range(0x20, 0x7E),
        "Blank" => Set::chars(" \t"),
        "Cntrl" => Set::ranges(&[(0, 0x1F), (0x7F, 0x7F)]),
        "XDigit" => Set::ranges(&[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)]),
        "Space" => space(false),
        _ => return None,
    })
}

/// `\p{java…}`: the methods of Java's `Character`.
fn java(name: &str, sense: Sense) -> Option<Set> {
    let all = |names: &[&str]| {
        names.iter().fold(Set::default(), |set, name| set.union(&unicode_class(name)))
    };
    let ignorable = || Set::ranges(&[(0, 8), (0xE, 0x1B), (0x7F, 0x9F)]).union(&all(&["Cf"]));
    Some(match name {
        "LowerCase" | "UpperCase" | "TitleCase" if sense.any_case => cased(),
        "LowerCase" => all(&["Lowercase"]),
        "UpperCase" => all(&["Uppercase"]),
        "TitleCase" => all(&["Lt"]),
        "Alphabetic" => all(&["Alphabetic"]),
        "Ideographic" => all(&["Ideographic"]),
        "Digit" => all(&["Nd"]),
        "Defined" => assigned(),
        "Letter" => all(&["L"]),
        "LetterOrDigit" => all(&["L", "Nd"]),
        "JavaIdentifierStart" => all(&["L", "Nl", "Sc", "Pc"]),
        "JavaIdentifierPart" => all(&["L", "Nl", "Sc", "Pc", "Nd", "Mn", "Mc"]).union(&ignorable()),
        "UnicodeIdentifierStart" => all(&["ID_Start"]),
        "UnicodeIdentifierPart" => all(&["ID_Continue"]).union(&ignorable()),
        "IdentifierIgnorable" => ignorable(),
        "SpaceChar" => all(&["Z"]),
        "Whitespace" => {
            let breaking = minus(all(&["Z"]), &Set::chars("\u{a0}\u{2007}\u{202f}"));
            breaking.union(&Set::ranges(&[(9, 0xD), (0x1C, 0x1F)]))
        }
        "ISOControl" => Set::ranges(&[(0, 0x1F), (0x7F, 0x9F)]),
        "Mirrored" => MIRRORED.lines().fold(Set::default(), |set, line| {
            set.union(&span(line).expect("every line is a range").0)
        }),
        _ => return None,
    })
}

fn cased() -> Set {
    unicode_class("Lowercase").union(&unicode_class("Uppercase")).union(&unicode_class("Lt"))
}

/// `\p{Is…}`: properties of Unicode, by their names in capitals.
fn property(name: &str, sense: Sense) -> Option<Set> {
    Some(match name {
        "ALPHABETIC" => unicode_class("Alphabetic"),
        "LETTER" => unicode_class("L"),
        "IDEOGRAPHIC" => unicode_class("Ideographic"),
        "LOWERCASE" | "UPPERCASE" | "TITLECASE" if sense.any_case => cased(),
        "LOWERCASE" => unicode_class("Lowercase"),
        "UPPERCASE" => unicode_class("Uppercase"),
        "TITLECASE" => unicode_class("Lt"),
        "WHITE_SPACE" | "WHITESPACE" => unicode_class("White_Space"),
        "CONTROL" => unicode_class("Cc"),
        "PUNCTUATION" => unicode_class("P"),
        "HEX_DIGIT" | "HEXDIGIT" => unicode_class("Nd").union(&unicode_class("Hex_Digit")),
        "ASSIGNED" => assigned(),
        "NONCHARACTER_CODE_POINT" | "NONCHARACTERCODEPOINT" => (0..=16)
            .fold(Set::range(0xFDD0, 0xFDEF), |set, plane| {
                set.union(&Set::range(plane << 16 | 0xFFFE, plane << 16 | 0xFFFF))
            }),
        "DIGIT" => unicode_class("Nd"),
        "ALNUM" => unicode_class("Alphabetic").union(&unicode_class("Nd")),
        "BLANK" => unicode_class("Zs").union(&Set::chars("\t")),
        "GRAPH" => minus(not_graph().negated(), &surrogates()),
        "PRINT" => {
            let graph = property("GRAPH", sense)?;
            minus(graph.union(&property("BLANK", sense)?), &unicode_class("Cc"))
        }
        "WORD" => word(true),
        "JOIN_CONTROL" | "JOINCONTROL" => unicode_class("Join_Control"),
        _ => return None,
    })
}

fn not_graph() -> Set {
    ["Z", "Cc", "Cn"].iter().fold(Set::default(), |set, name| set.union(&unicode_class(name)))
}

/// Names of POSIX under `(?U)`, in capitals.
fn posix(name: &str, sense: Sense) -> Option<Set> {
    property(
        match name {
            "ALPHA" => "ALPHABETIC",
            "LOWER" => "LOWERCASE",
            "UPPER" => "UPPERCASE",
            "SPACE" => "WHITE_SPACE",
            "PUNCT" => "PUNCTUATION",
            "XDIGIT" => "HEX_DIGIT",
            "CNTRL" => "CONTROL",
            "ALNUM" | "DIGIT" | "BLANK" | "GRAPH" | "PRINT" => name,
            _ => return None,
        },
        sense,
    )
}

/// A script, by its name or by its code.
fn script(name: &str) -> Option<Set> {
    let name = name.to_ascii_uppercase();
    let names = |line: &&str| line.split_once(' ').is_some_and(|(a, b)| a == name || b == name);
    let (_, name) = SCRIPTS.lines().find(names)?.split_once(' ')?;
    if name != "UNKNOWN" {
        return known(&format!("sc={name}"));
    }
    let unassigned = unicode_class("Cn").union(&unicode_class("Co"));
    Some(unassigned.union(&surrogates()))
}

/// A block: its name, that without spaces, or the name of Java's constant, in any case.
fn block(name: &str) -> Option<Set> {
    let name = name.to_ascii_uppercase();
    let is = |line: &str| -> Option<Set> {
        let (set, names) = span(line)?;
        let found = names.split('|').any(|block| {
            let block = block.to_ascii_uppercase();
            name == block
                || name == block.replace(' ', "")
                || name == block.replace([' ', '-'], "_")
        });
        found.then_some(set)
    };
    BLOCKS.lines().find_map(is)
}

/// The range at the start of a line, and what follows.
fn span(line: &str) -> Option<(Set, &str)> {
    let mut words = line.splitn(3, ' ');
    let mut point = || u32::from_str_radix(words.next()?, 16).ok();
    let set = Set::range(point()?, point()?);
    Some((set, words.next().unwrap_or_default()))
}
