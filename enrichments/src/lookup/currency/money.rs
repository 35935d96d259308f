//! Converting one amount, in decimal arithmetic.

use event::json;
use event::reason::Words;
use rust_decimal::{Decimal, RoundingStrategy};

use super::{Unit, open_exchange_rates};

/// The digits after the point of an inverse rate.
const INVERSE_DIGITS: u32 = 6;

/// An amount in the base currency, by rates in the form `{"EUR":0.9}`.
pub(super) fn converted(amount: f64, from: Unit, base: Unit, rates: &str) -> Result<String, Words> {
    // What the number is, not what it looks like: halves are decided by it.
    let amount = Decimal::from_f64_retain(amount).ok_or_else(beyond)?;
    let converted = match from == base {
        true => amount,
        false => {
            let (from, to) = (rate(from, rates)?, rate(base, rates)?);
            let inverse = Decimal::ONE.checked_div(from).ok_or_else(beyond)?;
            let inverse = even(inverse, INVERSE_DIGITS);
            let rate = inverse.checked_mul(to).ok_or_else(beyond)?;
            amount.checked_mul(rate).ok_or_else(beyond)?
        }
    };
    let mut rounded = even(converted, base.digits);
    if rounded.is_zero() {
        rounded.set_sign_positive(true);
    }
    Ok(format!("{rounded:.*}", base.digits as usize))
}

fn even(number: Decimal, digits: u32) -> Decimal {
    number.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven)
}

fn rate(unit: Unit, rates: &str) -> Result<Decimal, Words> {
    let Some(text) = json::member(rates, unit.code) else {
        let why = format!("Currency not found in the API, invalid currency {}", unit.code);
        return Err(open_exchange_rates("IllegalCurrency", why));
    };
    let rate = text.parse().or_else(|_| Decimal::from_scientific(text));
    rate.map_err(|_| {
        let why = "OER response couldn't be decoded".to_owned();
        open_exchange_rates("OtherErrors", why)
    })
}

/// A rate of nothing, or more digits than are counted with.
fn beyond() -> Words {
    Words::own("an error happened while converting the currency: the number is out of bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_converted_by_cross_rates() {
        let rates = concat!(
            r#"{"EUR":0.718193,"GBP":0.622195,"JPY":81.85,"USD":1,"KWD":0.2779,"XAU":0,"#,
            r#""CLF":2.1e-2,"CHF":"1"}"#
        );
        let check = |amount: f64, from: &str, base: &str, expected: Result<&str, &str>| {
            let unit = |code: &str| Unit::of(code).expect("it is known");
            let found = converted(amount, unit(from), unit(base), rates);
            match (found.map_err(|words| words.to_string()), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{amount} {from}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (found, _) => panic!("{amount} {from} in {base} is {found:?}"),
            }
        };
        // 1 ÷ 0.622195 is 1.607213; times 0.718193, times the amount.
        check(11.0, "GBP", "EUR", Ok("12.70"));
        check(0.0, "GBP", "EUR", Ok("0.00"));
        check(-0.001, "GBP", "EUR", Ok("0.00"));
        check(11.0, "EUR", "EUR", Ok("11.00"));
        // Halves go to the even neighbour, and 1.005 is less than it looks.
        check(0.125, "EUR", "EUR", Ok("0.12"));
        check(0.375, "EUR", "EUR", Ok("0.38"));
        check(1.005, "EUR", "EUR", Ok("1.00"));
        check(2.5, "JPY", "JPY", Ok("2"));
        check(100.0, "EUR", "JPY", Ok("11397"));
        check(1.0, "USD", "KWD", Ok("0.278"));
        check(1.0, "USD", "CLF", Ok("0.0210"));
        check(1e30, "EUR", "EUR", Err("out of bounds"));
        check(1.0, "XAU", "EUR", Err("out of bounds"));
        check(1.0, "EUR", "XAU", Ok("0"));
        check(1.0, "SEK", "EUR", Err("type: [IllegalCurrency], message: [Currency not found"));
        check(1.0, "CHF", "EUR", Err("couldn't be decoded"));
    }
}
