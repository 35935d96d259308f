//! Catalogs: who says which metadata file is a table's newest.

#[cfg(feature = "remote")]
pub(crate) mod aws;
pub(crate) mod config;
#[cfg(feature = "remote")]
pub(crate) mod glue;
pub(crate) mod pointed;
#[cfg(feature = "remote")]
pub(crate) mod remote;
#[cfg(feature = "remote")]
pub(crate) mod rest;
#[cfg(feature = "remote")]
pub(crate) mod s3tables;
pub(crate) mod sqlite;

/// A part of an address.
#[cfg(feature = "remote")]
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let byte = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
