//! Comments that only repeat the name below them say nothing, and who reads them learns to read
//! none.

use super::{none, sources};

/// Words that add nothing to a name.
const FILLING: [&str; 10] = ["a", "all", "an", "it", "its", "of", "the", "their", "this", "these"];

#[test]
fn comments_say_more_than_names() {
    none(sources().flat_map(|(file, text)| {
        let lines: Vec<&str> = text.lines().collect();
        let empty = (0..lines.len()).filter(|at| says_nothing(&lines, *at));
        let told = empty.map(|at| format!("{}:{}: {}", file.path, at + 1, lines[at].trim()));
        told.collect::<Vec<_>>()
    }));
}

#[test]
fn empty_comments_are_seen() {
    for (text, expected) in [
        ("/// The shard.\npub shard: ShardId,", true),
        ("/// Its name.\n#[must_use]\npub fn name(&self) -> &str {", true),
        ("/// The strings.\nstring: Names,", true),
        ("/// The shard that is read.\npub shard: ShardId,", false),
        ("/// `null`.\nNull,", false),
        ("/// Reads it.\n/// The shard.\npub shard: ShardId,", false),
        ("/// The shard.\n///\n/// More.\npub shard: ShardId,", false),
    ] {
        assert_eq!(says_nothing(&text.lines().collect::<Vec<_>>(), 0), expected, "{text}");
    }
}

/// Whether a comment of one line has no word that is not in the name below it. Names on the wire,
/// in backquotes, say something.
fn says_nothing(lines: &[&str], at: usize) -> bool {
    let comment = |line: &str| line.trim_start().strip_prefix("///").map(str::to_owned);
    let Some(said) = comment(lines[at]) else { return false };
    let before = at.checked_sub(1).and_then(|before| comment(lines[before]));
    let mut below = lines[at + 1..].iter().skip_while(|line| line.trim_start().starts_with("#["));
    let Some(below) = below.next() else { return false };
    if before.is_some() || comment(below).is_some() || said.contains('`') {
        return false;
    }
    let name = below.trim_start().split([':', '(', '<', '{', ',', '=']).next().unwrap_or_default();
    let name = words(name.split_whitespace().last().unwrap_or_default());
    let said = words(&said).into_iter().filter(|word| !FILLING.contains(&word.as_str()));
    let said: Vec<String> = said.collect();
    !said.is_empty() && said.iter().all(|word| name.contains(word))
}

/// The words of a text or a name, in lower case and without the end of a plural.
fn words(text: &str) -> Vec<String> {
    let mut apart = String::new();
    for character in text.chars() {
        if character.is_uppercase() && apart.ends_with(char::is_lowercase) {
            apart.push(' ');
        }
        apart.extend(character.to_lowercase());
    }
    let words = apart.split(|character: char| !character.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| word.strip_suffix('s').unwrap_or(word).to_owned()).collect()
}
