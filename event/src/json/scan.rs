//! Byte scanning inside JSON texts.

use bumpalo::Bump;

/// Bytes that end a run of plain string content: quote, backslash, control characters, DEL, and
/// 0xC2, which may lead one of the control characters U+0080 to U+009F.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7f] = true;
    table[0xc2] = true;
    table
};

/// The index of the first special byte at or after `from`.
pub(super) fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    #[cfg(target_arch = "x86_64")]
    while let Some(chunk) = bytes.get(at..at + 16) {
        let chunk = chunk.try_into().expect("the chunk has sixteen bytes");
        // SAFETY: every processor of this architecture has SSE2.
        let found = unsafe { special_mask(chunk) };
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += 16;
    }
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the chunk has eight bytes"));
        let found = special_lanes(word);
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    (at..bytes.len()).find(|&index| SPECIAL[usize::from(bytes[index])])
}

/// A bit for each special byte.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn special_mask(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };
    let (low, high) = chunk.split_at(8);
    let half = |half: &[u8]| i64::from_le_bytes(half.try_into().expect("it has eight bytes"));
    let lanes = _mm_set_epi64x(half(high), half(low));
    let equal = |byte: u8| _mm_cmpeq_epi8(lanes, _mm_set1_epi8(byte as i8));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(lanes, _mm_set1_epi8(0x1f)), lanes);
    let quotes = _mm_or_si128(equal(b'"'), equal(b'\\'));
    let others = _mm_or_si128(equal(0x7f), equal(0xc2));
    _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quotes, others))) as u32
}

/// Marks with its top bit the lowest lane that holds a special byte; lanes above the first one
/// marked may be marked wrongly, as borrows run upwards.
const fn special_lanes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    const fn equal(word: u64, byte: u8) -> u64 {
        let difference = word ^ (ONES * byte as u64);
        difference.wrapping_sub(ONES) & !difference & TOPS
    }
    let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    control | equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f) | equal(word, 0xc2)
}

/// The control character (U+0000 to U+001F, U+007F to U+009F) that starts at an index.
pub(super) fn control_at(bytes: &[u8], at: usize) -> Option<u8> {
    match bytes[at] {
        byte @ (0..0x20 | 0x7f) => Some(byte),
        0xc2 => bytes.get(at + 1).copied().filter(|next| (0x80..0xa0).contains(next)),
        _ => None,
    }
}

/// The length of the value that a text in compact form starts with.
pub(super) fn value_end(bytes: &[u8]) -> usize {
    match bytes[0] {
        b'"' => string_end(bytes, 0),
        b'{' | b'[' => container_end(bytes),
        _ => bytes.iter().position(|b| matches!(b, b',' | b'}' | b']')).unwrap_or(bytes.len()),
    }
}

/// The index just after the string whose opening quote is at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let found = memchr::memchr2(b'"', b'\\', &bytes[at..]).expect("the string is closed") + at;
        if bytes[found] == b'"' {
            return found + 1;
        }
        at = found + 2;
    }
}

fn container_end(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Resolves the escapes of a valid string's inside.
pub(super) fn unescape<'a>(inside: &'a str, arena: &'a Bump) -> &'a str {
    let Some(first) = memchr::memchr(b'\\', inside.as_bytes()) else {
        return inside;
    };
    let mut out = bumpalo::collections::String::with_capacity_in(inside.len(), arena);
    let (mut rest, mut escape) = (inside, first);
    loop {
        out.push_str(&rest[..escape]);
        let (character, length) = escaped(&rest.as_bytes()[escape..]);
        out.push(character);
        rest = &rest[escape + length..];
        match memchr::memchr(b'\\', rest.as_bytes()) {
            Some(next) => escape = next,
            None => break,
        }
    }
    out.push_str(rest);
    out.into_bump_str()
}

/// The character that a valid escape stands for, and the escape's length. Half of a surrogate
/// pair on its own stands for `?`, as it does wherever a peer encodes it.
pub(super) fn escaped(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes[1] {
        b'u' => return unicode_escape(bytes),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(other),
    };
    (simple, 2)
}

fn unicode_escape(bytes: &[u8]) -> (char, usize) {
    let first = hex4(&bytes[2..6]);
    if let Some(character) = char::from_u32(first) {
        return (character, 6);
    }
    let low = match bytes.get(6..12) {
        Some([b'\\', b'u', digits @ ..]) if digits.iter().all(u8::is_ascii_hexdigit) => {
            hex4(digits)
        }
        _ => 0,
    };
    if first < 0xdc00 && (0xdc00..0xe000).contains(&low) {
        let code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).expect("a surrogate pair is a character"), 12);
    }
    ('?', 6)
}

/// Four hexadecimal digits, already checked.
fn hex4(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |value, digit| value << 4 | char::from(*digit).to_digit(16).unwrap_or_default())
}
