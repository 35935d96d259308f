//! What events get whose amounts are converted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::lookup::{Then, Unavailable};
use crate::mistake::ConfigError;

const NOON: Known<'_> =
    Known { answers: None, collector_ms: 1_714_564_800_000, now_ms: 1_714_564_900_000 };

fn read(parameters: &Json) -> Result<Currency, Vec<ConfigError>> {
    let (errors, variables) = (RefCell::default(), BTreeMap::new());
    let node = Node::root(parameters, Path::new("currency.json"), &variables, &errors);
    let currency = Currency::read(&node, "iglu:x/y/jsonschema/1-0-0");
    let errors = errors.into_inner();
    if errors.is_empty() { Ok(currency.expect("what is read or refused")) } else { Err(errors) }
}

fn parameters() -> Json {
    json!({
        "accountType": "DEVELOPER", "apiKey": "hush", "baseCurrency": "EUR", "rateAt": "EOD_PRIOR",
    })
}

/// The same answer to every question.
#[derive(Debug)]
struct Always(Answer);

impl Answers for Always {
    fn get(&self, question: &Question) -> Option<Answer> {
        assert_eq!((question.lookup, Currency::day(&question.key)), (0, "2024-05-01"));
        Some(self.0.clone())
    }
}

/// The columns that were set, what was said, and whether it asked.
fn run(
    fields: &[(Field, &str)],
    answer: Option<Answer>,
    known: Known<'_>,
) -> (Vec<(&'static str, String)>, Vec<String>, bool) {
    let lookups = [Lookup::Currency(read(&parameters()).expect("it is sound"))];
    let arena = Bump::new();
    let mut event = Event::new();
    for (field, text) in fields {
        event.set(*field, Some(text));
    }
    let answers = answer.map(Always);
    let answers = answers.as_ref().map(|answers| answers as &dyn Answers);
    let mut done = Enriched::new(&arena);
    super::run(&lookups, Known { answers, ..known }, &mut event, &mut done, &arena);
    let set = [Field::BaseCurrency].into_iter().chain(AMOUNTS.map(|(_, _, target)| target));
    let set = set.filter_map(|field| Some((field.name(), event.get(field)?.to_owned()))).collect();
    let said = |failure: &Failure| match &failure.reason {
        Reason::Simple { error } => error.to_string(),
        Reason::Input { field, value, expectation } => {
            format!("{field} {} {expectation}", value.as_deref().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    };
    (set, done.failures.iter().map(said).collect(), done.asked.waits)
}

fn rates() -> Option<Answer> {
    let currency = read(&parameters()).expect("it is sound");
    Some(currency.answer(r#"{"base": "USD", "rates": {"EUR": 0.5, "GBP": 0.25, "USD": 1}}"#))
}

#[test]
fn amounts_with_their_currency_are_converted() {
    let (set, said, waits) = run(
        &[
            (Field::TrCurrency, "GBP"),
            (Field::TrTotal, "10.00"),
            (Field::TrTax, "0"),
            (Field::TiCurrency, "EUR"),
            (Field::TiPrice, "1.005"),
        ],
        rates(),
        NOON,
    );
    let expected = [
        ("base_currency", "EUR"),
        ("tr_total_base", "20.00"),
        ("tr_tax_base", "0.00"),
        ("ti_price_base", "1.00"),
    ];
    assert_eq!(set, expected.map(|(name, text)| (name, text.to_owned())));
    assert!(said.is_empty() && !waits, "{said:?}");
}

#[test]
fn only_what_needs_rates_asks_for_them() {
    let base = || vec![("base_currency", "EUR".to_owned())];
    assert_eq!(run(&[], None, NOON), (base(), vec![], false));
    let without_currency = [(Field::TrTotal, "1")];
    assert_eq!(run(&without_currency, None, NOON), (base(), vec![], false));
    let without_amount = [(Field::TrCurrency, "GBP")];
    assert_eq!(run(&without_amount, None, NOON), (base(), vec![], false));
    let same = [(Field::TrCurrency, "EUR"), (Field::TrTotal, "1.2")];
    let (set, _, waits) = run(&same, None, NOON);
    assert_eq!((set[1].1.as_str(), waits), ("1.20", false));
    let other = [(Field::TrCurrency, "GBP"), (Field::TrTotal, "1.2")];
    assert_eq!(run(&other, None, NOON), (base(), vec![], true));
}

#[test]
fn what_cannot_be_converted_fails_the_event_and_converts_nothing() {
    let check = |fields: &[(Field, &str)], answer: Option<Answer>, known, expected: &[&str]| {
        let (set, said, waits) = run(fields, answer, known);
        assert_eq!(set, [("base_currency", "EUR".to_owned())]);
        assert_eq!(said, expected);
        assert!(!waits);
    };
    let unknown = [(Field::TrCurrency, "RUP"), (Field::TrTotal, "1"), (Field::TrTax, "2")];
    let words = "tr_currency RUP Unknown currency 'RUP'";
    check(&unknown, rates(), NOON, &[words, words]);
    let gbp = [(Field::TrCurrency, "GBP"), (Field::TrTotal, "1")];
    let early = Known { collector_ms: FIRST_DAY_MS - 1, ..NOON };
    let why = "Open Exchange Rates error, type: [ResourcesNotAvailable], message: [Exchange rate \
               unavailable on the date [1998-12-31T00:00Z[UTC]]]";
    check(&gbp, rates(), early, &[why]);
    let (_, said, _) = run(&gbp, rates(), Known { now_ms: 1_714_435_200_000, ..NOON });
    assert!(said[0].contains("[2024-05-01T00:00Z[UTC]]"), "{said:?}");
    let of = |body: &str| Some(read(&parameters()).expect("it is sound").answer(body));
    let refused = r#"{"error": true, "status": 401, "message": "invalid_app_id"}"#;
    let why = "Open Exchange Rates error, type: [OtherErrors], message: [invalid_app_id]";
    check(&gbp, of(refused), NOON, &[why]);
    let why = "Open Exchange Rates error, type: [OtherErrors], message: [OER response couldn't be \
               decoded]";
    check(&gbp, of("{\"rates\": []}"), NOON, &[why]);
    let (_, said, _) = run(&gbp, of("<html>"), NOON);
    assert!(said[0].contains("OER response is not JSON"), "{said:?}");
    let sek = [(Field::TrCurrency, "SEK"), (Field::TrTotal, "1")];
    let why = "Open Exchange Rates error, type: [IllegalCurrency], message: [Currency not found in \
               the API, invalid currency SEK]";
    check(&sek, rates(), NOON, &[why]);
    let words = vec!["nobody there".into()];
    let outage = Answer::Unavailable(Arc::new(Unavailable { words, then: Then::Fail }));
    check(&gbp, Some(outage), NOON, &["nobody there"]);
}

#[test]
fn a_configuration_is_checked() {
    let refused = |field: &str, value: Json| {
        let mut parameters = parameters();
        parameters[field] = value;
        let errors = read(&parameters).expect_err(field);
        assert_eq!(errors[0].pointer, format!("/{field}"));
        assert!(!format!("{errors:?}").contains("hush"), "{errors:?}");
    };
    refused("baseCurrency", json!("euro"));
    refused("accountType", json!("FREE"));
    refused("rateAt", json!("NOW"));
    refused("apiKey", json!(5));
    refused("apikey", json!("x"));
    assert!(!format!("{:?}", read(&parameters())).contains("hush"));
}
