//! What is let pass that a peer's defaults refuse, as the command line names it.

use enrichments::limits::Limits;
use event::Field;

use crate::config::explain;
use pipeline::load::RecordEncoding;
use pipeline::{Lengths, Settings};

/// Flags by which the transform is told to be more lenient or stricter.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Tolerance {
    /// Enrich events whose fields are longer than the atomic schema allows.
    #[arg(long)]
    accept_invalid: bool,
    /// Allow a column to be so long, in UTF-16 code units, instead of what the atomic schema
    /// allows: app_id=100. May be given for many columns.
    #[arg(long = "limit", value_name = "COLUMN=LENGTH", value_parser = limit)]
    limits: Vec<(Field, u32)>,
    /// Take records that are not Thrift as Base64 of it.
    #[arg(long)]
    base64: bool,
}

impl Tolerance {
    /// Changes the settings that the flags are about.
    pub fn apply(&self, settings: &mut Settings) {
        if self.accept_invalid {
            settings.lengths = Lengths::Accepted;
        }
        if self.base64 {
            settings.record_encoding = RecordEncoding::PlainOrBase64;
        }
        for (field, limit) in &self.limits {
            settings.limits.set(*field, *limit);
        }
    }
}

fn limit(text: &str) -> Result<(Field, u32), String> {
    let expected = "expected a column and a length, app_id=100";
    let (column, length) = text.split_once('=').ok_or(expected)?;
    let field = Limits::field(column).map_err(|error| explain(&error.to_string()))?;
    let length = length.parse().ok().filter(|length| *length > 0);
    Ok((field, length.ok_or_else(|| format!("expected a length above 0, found `{text}`"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_a_column_of_text_and_a_length() {
        assert_eq!(limit("tr_currency=5"), Ok((Field::TrCurrency, 5)));
        for (text, error) in [
            ("app_id", "expected a column and a length, app_id=100"),
            ("app_id=", "expected a length above 0, found `app_id=`"),
            ("app_id=0", "expected a length above 0, found `app_id=0`"),
            ("appid=5", "unknown column `appid`; did you mean `app_id`?"),
            ("txn_id=5", "the column `txn_id` is not text: its length has no limit"),
        ] {
            assert_eq!(limit(text), Err(error.to_owned()));
        }
    }
}
