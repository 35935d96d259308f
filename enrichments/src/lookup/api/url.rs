//! URLs of an API with places for inputs: `https://api.acme.com/users/{{user}}?app={{ app }}`.

use std::fmt::Write;

/// A URL with places.
#[derive(Clone)]
pub(super) struct Template {
    /// None where it holds a brace that no place accounts for: such a URL is never asked.
    pieces: Option<Vec<Piece>>,
    /// The first place that no input fills.
    unfilled: Option<String>,
    /// Whether it is known by reference only.
    secret: bool,
}

#[derive(Clone)]
enum Piece {
    Text(String),
    Input(String),
}

impl std::fmt::Debug for Template {
    /// It may hold a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Template {
    /// Reads a URL. Places of other names than those of inputs stay as they are.
    /// It is a secret where it was given by reference.
    pub(super) fn read<'n>(
        (text, secret): (&str, bool),
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Template {
        let (mut pieces, mut plain, mut unfilled) = (Vec::new(), String::new(), None);
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            let (before, place) = rest.split_at(at);
            plain.push_str(before);
            let inside = place[2..].trim_start_matches(' ');
            let name = inside.find(['}', '{', ' ']).map_or("", |end| &inside[..end]);
            let after = inside[name.len()..].trim_start_matches(' ').strip_prefix("}}");
            match after {
                Some(after) if names.clone().any(|known| known == name) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Input(name.to_owned()));
                    rest = after;
                }
                _ => {
                    unfilled = unfilled.or(Some(name.to_owned()));
                    plain.push('{');
                    rest = &place[1..];
                }
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        let braces =
            |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['{', '}']));
        let sound = !pieces.iter().any(braces);
        Template { pieces: sound.then_some(pieces), unfilled, secret }
    }

    /// Whether it must not be shown.
    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// Why it is never asked, if that is so.
    pub(super) fn never_filled(&self) -> Option<String> {
        let why = match &self.unfilled {
            Some(name) if !name.is_empty() => format!("no input has the key {name:?}"),
            _ => "it has a brace that belongs to no key".to_owned(),
        };
        self.pieces.is_none().then_some(why)
    }

    /// Scheme and host, with a slash behind them, if no input is in them.
    pub(super) fn origin(&self) -> Option<String> {
        let Piece::Text(text) = self.pieces.as_ref()?.first()? else { return None };
        let host = text.find("://")? + 3;
        let end = text[host..].find(['/', '?', '#']);
        match end {
            Some(end) => Some(format!("{}/", &text[..host + end])),
            None => (self.pieces.as_ref()?.len() == 1).then(|| format!("{text}/")),
        }
    }

    /// The URL with the inputs in their places.
    pub(super) fn fill(&self, inputs: &[(&str, String)]) -> Option<String> {
        let mut url = String::new();
        for piece in self.pieces.as_ref()? {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Input(name) => {
                    let (_, value) = inputs.iter().find(|(input, _)| input == name)?;
                    escape(value, &mut url);
                }
            }
        }
        Some(url)
    }
}

/// Escapes a text as forms do, in the way of a peer: `*` stays and `~` does not.
fn escape(text: &str, url: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                url.push(byte.into());
            }
            b' ' => url.push('+'),
            _ => write!(url, "%{byte:02X}").expect("a string takes everything"),
        }
    }
}

/// Whether a text has only what a URL may have, and no way up: a value of dots alone would name
/// another path than the configuration does.
pub(super) fn is_valid(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return false;
    }
    let hex = |at: usize| url.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    url.bytes().enumerate().all(|(at, byte)| match byte {
        b'%' => hex(at + 1) && hex(at + 2),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        _ => byte.is_ascii_graphic(),
    })
}
