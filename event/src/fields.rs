//! The field table: the 131 atomic columns in output order, with their type and length limit.
//!
//! The names and their order are the enriched TSV's, as every loader and analytics SDK expects
//! them. Lengths are the limits of the `atomic` schema that a running peer enforces, counted in
//! UTF-16 code units; 0 means that the field has none. One is longer: click identifiers outgrew
//! the schema's 128, and an event is worth more than the identifier, so they have the 1,000 that
//! newer peers allow.

/// How a field's text is to be read, and so how it is printed where JSON has types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text without tabs or control characters.
    Text,
    /// `yyyy-MM-dd HH:mm:ss.SSS`, UTC.
    Timestamp,
    /// A decimal 32-bit integer.
    Int,
    /// `0` or `1`.
    Bool,
    /// A 32-bit float in its shortest text.
    Float,
    /// A decimal number that keeps its scale.
    Decimal,
    /// A self-describing JSON envelope in compact form.
    Json,
}

macro_rules! fields {
    ($($variant:ident, $name:literal, $kind:ident, $length:literal;)*) => {
        /// One atomic column. The discriminant is the column's index.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field { $(
            #[doc = concat!("The column `", $name, "`.")]
            $variant,
        )* }

        /// Every field, in output order.
        pub const FIELDS: [Field; COUNT] = [$(Field::$variant),*];

        /// How many columns an enriched event has.
        pub const COUNT: usize = [$($name),*].len();

        const NAMES: [&str; COUNT] = [$($name),*];
        const MEMBERS: [&str; COUNT] = [$(concat!(",\"", $name, "\":")),*];
        const KINDS: [Kind; COUNT] = [$(Kind::$kind),*];
        const LENGTHS: [u32; COUNT] = [$($length),*];
    };
}

impl Field {
    /// The column's name.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// What comes before the column's value in an object of JSON: a comma, the name and a colon.
    pub(crate) const fn member(self) -> &'static str {
        MEMBERS[self as usize]
    }

    /// The column's type.
    pub const fn kind(self) -> Kind {
        KINDS[self as usize]
    }

    /// The longest text allowed, in UTF-16 code units; `None` where nothing is checked.
    pub const fn length_limit(self) -> Option<u32> {
        match LENGTHS[self as usize] {
            0 => None,
            limit => Some(limit),
        }
    }

    /// The field of that column name.
    pub fn from_name(name: &str) -> Option<Field> {
        FIELDS.into_iter().find(|field| field.name() == name)
    }
}

