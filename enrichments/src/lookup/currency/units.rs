//! The currencies that are known, and how many digits their amounts have after the point.
//!
//! The codes are those of ISO 4217, with what others have replaced: old events still carry them.
//! Metals, funds and codes for tests have no digits.

/// A known currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its code, three capitals.
    pub code: &'static str,
    /// The digits of its amounts after the point.
    pub digits: u32,
}

impl Unit {
    /// The currency with that code, exactly.
    pub fn of(code: &str) -> Option<Unit> {
        UNITS.iter().find_map(|(digits, codes)| {
            let code = codes.split(' ').find(|known| *known == code)?;
            Some(Unit { code, digits: *digits })
        })
    }
}

/// Codes by their digits. The commonest come first.
const UNITS: [(u32, &str); 4] = [
    (
        2,
        "EUR USD GBP CHF CAD AUD CNY SEK NOK DKK PLN CZK INR BRL MXN AED AFN ALL AMD ANG AOA ARS \
         ATS AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BSD BTN BWP BYN BZD CDF CHE CHW COP COU CRC \
         CUC CUP CVE CYP DEM DOP DZD EEK EGP ERN ETB FIM FJD FKP FRF GEL GHS GIP GMD GTQ GYD HKD \
         HNL HRK HTG HUF IDR IEP ILS IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL LTL LVL \
         MAD MDL MGA MKD MMK MNT MOP MRO MRU MTL MUR MVR MWK MXV MYR MZN NAD NGN NIO NLG NPR NZD \
         PAB PEN PGK PHP PKR QAR RON RSD RUB RUR SAR SBD SCR SDG SGD SHP SIT SKK SLE SLL SOS SRD \
         SSP STD STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USN UYU UZS VEF VES WST XCD \
         XCG YER ZAR ZMW ZWG ZWL",
    ),
    (
        0,
        "JPY KRW CLP ISK ADP BEF BIF BYR DJF ESP GNF GRD ITL KMF LUF PTE PYG RWF UGX UYI VND VUV \
         XAF XOF XPF XAG XAU XBA XBB XBC XBD XDR XEU XFU XPD XPT XSU XTS XUA XXX",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_known_by_their_exact_codes() {
        let digits = |code: &str| Unit::of(code).map(|unit| unit.digits);
        for (code, expected) in [("EUR", 2), ("ZWL", 2), ("JPY", 0), ("XAU", 0), ("KWD", 3)] {
            assert_eq!(digits(code), Some(expected), "{code}");
        }
        for code in ["eur", "EURO", "RUP", "", " ", "EUR USD", "XXQ"] {
            assert_eq!(digits(code), None, "{code}");
        }
    }

    #[test]
    fn no_code_is_listed_twice() {
        let mut codes: Vec<&str> = UNITS.iter().flat_map(|(_, codes)| codes.split(' ')).collect();
        assert_eq!(codes.len(), 208);
        assert!(codes.iter().all(|code| code.len() == 3));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 208);
    }
}
