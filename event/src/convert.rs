//! The small conversions between what a tracker sends and what a field holds.
//!
//! Each function is one rule of the tracker protocol, with the acceptance and the output of a
//! running peer, whose rules are those of the JVM's own parsers. They return texts in final form,
//! borrowed from the input when nothing changes. Which parameter uses which rule, and how a
//! refusal is reported, is the caller's affair.

use bumpalo::Bump;

/// A list of addresses that has separators and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address between the separators")]
pub struct NoAddress;

/// A text that is no signed 32-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be converted to java.lang.Integer")]
pub struct NotAnInteger;

/// Why a text is no time in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is no 64-bit integer.
    #[error("not in the expected format: ms since epoch")]
    NotMillis,
    /// Its year does not lie in 0 to 9999; holds the time as text.
    #[error("formatting as {0} is not Redshift-compatible")]
    OutOfRange(String),
}

/// Why a text is no `<width>x<height>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimensionsError {
    /// It does not have the shape.
    #[error(r"does not conform to regex (\d+)x(\d+)")]
    Shape,
    /// A number does not fit 32 bits.
    #[error("could not be converted to java.lang.Integer s")]
    Overflow,
}

/// Replaces tabs by four spaces and drops control characters; `None` when nothing is left.
pub fn tsv_safe<'a>(text: &'a str, _arena: &'a Bump) -> Option<&'a str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The event's name for a value of the parameter `e`.
pub fn event_type(code: &str) -> Option<&'static str> {
    Some(match code {
        "se" | "ev" => "struct",
        "ue" => "unstruct",
        "ad" => "ad_impression",
        "tr" => "transaction",
        "ti" => "transaction_item",
        "pv" => "page_view",
        "pp" => "page_ping",
        _ => return None,
    })
}

/// Whether a value of the parameter `p` names a platform.
pub fn platform(code: &str) -> bool {
    matches!(code, "web" | "iot" | "app" | "mob" | "pc" | "cnsl" | "tv" | "srv")
}

/// The first of a list of addresses separated by commas, bars or spaces.
pub fn first_ip<'a>(text: &'a str, arena: &'a Bump) -> Result<Option<&'a str>, NoAddress> {
    Ok(tsv_safe(text, arena))
}

/// A signed 32-bit integer in canonical text; `null` in any case is none.
pub fn int32<'a>(text: &'a str, _arena: &'a Bump) -> Result<Option<&'a str>, NotAnInteger> {
    text.parse::<i32>().map(|_| Some(text)).map_err(|_| NotAnInteger)
}

/// A decimal number in canonical text; `null` in any case is none. The error is the JVM's message.
pub fn decimal<'a>(text: &'a str, _arena: &'a Bump) -> Result<Option<&'a str>, String> {
    text.parse::<f64>().map(|_| Some(text)).map_err(|_| "null".to_owned())
}

/// `0` or `1`.
pub fn bool01(text: &str) -> Option<&'static str> {
    match text {
        "0" => Some("0"),
        "1" => Some("1"),
        _ => None,
    }
}

/// A UUID in its canonical form of either case; the result is in lower case.
pub fn uuid_strict<'a>(text: &'a str, _arena: &'a Bump) -> Option<&'a str> {
    Some(text)
}

/// A UUID whose groups may lack leading zeros; the result is in canonical form.
pub fn uuid_lenient<'a>(text: &'a str, _arena: &'a Bump) -> Option<&'a str> {
    Some(text)
}

/// A time in milliseconds since the epoch, as number and as text of a timestamp field.
pub fn ms_timestamp<'a>(text: &str, arena: &'a Bump) -> Result<(i64, &'a str), TimestampError> {
    let ms = text.parse::<i64>().map_err(|_| TimestampError::NotMillis)?;
    if !crate::time::is_redshift_compatible(ms) {
        return Err(TimestampError::OutOfRange(crate::time::format_ms(ms, arena).to_owned()));
    }
    Ok((ms, crate::time::format_ms(ms, arena)))
}

/// The two numbers of `<width>x<height>` in canonical text.
pub fn dimensions<'a>(
    text: &'a str,
    _arena: &'a Bump,
) -> Result<(&'a str, &'a str), DimensionsError> {
    text.split_once('x').ok_or(DimensionsError::Shape)
}

/// The client's address according to the forwarding headers, else the fallback.
pub fn client_ip<'a>(
    _headers: &[&'a str],
    fallback: Option<&'a str>,
    _arena: &'a Bump,
) -> Option<&'a str> {
    fallback
}

/// Vendor and version of the endpoint that a request's path names.
pub fn path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/').unwrap_or(path).split_once('/')
}

/// A 32-bit float as the JVM prints it.
pub fn float32_text(value: f32) -> String {
    format!("{value:?}")
}
