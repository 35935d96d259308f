//! Which characters may stand where in a URL, by RFC 2396 as the JVM's `java.net.URI` extends it:
//! characters outside ASCII are legal almost everywhere, and square brackets in queries.

/// A set of ASCII characters; [`scan`] adds escapes and characters outside ASCII to it.
#[derive(Clone, Copy)]
pub(crate) struct Class(u8);

impl Class {
    /// Letters.
    pub(crate) const ALPHA: Class = Class(1);
    /// Letters and digits.
    pub(crate) const ALPHANUM: Class = Class(1 << 1);
    /// A scheme after its first letter.
    pub(crate) const SCHEME: Class = Class(1 << 2);
    /// A name and password before the host.
    pub(crate) const USERINFO: Class = Class(1 << 3);
    /// An authority that may be a host.
    pub(crate) const SERVER: Class = Class(1 << 4);
    /// An authority that is not necessarily a host.
    pub(crate) const REGISTRY: Class = Class(1 << 5);
    /// What may stand in a path.
    pub(crate) const PATH: Class = Class(1 << 6);
    /// A query, a fragment, or all that follows the scheme where no slash does.
    pub(crate) const URIC: Class = Class(1 << 7);

    /// Whether a byte is a character of the set.
    pub(crate) const fn has(self, byte: u8) -> bool {
        CLASSES[byte as usize] & self.0 != 0
    }
}

/// For each byte the classes it belongs to.
static CLASSES: [u8; 256] = {
    const UNRESERVED: &[u8] = b"-_.!~*'()";
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        let alphanum = c.is_ascii_alphanumeric();
        let unreserved = alphanum || among(c, UNRESERVED);
        let members = [
            c.is_ascii_alphabetic(),
            alphanum,
            alphanum || among(c, b"+-."),
            unreserved || among(c, b";:&=+$,"),
            unreserved || among(c, b";:&=+$,@[]%"),
            unreserved || among(c, b"$,;:@&=+"),
            unreserved || among(c, b":@&=+$,;/"),
            unreserved || among(c, b";/?:@&=+$,[]"),
        ];
        let mut class = 0;
        while class < 8 {
            classes[byte] |= (members[class] as u8) << class;
            class += 1;
        }
        byte += 1;
    }
    classes
};

const fn among(byte: u8, set: &[u8]) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// The position of a percent sign without two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedEscape(pub(crate) usize);

/// What is wrong with a URL, and where in bytes.
pub(super) type Flaw = (&'static str, usize);

impl From<MalformedEscape> for Flaw {
    fn from(MalformedEscape(at): MalformedEscape) -> Flaw {
        ("Malformed escape pair", at)
    }
}

/// The end of the run of characters from `start` on that belong to the class, are escapes, or are
/// visible and outside ASCII.
pub(crate) fn scan(text: &str, start: usize, class: Class) -> Result<usize, MalformedEscape> {
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            byte if class.has(*byte) => 1,
            b'%' if is_escape(&bytes[at..]) => 3,
            b'%' => return Err(MalformedEscape(at)),
            0x80.. => match text[at..].chars().next().filter(|c| is_visible(*c)) {
                Some(c) => c.len_utf8(),
                None => break,
            },
            _ => break,
        };
    }
    Ok(at)
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Whether a character outside ASCII is neither a control character nor a space.
fn is_visible(c: char) -> bool {
    !matches!(c,
        '\u{80}'..='\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}'
        | '\u{202f}' | '\u{205f}' | '\u{3000}')
}
