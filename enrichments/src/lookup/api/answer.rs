//! What is taken from the answer of an API.

use event::reason::Words;
use event::{Bump, json};

use super::{Answer, Output};
use crate::lookup::Found;

/// The longest message of a failure, in characters, by the schema of bad rows.
const LONGEST_MESSAGE: usize = 511;

/// What the outputs take from a body, or why they cannot; the error is about the body.
pub(super) fn read(body: &str, outputs: &[Output]) -> Result<Answer, Words> {
    let arena = Bump::new();
    let compact = match json::compact(body, &arena) {
        Ok(compact) => compact,
        Err(_) if body.trim().is_empty() => {
            return Err("No content to map due to end-of-input".into());
        }
        Err(error) => return Err(Words::own(format!("not JSON: {error}"))),
    };
    let plain = match numbers(compact) {
        Ok(plain) => plain,
        Err(number) => {
            let why = format!("({number}) out of range of long");
            return Err(short("Numeric value ".into(), &why));
        }
    };
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for output in outputs {
        match output.take(&plain) {
            Ok(data) => found.push(Found::new(&output.schema, data)),
            Err(words) => failed.push(words),
        }
    }
    Ok(if failed.is_empty() { Answer::Found(found.into()) } else { Answer::Failed(failed.into()) })
}

impl Output {
    fn take(&self, json: &str) -> Result<String, Words> {
        let path = self
            .path
            .as_ref()
            .map_err(|why| Words::own(format!("API Request enrichment:JSONPath error {why}")))?;
        match path.values(json)[..] {
            [] | ["[]"] => {
                let path = &self.path_text;
                let own = format!(
                    "API Request enrichment:Value not found Error: no values were found by JSON \
                     Path [{path}] in "
                );
                Err(short(own, &format!("[{json}]")))
            }
            [one] => Ok(one.to_owned()),
            ref many => Ok(format!("[{}]", many.join(","))),
        }
    }
}

/// Words that quote an answer, as far as bad rows hold them.
fn short(own: String, quoted: &str) -> Words {
    let room = LONGEST_MESSAGE.saturating_sub(own.chars().count());
    let quoted: String = quoted.chars().take(room).collect();
    Words::quoting(own, quoted)
}

/// Compact JSON with its numbers in a peer's form; the error is a whole number of more than 64
/// bits, which a peer does not read.
fn numbers(json: &str) -> Result<String, &str> {
    let bytes = json.as_bytes();
    let (mut out, mut copied, mut at) = (String::with_capacity(json.len()), 0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at += json::value_length(&json[at..]),
            b'-' | b'0'..=b'9' => {
                let end = bytes[at..].iter().position(|b| matches!(b, b',' | b']' | b'}'));
                let end = end.map_or(bytes.len(), |length| at + length);
                out.push_str(&json[copied..at]);
                out.push_str(&number(&json[at..end]).ok_or(&json[at..end])?);
                (at, copied) = (end, end);
            }
            _ => at += 1,
        }
    }
    out.push_str(&json[copied..]);
    Ok(out)
}

/// A number without zeros that say nothing: `1.0` is `1`, `1e3` is `1000`.
fn number(text: &str) -> Option<String> {
    /// Digits that a whole number is written out with; more than one of 64 bits has.
    const DIGITS: i64 = 19;
    if !text.contains(['.', 'e', 'E']) {
        return text.parse::<i64>().ok().map(|whole| whole.to_string());
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i32>() else {
        return Some(text.to_owned());
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let zeros = (digits.len() - kept.len()) as i64;
    // The value is the digits times ten to the minus scale.
    let scale = fraction.len() as i64 - i64::from(exponent) - zeros;
    let digits = kept.trim_start_matches('0');
    let count = digits.len() as i64;
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let leading = count - scale - 1;
    Some(if scale <= 0 && count - scale <= DIGITS {
        format!("{sign}{digits}{}", "0".repeat(-scale as usize))
    } else if scale > 0 && leading >= -6 {
        let (point, missing) = ((count - scale).max(0) as usize, (scale - count).max(0) as usize);
        let (whole, fraction) = digits.split_at(point);
        let whole = if whole.is_empty() { "0" } else { whole };
        format!("{sign}{whole}.{}{fraction}", "0".repeat(missing))
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if leading > 0 { "+" } else { "" };
        format!("{sign}{first}{point}{rest}E{plus}{leading}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_a_peer_writes_them() {
        for (given, expected) in [
            ("1.0", "1"),
            ("1e3", "1000"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.10", "0.1"),
            ("1E-7", "1E-7"),
            ("-12.5E-9", "-1.25E-8"),
            ("0.000001", "0.000001"),
            ("50.9", "50.9"),
            ("120.50", "120.5"),
            ("9223372036854775807", "9223372036854775807"),
            ("1e30", "1E+30"),
            ("1.25e1", "12.5"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(number(given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(number("9223372036854775808"), None);
        let json = r#"{"a":[1.0,"1.0 \" 2.0",{"b":-3.50}],"c":1e2}"#;
        let plain = r#"{"a":[1,"1.0 \" 2.0",{"b":-3.5}],"c":100}"#;
        assert_eq!(numbers(json).as_deref(), Ok(plain));
        assert_eq!(numbers(r#"{"e":9223372036854775808}"#), Err("9223372036854775808"));
        assert_eq!(numbers("7.0").as_deref(), Ok("7"));
    }
}
