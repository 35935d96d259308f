//! Upper and lower case, one character for one, as Java's `Character` has them.

use std::sync::LazyLock;

use super::set::Set;

/// Flags that decide about case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// It matters.
    Strict,
    /// That of ASCII letters does not.
    Ascii,
    /// It does not.
    Unicode,
}

/// The upper case of a character.
fn upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        // Small Greek letters with iota subscript have capitals of their own, which are title
        // case; all others that become several letters have none.
        _ => match character {
            '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
                shifted(character, 8)
            }
            '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => shifted(character, 9),
            other => other,
        },
    }
}

fn shifted(character: char, by: u32) -> char {
    char::from_u32(u32::from(character) + by).expect("no surrogate is near")
}

/// The lower case of a character.
fn lower(character: char) -> char {
    // Alone in having a lower case of two: `i` and a dot above.
    if character == '\u{130}' { 'i' } else { character.to_lowercase().next().unwrap_or(character) }
}

/// What is the same for characters that differ in case.
pub(super) fn folded(character: char) -> char {
    lower(upper(character))
}

/// Whether two characters are the same but for the case of ASCII letters.
pub(super) fn same_ascii(a: char, b: char) -> bool {
    a.eq_ignore_ascii_case(&b)
}

/// Every character that some change of case changes, with its upper case and what it folds to.
static CASED: LazyLock<Vec<(char, char, char)>> = LazyLock::new(|| {
    let cased = (0..0x2_0000).filter_map(char::from_u32);
    let cased = cased.map(|c| (c, upper(c), folded(c)));
    cased.filter(|(c, upper, folded)| c != upper || c != folded).collect()
});

/// What a code point stands for.
pub(super) fn single(point: u32, case: Case) -> Set {
    let mut set = Set::one(point);
    let Some(character) = char::from_u32(point) else { return set };
    match case {
        Case::Strict => {}
        Case::Ascii => {
            set.add(character.to_ascii_lowercase().into());
            set.add(character.to_ascii_uppercase().into());
        }
        Case::Unicode => {
            let folded = folded(character);
            if folded != upper(character) {
                set = Set::one(folded.into());
                let same = CASED.iter().filter(|(_, _, other)| *other == folded);
                same.for_each(|(c, ..)| set.add((*c).into()));
            }
        }
    }
    set
}

/// What a range of code points stands for.
pub(super) fn range(first: u32, last: u32, case: Case) -> Set {
    let mut set = Set::range(first, last);
    let within = |c: char| (first..=last).contains(&u32::from(c));
    match case {
        Case::Strict => {}
        Case::Ascii => {
            let letters = ('A'..='Z').chain('a'..='z');
            let other_case =
                |c: char| within(c.to_ascii_lowercase()) || within(c.to_ascii_uppercase());
            letters.filter(|c| other_case(*c)).for_each(|c| set.add(c.into()));
        }
        Case::Unicode => {
            let same = CASED.iter().filter(|(_, upper, folded)| within(*upper) || within(*folded));
            same.for_each(|(c, ..)| set.add((*c).into()));
        }
    }
    set
}
