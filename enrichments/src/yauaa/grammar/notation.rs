//! The grammar as it is written down, and how to read that: words with a capital are kinds of
//! tokens, others are rules; `?`, `*` and `+` repeat as usual.

use super::{KINDS, RULES, Rule, Set};

const GRAMMAR: &str = "
user_agent =
  (Semicolon | Comma | Minus | Backslash | Equals | BraceOpen | BlockOpen)*
  ((Semicolon | Comma | Minus)? (product | root_elements))*
  (Semicolon | Comma | Minus | Backslash | Equals | BraceClose | BlockClose)*
root_elements = key_value | site_url | email_address | uu_id | root_text
root_text = Version | Word+ | Gibberish | Minus
product =
    product_name product_version+
      (Colon? (Slash+ | Minus | At) Equals? (version_with_commas | version_single_word) Comma?)*
      ((Slash | At)? (Semicolon | Minus)? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)*
      (Slash Eof)?
  | product_name ((Slash | At)? (Semicolon | Minus)? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)+
      (Slash Eof)?
  | product_name (Colon? (Slash+ | At) version_words
        ((Slash | At)* version_with_commas Comma?)*
        (Slash | At)? (Semicolon | Minus)? comment_block?)+
      (Slash Eof)?
  | product_name (Colon? (Slash+ | Minus | At) Equals?
        (version_with_commas | version_single_word) Comma?)+
      ((Slash | At)? (Semicolon | Minus)? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)*
      (Slash Eof)?
  | product_name (Slash Eof)
comment_product =
    product_name version_with_commas+
      ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*
      ((Slash | At)? Minus? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)*
  | product_name ((Slash | At)? Minus? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)+
  | product_name (Colon? (Slash+ | Minus | At) version_words
        ((Slash | At)* version_with_commas Comma?)*)+
      (Minus? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)*
  | product_name ((Slash+ | Minus | At) Equals? (version_with_commas) Comma?)+
      (Minus? comment_block
        ((Slash | At)+ Equals? (version_with_commas | version_single_word) Comma?)*)*
version_words = Word (Minus? Word)* | Variable | SpecialVersion
product_name =
    name_key_value | name_email | name_url | name_version | name_uuid | name_words
name_words =
    Word (Minus* Word)*
  | (Word ((Minus | Comma)* Word)*)? CurlyOpen Word ((Minus | Comma)* Word)* CurlyClose
    (Word ((Minus | Comma)* Word)*)?
product_version =
    key_value | email_address | site_url | uu_id | base64 | single_version | SpecialVersion
version_with_commas =
    key_value | email_address | site_url | uu_id | base64 | single_version_with_commas
  | SpecialVersion | CurlyOpen key_value (Comma key_value)* CurlyClose
version_single_word = Word | CurlyOpen Word CurlyClose
single_version = Version
single_version_with_commas = Version (Comma Version)*
name_version = Version (Minus? Word)*
name_email = email_address
name_url = site_url
name_uuid = uu_id
uu_id = Uuid | CurlyOpen Uuid CurlyClose
email_address = Email | CurlyOpen Email CurlyClose
site_url = Url | CurlyOpen Url CurlyClose
base64 = Base64 | CurlyOpen Base64 CurlyClose
comment_separator = Semicolon | Comma
comment_block =
    (BraceOpen comment_entry (comment_separator comment_entry)* (BraceClose | Eof))
  | (BlockOpen comment_entry (comment_separator comment_entry)* (BlockClose | Eof))
comment_entry =
    (empty_word)
  | CurlyOpen CurlyClose
  | (Variable*
      ( comment_product | key_value | uu_id | site_url | email_address | text_versions | base64
      | CurlyOpen comment_product CurlyClose
      | CurlyOpen key_value CurlyClose
      | CurlyOpen uu_id CurlyClose
      | CurlyOpen site_url CurlyClose
      | CurlyOpen email_address CurlyClose
      | CurlyOpen multiple_words CurlyClose
      | CurlyOpen text_versions CurlyClose
      | CurlyOpen base64 CurlyClose
      | comment_block)
      (Minus*))+
    ( multiple_words | name_no_version | key_without_value
    | CurlyOpen name_no_version CurlyClose
    | CurlyOpen key_without_value CurlyClose)?
  | ( multiple_words | name_no_version | key_without_value
    | CurlyOpen name_no_version CurlyClose
    | CurlyOpen key_without_value CurlyClose)