fields! {
    AppId, "app_id", Text, 255;
    Platform, "platform", Text, 255;
    EtlTstamp, "etl_tstamp", Timestamp, 0;
    CollectorTstamp, "collector_tstamp", Timestamp, 0;
    DvceCreatedTstamp, "dvce_created_tstamp", Timestamp, 0;
    Event, "event", Text, 128;
    EventId, "event_id", Text, 0;
    TxnId, "txn_id", Int, 0;
    NameTracker, "name_tracker", Text, 128;
    VTracker, "v_tracker", Text, 100;
    VCollector, "v_collector", Text, 100;
    VEtl, "v_etl", Text, 100;
    UserId, "user_id", Text, 255;
    UserIpaddress, "user_ipaddress", Text, 128;
    UserFingerprint, "user_fingerprint", Text, 128;
    DomainUserid, "domain_userid", Text, 128;
    DomainSessionidx, "domain_sessionidx", Int, 0;
    NetworkUserid, "network_userid", Text, 128;
    GeoCountry, "geo_country", Text, 2;
    GeoRegion, "geo_region", Text, 3;
    GeoCity, "geo_city", Text, 75;
    GeoZipcode, "geo_zipcode", Text, 15;
    GeoLatitude, "geo_latitude", Float, 0;
    GeoLongitude, "geo_longitude", Float, 0;
    GeoRegionName, "geo_region_name", Text, 100;
    IpIsp, "ip_isp", Text, 100;
    IpOrganization, "ip_organization", Text, 128;
    IpDomain, "ip_domain", Text, 128;
    IpNetspeed, "ip_netspeed", Text, 100;
    PageUrl, "page_url", Text, 4096;
    PageTitle, "page_title", Text, 2000;
    PageReferrer, "page_referrer", Text, 4096;
    PageUrlscheme, "page_urlscheme", Text, 16;
    PageUrlhost, "page_urlhost", Text, 255;
    PageUrlport, "page_urlport", Int, 0;
    PageUrlpath, "page_urlpath", Text, 3000;
    PageUrlquery, "page_urlquery", Text, 6000;
    PageUrlfragment, "page_urlfragment", Text, 3000;
    RefrUrlscheme, "refr_urlscheme", Text, 16;
    RefrUrlhost, "refr_urlhost", Text, 255;
    RefrUrlport, "refr_urlport", Int, 0;
    RefrUrlpath, "refr_urlpath", Text, 6000;
    RefrUrlquery, "refr_urlquery", Text, 6000;
    RefrUrlfragment, "refr_urlfragment", Text, 3000;
    RefrMedium, "refr_medium", Text, 25;
    RefrSource, "refr_source", Text, 50;
    RefrTerm, "refr_term", Text, 255;
    MktMedium, "mkt_medium", Text, 255;
    MktSource, "mkt_source", Text, 255;
    MktTerm, "mkt_term", Text, 255;
    MktContent, "mkt_content", Text, 500;
    MktCampaign, "mkt_campaign", Text, 255;
    Contexts, "contexts", Json, 0;
    SeCategory, "se_category", Text, 1000;
    SeAction, "se_action", Text, 1000;
    SeLabel, "se_label", Text, 4096;
    SeProperty, "se_property", Text, 1000;
    SeValue, "se_value", Decimal, 0;
    UnstructEvent, "unstruct_event", Json, 0;
    TrOrderid, "tr_orderid", Text, 255;
    TrAffiliation, "tr_affiliation", Text, 255;
    TrTotal, "tr_total", Decimal, 0;
    TrTax, "tr_tax", Decimal, 0;
    TrShipping, "tr_shipping", Decimal, 0;
    TrCity, "tr_city", Text, 255;
    TrState, "tr_state", Text, 255;
    TrCountry, "tr_country", Text, 255;
    TiOrderid, "ti_orderid", Text, 255;
    TiSku, "ti_sku", Text, 255;
    TiName, "ti_name", Text, 255;
    TiCategory, "ti_category", Text, 255;
    TiPrice, "ti_price", Decimal, 0;
    TiQuantity, "ti_quantity", Int, 0;
    PpXoffsetMin, "pp_xoffset_min", Int, 0;
    PpXoffsetMax, "pp_xoffset_max", Int, 0;
    PpYoffsetMin, "pp_yoffset_min", Int, 0;
    PpYoffsetMax, "pp_yoffset_max", Int, 0;
    Useragent, "useragent", Text, 1000;
    BrName, "br_name", Text, 50;
    BrFamily, "br_family", Text, 50;
    BrVersion, "br_version", Text, 50;
    BrType, "br_type", Text, 50;
    BrRenderengine, "br_renderengine", Text, 50;
    BrLang, "br_lang", Text, 255;
    BrFeaturesPdf, "br_features_pdf", Bool, 0;
    BrFeaturesFlash, "br_features_flash", Bool, 0;
    BrFeaturesJava, "br_features_java", Bool, 0;
    BrFeaturesDirector, "br_features_director", Bool, 0;
    BrFeaturesQuicktime, "br_features_quicktime", Bool, 0;
    BrFeaturesRealplayer, "br_features_realplayer", Bool, 0;
    BrFeaturesWindowsmedia, "br_features_windowsmedia", Bool, 0;
    BrFeaturesGears, "br_features_gears", Bool, 0;
    BrFeaturesSilverlight, "br_features_silverlight", Bool, 0;
    BrCookies, "br_cookies", Bool, 0;
    BrColordepth, "br_colordepth", Text, 12;
    BrViewwidth, "br_viewwidth", Int, 0;
    BrViewheight, "br_viewheight", Int, 0;
    OsName, "os_name", Text, 50;
    OsFamily, "os_family", Text, 50;
    OsManufacturer, "os_manufacturer", Text, 50;
    OsTimezone, "os_timezone", Text, 255;
    DvceType, "dvce_type", Text, 50;
    DvceIsmobile, "dvce_ismobile", Bool, 0;
    DvceScreenwidth, "dvce_screenwidth", Int, 0;
    DvceScreenheight, "dvce_screenheight", Int, 0;
    DocCharset, "doc_charset", Text, 128;
    DocWidth, "doc_width", Int, 0;
    DocHeight, "doc_height", Int, 0;
    TrCurrency, "tr_currency", Text, 3;
    TrTotalBase, "tr_total_base", Decimal, 0;
    TrTaxBase, "tr_tax_base", Decimal, 0;
    TrShippingBase, "tr_shipping_base", Decimal, 0;
    TiCurrency, "ti_currency", Text, 3;
    TiPriceBase, "ti_price_base", Decimal, 0;
    BaseCurrency, "base_currency", Text, 3;
    GeoTimezone, "geo_timezone", Text, 64;
    MktClickid, "mkt_clickid", Text, 1000;
    MktNetwork, "mkt_network", Text, 64;
    EtlTags, "etl_tags", Text, 500;
    DvceSentTstamp, "dvce_sent_tstamp", Timestamp, 0;
    RefrDomainUserid, "refr_domain_userid", Text, 128;
    RefrDvceTstamp, "refr_dvce_tstamp", Timestamp, 0;
    DerivedContexts, "derived_contexts", Json, 0;
    DomainSessionid, "domain_sessionid", Text, 128;
    DerivedTstamp, "derived_tstamp", Timestamp, 0;
    EventVendor, "event_vendor", Text, 1000;
    EventName, "event_name", Text, 1000;
    EventFormat, "event_format", Text, 128;
    EventVersion, "event_version", Text, 128;
    EventFingerprint, "event_fingerprint", Text, 128;
    TrueTstamp, "true_tstamp", Timestamp, 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbered_in_output_order() {
        assert_eq!(COUNT, 131);
        for (index, field) in FIELDS.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
        assert_eq!(Field::AppId.name(), "app_id");
        assert_eq!(Field::TrueTstamp as usize, 130);
    }
}
