//! Amounts in one currency: those of transactions and their items, converted by the rates of the
//! collector's day.
//!
//! Configured by `currency_conversion_config`. Every event gets the base currency; an amount is
//! converted when it and its currency are there. The rates of a day are one look-up in the form of
//! Open Exchange Rates: how much of each currency one unit of some currency buys. Arithmetic is
//! decimal: the inverse of a rate has six digits, results have the digits of the base currency,
//! halves go to the even neighbour. One amount that cannot be converted fails the event, and then
//! none is.
//!
//! Fetching is left to others: they are given the [`Currency`] and a [`Key`] with the day.

mod money;
mod units;

use event::reason::{EnrichmentId, Words};
use event::{Bump, Event, Failure, Field, Reason, json};

use super::sql::Secret;
use super::{Answer, Answers, Cache, Found, Key, Lookup, Question, Value};
use crate::Enriched;
use crate::reader::Node;
pub use units::Unit;

/// As bad rows name this enrichment.
pub(super) const IDENTIFIER: &str = "currency-conversion";

/// The name of its configuration.
pub(crate) const NAME: &str = "currency_conversion_config";

/// A look-up of rates.
#[derive(Clone, Debug)]
pub struct Currency {
    /// The Iglu URI of its configuration.
    pub(super) uri: String,
    /// What amounts are converted to.
    pub base: Unit,
    /// Whether rates are asked for by the base currency; otherwise they are those of the US dollar.
    pub asks_by_base: bool,
    /// Who asks.
    pub api_key: Secret,
}

/// How its answers are kept: a year of days, each for a day.
pub(super) const CACHE: Cache = Cache { size: 366, ttl_secs: DAY_MS as u64 / 1000 };

/// An amount, its currency, and where its conversion goes.
const AMOUNTS: [(Field, Field, Field); 4] = [
    (Field::TrTotal, Field::TrCurrency, Field::TrTotalBase),
    (Field::TrTax, Field::TrCurrency, Field::TrTaxBase),
    (Field::TrShipping, Field::TrCurrency, Field::TrShippingBase),
    (Field::TiPrice, Field::TiCurrency, Field::TiPriceBase),
];

/// 1999-01-01, before which there are no rates, in milliseconds since the epoch.
const FIRST_DAY_MS: i64 = 915_148_800_000;

const DAY_MS: i64 = 86_400_000;

impl Currency {
    /// Reads the parameters of a configuration with that Iglu URI.
    pub(crate) fn read(parameters: &Node<'_>, uri: &str) -> Option<Currency> {
        parameters.only(&["accountType", "apiKey", "baseCurrency", "rateAt"])?;
        let account = parameters.field("accountType").choice(&[
            ("DEVELOPER", false),
            ("ENTERPRISE", true),
            ("UNLIMITED", true),
        ]);
        let api_key = parameters.field("apiKey").secret();
        let base = parameters.field("baseCurrency");
        let unit = base.text().and_then(|code| {
            let unit = Unit::of(&code);
            if unit.is_none() {
                base.wrong("the code of a currency, as in EUR");
            }
            unit
        });
        parameters.field("rateAt").choice(&[("EOD_PRIOR", ())])?;
        let (asks_by_base, api_key) = (account?, Secret(api_key?));
        Some(Currency { uri: uri.to_owned(), base: unit?, asks_by_base, api_key })
    }

    /// The day that a question is about, `yyyy-MM-dd`.
    pub fn day(key: &Key) -> &str {
        match key.0.first() {
            Some(Value::Text(day)) => day,
            _ => "",
        }
    }

    /// What becomes of a body that came as an answer.
    pub fn answer(&self, body: &str) -> Answer {
        let arena = Bump::new();
        let compact = match json::compact(body, &arena) {
            Ok(compact) => compact,
            Err(error) => {
                let why = format!("OER response is not JSON: {error}");
                return Answer::failed(open_exchange_rates("OtherErrors", why));
            }
        };
        let message =
            json::member(compact, "message").and_then(|text| json::unescape(text, &arena));
        match (message, json::member(compact, "rates")) {
            (Some(message), _) => {
                Answer::failed(open_exchange_rates("OtherErrors", message.to_owned()))
            }
            (None, Some(rates)) if json::Members::of(rates).is_some() => {
                Answer::Found([Found::new(&self.uri.as_str().into(), rates)].into())
            }
            (None, _) => {
                let why = "OER response couldn't be decoded".to_owned();
                Answer::failed(open_exchange_rates("OtherErrors", why))
            }
        }
    }