name_key_value = key_name
    ((Colon | Equals)+
      (uu_id | site_url | email_address | multiple_words | base64 | key_value_product_version))+
name_no_version = product_name Slash
key_value_product_version = Version (Slash Word)* | Version
key_value = key_name
    ((Colon | Equals)+
      ( (CurlyOpen
          (uu_id | site_url | email_address | multiple_words | base64 | key_value_version)
        CurlyClose)
      | (uu_id | site_url | email_address | multiple_words | base64 | key_value_version)))+
key_without_value = key_name (Colon | Equals)+
key_value_version = Version
key_name = Word (Minus Word)* | Version
empty_word = | Minus
multiple_words = (Minus* Word)+ Minus* | Word* Gibberish Word* | Minus | Variable
text_versions = Version+ | SpecialVersion
";

const KIND_NAMES: [&str; KINDS] = [
    "Eof",
    "Backslash",
    "Email",
    "CurlyOpen",
    "CurlyClose",
    "BraceOpen",
    "BraceClose",
    "BlockOpen",
    "BlockClose",
    "Semicolon",
    "Colon",
    "Comma",
    "Slash",
    "Equals",
    "Minus",
    "Uuid",
    "Url",
    "SpecialVersion",
    "Variable",
    "Gibberish",
    "At",
    "Word",
    "Version",
    "Base64",
];

/// An expression of the grammar.
pub(super) enum Ast {
    Tokens(Set),
    Rule(Rule),
    Sequence(Vec<Ast>),
    Either(Vec<Ast>),
    Optional(Box<Ast>),
    Star(Box<Ast>),
    Plus(Box<Ast>),
}

/// The words of the grammar.
pub(super) fn words() -> Vec<&'static str> {
    GRAMMAR.split_whitespace().flat_map(split_marks).collect()
}

pub(super) fn alternatives(ast: &Ast) -> &[Ast] {
    match ast {
        Ast::Either(parts) => parts,
        one => std::slice::from_ref(one),
    }
}

/// Cuts a word of [`GRAMMAR`] at its marks.
fn split_marks(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(|c| "()?*+".contains(c)).flat_map(|part| {
        let mark = part.find(|c| "()?*+".contains(c)).unwrap_or(part.len());
        let (name, mark) = part.split_at(mark);
        [name, mark].into_iter().filter(|part| !part.is_empty())
    })
}

pub(super) fn read_either(words: &[&str], at: &mut usize) -> Ast {
    let mut parts = vec![read_sequence(words, at)];
    while words.get(*at) == Some(&"|") {
        *at += 1;
        parts.push(read_sequence(words, at));
    }
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let sets = parts.iter().map(|part| match part {
        Ast::Tokens(set) => Some(*set),
        _ => None,
    });
    match sets.collect::<Option<Vec<_>>>() {
        Some(sets) => Ast::Tokens(sets.iter().fold(0, |all, set| all | set)),
        None => Ast::Either(parts),
    }
}

fn read_sequence(words: &[&str], at: &mut usize) -> Ast {
    let mut parts = Vec::new();
    while let Some(word) = words.get(*at) {
        if ["|", ")"].contains(word) || words.get(*at + 1) == Some(&"=") {
            break;
        }
        *at += 1;
        let mut part = if *word == "(" {
            let part = read_either(words, at);
            *at += 1;
            part
        } else if let Some(kind) = KIND_NAMES.iter().position(|name| name == word) {
            Ast::Tokens(1 << kind)
        } else {
            let known = RULES.iter().find(|(_, name)| name == word);
            Ast::Rule(known.unwrap_or_else(|| panic!("{word} is a rule")).0)
        };
        let mark = words.get(*at).copied();
        if let Some(mark @ ("?" | "*" | "+")) = mark {
            *at += 1;
            let boxed = Box::new(part);
            part = match mark {
                "?" => Ast::Optional(boxed),
                "*" => Ast::Star(boxed),
                _ => Ast::Plus(boxed),
            };
        }
        parts.push(part);
    }
    if parts.len() == 1 { parts.remove(0) } else { Ast::Sequence(parts) }
}
