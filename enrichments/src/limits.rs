//! The lengths that the `atomic` schema allows its columns.
//!
//! Checked last, after everything was set and masked. Nothing is ever shortened: a field that is
//! too long fails the event, unless the operator lets such events pass. An operator may give any
//! column of text another limit.

use event::fields::{COUNT, FIELDS, Kind};
use event::reason::Words;
use event::{Event, Failure, Field, Reason};

/// How long each field may be, in UTF-16 code units. The default is the `atomic` schema's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([u32; COUNT]);

/// Why a column cannot be given a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no such column.
    #[error("unknown column `{0}`")]
    UnknownColumn(String),
    /// It holds numbers, times or JSON.
    #[error("the column `{0}` is not text: its length has no limit")]
    NotText(&'static str),
}

/// Stands for no limit.
const NONE: u32 = u32::MAX;

impl Limits {
    /// The field of a column that may have a limit.
    pub fn field(column: &str) -> Result<Field, LimitError> {
        let field = Field::from_name(column);
        let field = field.ok_or_else(|| LimitError::UnknownColumn(column.to_owned()))?;
        match field.kind() {
            Kind::Text => Ok(field),
            _ => Err(LimitError::NotText(field.name())),
        }
    }

    /// Gives a field another limit than the schema's.
    pub fn set(&mut self, field: Field, limit: u32) {
        self.0[field as usize] = limit;
    }

    /// The fields whose text is longer than allowed, in output order.
    pub fn too_long(&self, event: &Event<'_>) -> Vec<Field> {
        let fields = event.iter().zip(self.0.iter().copied());
        // A text has at most as many code units as bytes: most need no counting.
        let long = fields.filter_map(|((field, value), limit)| {
            value.filter(|text| text.len() > limit as usize).map(|text| (field, text, limit))
        });
        let too_long =
            long.filter(|(_, text, limit)| text.encode_utf16().count() > *limit as usize);
        too_long.map(|(field, ..)| field).collect()
    }

    /// The failures of an event with such fields; none for none.
    pub fn failures(&self, fields: &[Field]) -> Vec<Failure> {
        if fields.is_empty() {
            return Vec::new();
        }
        let headline =
            "Enriched event does not conform to atomic schema field's length restrictions";
        let one = |field: &Field| {
            let limit = self.0[*field as usize];
            format!("Field {} longer than maximum allowed size {limit}", field.name())
        };
        let messages = std::iter::once(headline.to_owned()).chain(fields.iter().map(one));
        messages.map(|error| Reason::simple(Words::own(error)).into()).collect()
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits(FIELDS.map(|field| field.length_limit().unwrap_or(NONE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_utf16_code_units() {
        let fits = "é".repeat(255);
        let too_long = "😀".repeat(128);
        let unlimited = "x".repeat(100_000);
        for (text, expected) in [(&fits, vec![]), (&too_long, vec![Field::AppId])] {
            let mut event = Event::new();
            event.set(Field::AppId, Some(text));
            event.set(Field::Contexts, Some(&unlimited));
            assert_eq!(Limits::default().too_long(&event), expected);
        }
    }

    #[test]
    fn every_field_gets_its_message_after_the_headline() {
        let texts: Vec<String> = Limits::default()
            .failures(&[Field::MktClickid, Field::GeoCountry])
            .into_iter()
            .map(|failure| format!("{:?}", failure.reason))
            .collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[1].contains("Field mkt_clickid longer than maximum allowed size 1000"));
        assert!(texts[2].contains("Field geo_country longer than maximum allowed size 2"));
        assert!(Limits::default().failures(&[]).is_empty());
    }

    #[test]
    fn an_operator_may_allow_more_or_less_than_the_schema() {
        let mut limits = Limits::default();
        for (column, limit) in [("app_id", 3), ("tr_currency", 4), ("event_id", 5)] {
            limits.set(Limits::field(column).expect("a column of text"), limit);
        }
        let mut event = Event::new();
        for field in [Field::AppId, Field::TrCurrency, Field::EventId] {
            event.set(field, Some("éuro"));
        }
        assert_eq!(limits.too_long(&event), [Field::AppId]);
        let failures = format!("{:?}", limits.failures(&[Field::AppId]));
        assert!(failures.contains("Field app_id longer than maximum allowed size 3"));
        let unknown = LimitError::UnknownColumn("appid".to_owned());
        assert_eq!(Limits::field("appid"), Err(unknown));
        assert_eq!(Limits::field("txn_id"), Err(LimitError::NotText("txn_id")));
        assert_eq!(Limits::field("contexts"), Err(LimitError::NotText("contexts")));
    }
}