    /// Converts the amounts of an event, or asks for the rates of its day.
    fn run<'a>(
        &self,
        (index, lookup): (usize, &Lookup),
        known: Known<'_>,
        event: &mut Event<'a>,
        done: &mut Enriched<'a>,
        arena: &'a Bump,
    ) {
        event.set(Field::BaseCurrency, Some(self.base.code));
        let amounts = match amounts(event) {
            Ok(amounts) => amounts,
            Err(unknown) => {
                let failures = unknown.into_iter().map(|reason| self.failure(reason));
                done.failures.splice(0..0, failures);
                return;
            }
        };
        let mut rates = None;
        if amounts.iter().any(|amount| amount.unit != self.base) {
            let day = match day(known) {
                Ok(day) => day,
                Err(why) => return done.failed(lookup, &[why]),
            };
            let question = Question { lookup: index, key: Key([Value::Text(day.into())].into()) };
            let answer = known.answers.and_then(|answers| answers.get(&question));
            done.asked.questions.push(question);
            match answer {
                None => {
                    done.asked.waits = true;
                    return;
                }
                Some(Answer::Found(found)) => rates = Some(found),
                Some(Answer::Failed(words)) => return done.failed(lookup, &words),
                Some(Answer::Unavailable(outage)) => return done.unavailable(lookup, &outage),
            }
        }
        let rates = rates.as_ref().and_then(|found| found.first()).map_or("{}", Found::data);
        match self.converted(&amounts, rates) {
            Err(why) => done.failed(lookup, &why),
            Ok(converted) => {
                for (target, text) in converted {
                    event.set(target, Some(arena.alloc_str(&text)));
                }
            }
        }
    }

    /// All amounts, or why some cannot be converted.
    fn converted(
        &self,
        amounts: &[Amount],
        rates: &str,
    ) -> Result<Vec<(Field, String)>, Vec<Words>> {
        let (mut converted, mut wrong) = (Vec::new(), Vec::new());
        for amount in amounts {
            match money::converted(amount.value, amount.unit, self.base, rates) {
                Ok(text) => converted.push((amount.target, text)),
                Err(why) => wrong.push(why),
            }
        }
        if wrong.is_empty() { Ok(converted) } else { Err(wrong) }
    }

    fn failure(&self, reason: Reason) -> Failure {
        let (schema_key, identifier) = (self.uri.clone(), IDENTIFIER);
        Failure { enrichment: Some(EnrichmentId { schema_key, identifier }), reason }
    }
}

/// What is known beside an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'k> {
    /// The answers that are there.
    pub(crate) answers: Option<&'k dyn Answers>,
    /// When the event came, in milliseconds since the epoch.
    pub(crate) collector_ms: i64,
    /// The batch's time, likewise.
    pub(crate) now_ms: i64,
}

/// Converts the amounts of an event, if that is configured.
pub(crate) fn run<'a>(
    lookups: &[Lookup],
    known: Known<'_>,
    event: &mut Event<'a>,
    done: &mut Enriched<'a>,
    arena: &'a Bump,
) {
    for (index, lookup) in lookups.iter().enumerate() {
        if let Lookup::Currency(currency) = lookup {
            currency.run((index, lookup), known, event, done, arena);
        }
    }
}

/// An amount to convert.
struct Amount {
    value: f64,
    unit: Unit,
    target: Field,
}

/// The amounts of an event that have a currency; or what is said of those whose currency is
/// unknown.
fn amounts(event: &Event<'_>) -> Result<Vec<Amount>, Vec<Reason>> {
    let (mut amounts, mut unknown) = (Vec::new(), Vec::new());
    for (amount, currency, target) in AMOUNTS {
        let (Some(text), Some(code)) = (event.get(amount), event.get(currency)) else { continue };
        let Ok(value) = text.parse() else { continue };
        match Unit::of(code) {
            Some(unit) => amounts.push(Amount { value, unit, target }),
            None => unknown.push(Reason::Input {
                field: currency.name().into(),
                value: Some(code.to_owned()),
                expectation: Words::quoting("Unknown currency ", format!("'{code}'")),
            }),
        }
    }
    if unknown.is_empty() { Ok(amounts) } else { Err(unknown) }
}

/// The day of a moment, if there can be rates for it.
fn day(Known { collector_ms, now_ms, .. }: Known<'_>) -> Result<String, Words> {
    let midnight = collector_ms.div_euclid(DAY_MS) * DAY_MS;
    let event::Utc { year, month, day, .. } = event::Utc::from_ms(midnight);
    let day = format!("{year:04}-{month:02}-{day:02}");
    if (FIRST_DAY_MS..=now_ms).contains(&midnight) {
        return Ok(day);
    }
    let why = format!("Exchange rate unavailable on the date [{day}T00:00Z[UTC]]");
    Err(open_exchange_rates("ResourcesNotAvailable", why))
}

/// A refusal, in a peer's words.
fn open_exchange_rates(kind: &str, message: String) -> Words {
    Words::own(format!("Open Exchange Rates error, type: [{kind}], message: [{message}]"))
}

#[cfg(test)]
mod tests;
