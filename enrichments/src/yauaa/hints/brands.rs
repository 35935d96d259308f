//! Lists of brands: `"Chromium";v="120", "Not_A Brand";v="8"`.

/// A brand with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::yauaa) struct Brand {
    pub(in crate::yauaa) name: String,
    pub(in crate::yauaa) version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name or a version without odd characters.
    Plain,
    /// One that is there to keep readers honest.
    Odd,
    Semicolon,
    V,
    Equals,
    Comma,
    Other,
    End,
}

/// Reads a list, without the brands that are odd or broken.
pub(super) fn read(text: &str) -> Vec<Brand> {
    let mut tokens = tokens(text);
    tokens.push((Kind::End, ""));
    tokens.push((Kind::End, ""));
    let (mut brands, mut at) = (Vec::new(), 0);
    loop {
        brands.extend(brand(&tokens, &mut at));
        while !matches!(tokens[at].0, Kind::Comma | Kind::End) {
            at += 1;
        }
        if tokens[at].0 == Kind::End {
            return brands;
        }
        at += 1;
    }
}

/// One brand; tokens in its way are passed over one at a time, as far as that helps.
fn brand(tokens: &[(Kind, &str)], at: &mut usize) -> Option<Brand> {
    let starts = |kind: Kind| matches!(kind, Kind::Plain | Kind::Odd);
    if !starts(tokens[*at].0) {
        if !starts(tokens.get(*at + 1)?.0) {
            return None;
        }
        *at += 1;
    }
    if tokens[*at].0 == Kind::Odd {
        return None;
    }
    let mut take = |kind: Kind| {
        if tokens[*at].0 != kind {
            if tokens[*at].0 == Kind::End || tokens[*at + 1].0 != kind {
                return None;
            }
            *at += 1;
        }
        *at += 1;
        Some(tokens[*at - 1].1)
    };
    let name = take(Kind::Plain)?.to_owned();
    take(Kind::Semicolon)?;
    take(Kind::V)?;
    take(Kind::Equals)?;
    let version = take(Kind::Plain)?.to_owned();
    Some(Brand { name, version })
}

fn tokens(text: &str) -> Vec<(Kind, &str)> {
    let (mut tokens, mut rest, mut inside) = (Vec::new(), text, false);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        let mut kind = match first {
            '"' => {
                inside = !inside;
                None
            }
            ',' if !inside => Some(Kind::Comma),
            ';' if !inside => Some(Kind::Semicolon),
            '=' if !inside => Some(Kind::Equals),
            _ => None,
        };
        let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
        if inside && first != '"' {
            let odd = run(|c| c.is_ascii_alphanumeric() || is_odd(c));
            let plain = run(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-'));
            let plain = if first.is_ascii_alphanumeric() { plain } else { 0 };
            length = length.max(odd);
            if odd > 0 {
                let honest = odd == plain && !keeps_readers_honest(&rest[..odd]);
                kind = Some(if honest { Kind::Plain } else { Kind::Odd });
            }
        } else if first.is_ascii_alphanumeric() {
            length = run(|c| c.is_ascii_alphanumeric());
            kind = Some(if &rest[..length] == "v" { Kind::V } else { Kind::Other });
        }
        if let Some(kind) = kind {
            tokens.push((kind, &rest[..length]));
        }
        rest = &rest[length..];
    }
    tokens
}

fn is_odd(c: char) -> bool {
    "()/:;=?_. -".contains(c)
}

/// Whether a text is `Not A Brand` with whatever between its words.
fn keeps_readers_honest(text: &str) -> bool {
    let mut rest = text;
    for word in ["Not", "A", "Brand"] {
        match rest.trim_start_matches(is_odd).strip_prefix(word) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.trim_start_matches(is_odd).is_empty()
}
