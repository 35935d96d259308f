//! The tracker protocol's parameters: which field each fills, by which rule, and since which
//! addition of the `payload_data` schema a POST may carry it.
//!
//! A name is looked up by its bytes packed into a word, in a table made at compile time.

use event::Field;

/// How a parameter's value becomes a field's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Text, cleaned of tabs and control characters.
    Text(Field),
    /// The first of a list of addresses.
    Ip(Field),
    /// The event's type.
    EventType(Field),
    /// One of the platforms.
    Platform(Field),
    /// A 32-bit integer.
    Int(Field),
    /// A decimal number.
    Decimal(Field),
    /// `0` or `1`.
    Bool(Field),
    /// A UUID, which becomes canonical.
    Uuid(Field),
    /// Milliseconds since the epoch.
    Timestamp(Field),
    /// `<width>x<height>`.
    Dimensions(Field, Field),
    /// JSON as it stands.
    Json(Field),
    /// JSON in Base64.
    Base64Json(Field),
    /// Text that beats every other parameter of the same field.
    Last(Field),
    /// Accepted, and kept nowhere.
    Ignored,
}

/// A known parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its index in [`PARAMETERS`].
    pub index: u8,
    /// How its value becomes a field.
    pub rule: Rule,
    /// The first `payload_data` 1-0-n that allows it; `None`: only query strings may carry it.
    pub since: Option<u8>,
    /// The parameter of the same field that wins where both are given: see [`Parameter::of`].
    pub beaten_by: Option<&'static str>,
}

