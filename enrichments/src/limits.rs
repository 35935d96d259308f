//! The lengths that the `atomic` schema allows its columns.
//!
//! Checked last, after everything was set and masked. Nothing is ever shortened: a field that is
//! too long fails the event, unless the operator lets such events pass.

use event::fields::FIELDS;
use event::{Event, Failure, Field, Reason};

/// The fields whose text is longer than allowed, in output order. Lengths are UTF-16 code units.
pub fn too_long(event: &Event<'_>) -> Vec<Field> {
    let exceeds = |field: &Field| match (event.get(*field), field.length_limit()) {
        // A text has at most as many code units as bytes: most need no counting.
        (Some(text), Some(limit)) if text.len() > limit as usize => {
            text.encode_utf16().count() > limit as usize
        }
        _ => false,
    };
    FIELDS.into_iter().filter(exceeds).collect()
}

/// The failures of an event with such fields; none for none.
pub fn failures(fields: &[Field]) -> Vec<Failure> {
    if fields.is_empty() {
        return Vec::new();
    }
    let headline = "Enriched event does not conform to atomic schema field's length restrictions";
    let one = |field: &Field| {
        let limit = field.length_limit().unwrap_or_default();
        format!("Field {} longer than maximum allowed size {limit}", field.name())
    };
    let messages = std::iter::once(headline.to_owned()).chain(fields.iter().map(one));
    messages.map(|error| Reason::Simple { error }.into()).collect()
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
            assert_eq!(super::too_long(&event), expected);
        }
    }

    #[test]
    fn every_field_gets_its_message_after_the_headline() {
        let texts: Vec<String> = failures(&[Field::MktClickid, Field::GeoCountry])
            .into_iter()
            .map(|failure| format!("{:?}", failure.reason))
            .collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[1].contains("Field mkt_clickid longer than maximum allowed size 128"));
        assert!(texts[2].contains("Field geo_country longer than maximum allowed size 2"));
        assert!(failures(&[]).is_empty());
    }
}