impl Parameter {
    /// What trackers call it.
    pub fn name(&self) -> &'static str {
        ROWS[usize::from(self.index)].0
    }

    /// The parameter of that name.
    ///
    /// Of two parameters that fill one field the peer keeps the one that comes last in its map of
    /// parameters. Up to four parameters that is the order of arrival; from five on it is the
    /// order of hashes, which `beaten_by` records.
    pub fn of(name: &str) -> Option<&'static Parameter> {
        let word = pack(name.as_bytes())?;
        let mut slot = hash(word);
        loop {
            match TABLE[slot] {
                (0, _) => return None,
                (found, index) if found == word => return Some(&PARAMETERS[index as usize]),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

use Rule::{
    Base64Json, Bool, Decimal, Dimensions, EventType, Ignored, Int, Ip, Json, Last, Platform, Text,
    Timestamp, Uuid,
};

/// Marks parameters that only query strings may carry.
const GET: u8 = u8::MAX;

/// Name, rule, first addition of `payload_data`, and the parameter that beats it.
const ROWS: [(&str, Rule, u8, &str); COUNT] = [
    ("e", EventType(Field::Event), 0, ""),
    ("ip", Ip(Field::UserIpaddress), 0, ""),
    ("aid", Text(Field::AppId), 0, ""),
    ("p", Platform(Field::Platform), 0, ""),
    ("tid", Int(Field::TxnId), 0, ""),
    ("uid", Text(Field::UserId), 0, ""),
    ("duid", Text(Field::DomainUserid), 0, ""),
    ("nuid", Text(Field::NetworkUserid), 0, ""),
    ("ua", Text(Field::Useragent), 1, ""),
    ("fp", Text(Field::UserFingerprint), 0, ""),
    ("vid", Int(Field::DomainSessionidx), 0, ""),
    ("sid", Uuid(Field::DomainSessionid), 3, ""),
    ("dtm", Timestamp(Field::DvceCreatedTstamp), 0, ""),
    ("ttm", Timestamp(Field::TrueTstamp), 4, ""),
    ("stm", Timestamp(Field::DvceSentTstamp), 3, ""),
    ("tna", Text(Field::NameTracker), 0, ""),
    ("tv", Text(Field::VTracker), 0, ""),
    ("cv", Text(Field::VCollector), GET, ""),
    ("lang", Text(Field::BrLang), 0, ""),
    ("f_pdf", Bool(Field::BrFeaturesPdf), 0, ""),
    ("f_fla", Bool(Field::BrFeaturesFlash), 0, ""),
    ("f_java", Bool(Field::BrFeaturesJava), 0, ""),
    ("f_dir", Bool(Field::BrFeaturesDirector), 0, ""),
    ("f_qt", Bool(Field::BrFeaturesQuicktime), 0, ""),
    ("f_realp", Bool(Field::BrFeaturesRealplayer), 0, ""),
    ("f_wma", Bool(Field::BrFeaturesWindowsmedia), 0, ""),
    ("f_gears", Bool(Field::BrFeaturesGears), 0, ""),
    ("f_ag", Bool(Field::BrFeaturesSilverlight), 0, ""),
    ("cookie", Bool(Field::BrCookies), 0, ""),
    ("res", Dimensions(Field::DvceScreenwidth, Field::DvceScreenheight), 0, ""),
    ("cd", Text(Field::BrColordepth), 0, ""),
    ("tz", Text(Field::OsTimezone), 0, ""),
    ("refr", Text(Field::PageReferrer), 0, ""),
    ("url", Text(Field::PageUrl), 0, ""),
    ("page", Text(Field::PageTitle), 0, ""),
    ("cs", Text(Field::DocCharset), 0, ""),
    ("ds", Dimensions(Field::DocWidth, Field::DocHeight), 0, ""),
    ("vp", Dimensions(Field::BrViewwidth, Field::BrViewheight), 0, ""),
    ("eid", Uuid(Field::EventId), 0, ""),
    ("co", Json(Field::Contexts), 0, "cx"),
    ("cx", Base64Json(Field::Contexts), 0, ""),
    ("ev_ca", Text(Field::SeCategory), GET, "se_ca"),
    ("ev_ac", Text(Field::SeAction), GET, "se_ac"),
    ("ev_la", Text(Field::SeLabel), GET, ""),
    ("ev_pr", Text(Field::SeProperty), GET, ""),
    ("ev_va", Decimal(Field::SeValue), GET, ""),
    ("se_ca", Text(Field::SeCategory), 0, ""),
    ("se_ac", Text(Field::SeAction), 0, ""),
    ("se_la", Text(Field::SeLabel), 0, "ev_la"),
    ("se_pr", Text(Field::SeProperty), 0, "ev_pr"),
    ("se_va", Decimal(Field::SeValue), 0, "ev_va"),
    ("ue_pr", Json(Field::UnstructEvent), 0, "ue_px"),
    ("ue_px", Base64Json(Field::UnstructEvent), 0, ""),
    ("tr_id", Text(Field::TrOrderid), 0, ""),
    ("tr_af", Text(Field::TrAffiliation), 0, ""),
    ("tr_tt", Decimal(Field::TrTotal), 0, ""),
    ("tr_tx", Decimal(Field::TrTax), 0, ""),
    ("tr_sh", Decimal(Field::TrShipping), 0, ""),
    ("tr_ci", Text(Field::TrCity), 0, ""),
    ("tr_st", Text(Field::TrState), 0, ""),
    ("tr_co", Text(Field::TrCountry), 0, ""),
    ("ti_id", Text(Field::TiOrderid), 0, ""),
    ("ti_sk", Text(Field::TiSku), 0, ""),
    ("ti_na", Text(Field::TiName), 0, "ti_nm"),
    ("ti_nm", Text(Field::TiName), 0, ""),
    ("ti_ca", Text(Field::TiCategory), 0, ""),
    ("ti_pr", Decimal(Field::TiPrice), 0, ""),
    ("ti_qu", Int(Field::TiQuantity), 0, ""),
    ("pp_mix", Int(Field::PpXoffsetMin), 0, ""),
    ("pp_max", Int(Field::PpXoffsetMax), 0, ""),
    ("pp_miy", Int(Field::PpYoffsetMin), 0, ""),
    ("pp_may", Int(Field::PpYoffsetMax), 0, ""),
    ("tr_cu", Text(Field::TrCurrency), 0, ""),
    ("ti_cu", Text(Field::TiCurrency), 0, ""),
    ("tnuid", Last(Field::NetworkUserid), 2, ""),
    ("ctype", Ignored, 0, ""),
    ("mac", Ignored, 0, ""),
    ("ue_na", Ignored, 0, ""),
    ("ad_ba", Ignored, 0, ""),
    ("ad_ca", Ignored, 0, ""),
    ("ad_ad", Ignored, 0, ""),
    ("ad_uid", Ignored, 0, ""),
    ("sa", Ignored, 0, ""),
    ("sn", Ignored, 0, ""),
    ("st", Ignored, 0, ""),
    ("sp", Ignored, 0, ""),
];

const COUNT: usize = 86;

/// Every known parameter.
pub static PARAMETERS: [Parameter; COUNT] = {
    let blank = Parameter { index: 0, rule: Ignored, since: None, beaten_by: None };
    let mut parameters = [blank; COUNT];
    let mut index = 0;
    while index < COUNT {
        let (_, rule, since, beaten_by) = ROWS[index];
        parameters[index] = Parameter {
            index: index as u8,
            rule,
            since: if since == GET { None } else { Some(since) },
            beaten_by: if beaten_by.is_empty() { None } else { Some(beaten_by) },
        };
        index += 1;
    }
    parameters
};

/// Three times the number of names, so that a probe rarely takes a second step.
const SLOTS: usize = 256;

static TABLE: [(u64, u8); SLOTS] = {
    let mut table = [(0, 0); SLOTS];
    let mut index = 0;
    while index < COUNT {
        let word = match pack(ROWS[index].0.as_bytes()) {
            Some(word) => word,
            None => panic!("a parameter's name has one to eight bytes"),
        };
        let mut slot = hash(word);
        while table[slot].0 != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = (word, index as u8);
        index += 1;
    }
    table
};

const fn hash(word: u64) -> usize {
    // The golden ratio's multiplier spreads short ASCII names well; any odd constant is correct.
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SLOTS
}

/// One to eight bytes as a word, which is never 0 because names hold no zero bytes.
const fn pack(name: &[u8]) -> Option<u64> {
    if name.is_empty() || name.len() > 8 {
        return None;
    }
    let mut word = 0;
    let mut index = 0;
    while index < name.len() {
        if name[index] == 0 {
            return None;
        }
        word = word << 8 | name[index] as u64;
        index += 1;
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_row_and_no_other_name_finds_any() {
        for (index, row) in ROWS.iter().enumerate() {
            let found = Parameter::of(row.0).expect("the name is known");
            assert_eq!(usize::from(found.index), index);
            assert!(row.3.is_empty() || Parameter::of(row.3).is_some());
            assert!(Parameter::of(&format!("{}x", row.0)).is_none());
        }
        for name in ["", "E", "\0e", "toolongname", "se_", "é"] {
            assert!(Parameter::of(name).is_none(), "{name:?}");
        }
    }
}
