//! The columns that every event has, whatever its schemas: their types and what they say.

use event::Kind;
use event::fields::{self, FIELDS};

use crate::field::{Field, Type};
use crate::misfit::misfits;

/// The column that says when a row was written: set by what writes tables, not by the pipeline.
pub const LOAD_TSTAMP: &str = "load_tstamp";

/// The 131 columns of an enriched line, in its order. Those of JSON are whole envelopes.
pub fn atomic() -> Vec<Field> {
    FIELDS.into_iter().map(field).collect()
}

/// The columns that every table of typed columns begins with: the atomic ones but for those of
/// JSON, whose contents have columns of their own; `load_tstamp`; and `_misfits`.
pub fn always() -> Vec<Field> {
    plain().chain([load_tstamp(), misfits()]).collect()
}

/// The atomic columns that are no JSON.
pub(crate) fn plain() -> impl Iterator<Item = Field> {
    FIELDS.into_iter().filter(|field| field.kind() != Kind::Json).map(field)
}

/// The place of an event, which flat JSON has besides: latitude and longitude.
pub(crate) fn geo_location() -> Field {
    let about = "Latitude and longitude of the address, with a comma between.";
    Field { nullable: true, ..of_json("geo_location", Type::String, about) }
}

/// The columns of a table of bad rows: each row is one self-describing JSON.
pub fn bad_row() -> Vec<Field> {
    let schema = "The Iglu URI of the kind of bad row this is.";
    let data = "Why the row is bad, and the payload it was made of, as its schema says.";
    vec![of_json("schema", Type::String, schema), of_json("data", Type::Json, data)]
}

fn of_json(key: &str, ty: Type, description: &str) -> Field {
    Field {
        name: key.to_owned(),
        ty,
        nullable: false,
        keys: vec![key.to_owned()],
        description: Some(description.to_owned()),
    }
}

fn load_tstamp() -> Field {
    Field {
        name: LOAD_TSTAMP.to_owned(),
        ty: Type::Timestamp,
        nullable: false,
        keys: Vec::new(),
        description: Some(
            "When the event was processed: tables are divided by its days.".to_owned(),
        ),
    }
}

fn field(field: fields::Field) -> Field {
    use fields::Field as F;
    let ty = match field.kind() {
        Kind::Text => Type::String,
        Kind::Timestamp => Type::Timestamp,
        Kind::Int => Type::Int,
        Kind::Bool => Type::Boolean,
        // Any number may be sent as an event's value; the others are amounts of money.
        Kind::Decimal if field == F::SeValue => Type::Double,
        Kind::Decimal => Type::Decimal { precision: 18, scale: 2 },
        Kind::Float => Type::Double,
        Kind::Json => Type::Json,
    };
    Field {
        name: field.name().to_owned(),
        ty,
        nullable: !matches!(field, F::CollectorTstamp | F::EventId | F::VCollector | F::VEtl),
        keys: vec![field.name().to_owned()],
        description: Some(description(field).to_owned()),
    }
}

/// What a column says.
const fn description(field: fields::Field) -> &'static str {
    DESCRIPTIONS[field as usize].1
}

/// In the order of the columns, which a test holds it to.
const DESCRIPTIONS: [(&str, &str); fields::COUNT] = [
    ("app_id", "The application or site that sent the event."),
    ("platform", "The kind of platform it ran on: web, mob, srv, app and so on."),
    ("etl_tstamp", "When the event was enriched."),
    ("collector_tstamp", "When the collector received the event."),
    ("dvce_created_tstamp", "When the event happened, by the clock of the device."),
    ("event", "The type of the event: page_view, page_ping, struct, unstruct and so on."),
    ("event_id", "The event's own UUID."),
    ("txn_id", "A number the tracker gave this event, to find it again if sent twice."),
    ("name_tracker", "The tracker's name, where an application has several."),
    ("v_tracker", "The version of the tracker."),
    ("v_collector", "The version of the collector."),
    ("v_etl", "The version of what enriched the event."),
    ("user_id", "The user, as the application knows them."),
    ("user_ipaddress", "The address of the user's device, as far as it is kept."),
    ("user_fingerprint", "A fingerprint of the browser, from its features."),
    ("domain_userid", "The user, by a cookie of the site's own domain."),
    ("domain_sessionidx", "How many sessions this user has had, this one among them."),
    ("network_userid", "The user, by the collector's cookie."),
    ("geo_country", "The country of the address, ISO 3166-1 alpha-2."),
    ("geo_region", "The region of the address, the second part of ISO 3166-2."),
    ("geo_city", "The city of the address."),
    ("geo_zipcode", "The postal code of the address."),
    ("geo_latitude", "The latitude of the address, in degrees."),
    ("geo_longitude", "The longitude of the address, in degrees."),
    ("geo_region_name", "The name of the region of the address."),
    ("ip_isp", "The internet provider of the address."),
    ("ip_organization", "The organisation the address is registered to."),
    ("ip_domain", "The domain of the address's provider."),
    ("ip_netspeed", "How the address is connected: cellular, cable and so on."),
    ("page_url", "The address of the page, whole."),
    ("page_title", "The title of the page."),
    ("page_referrer", "The address of the page that led to this one, whole."),
    ("page_urlscheme", "The scheme of the page's address: https."),
    ("page_urlhost", "The host of the page's address."),
    ("page_urlport", "The port of the page's address, the scheme's own if it names none."),
    ("page_urlpath", "The path of the page's address."),
    ("page_urlquery", "The query of the page's address, without the question mark."),
    ("page_urlfragment", "What follows # in the page's address."),
    ("refr_urlscheme", "The scheme of the referrer's address."),
    ("refr_urlhost", "The host of the referrer's address."),
    ("refr_urlport", "The port of the referrer's address."),
    ("refr_urlpath", "The path of the referrer's address."),
    ("refr_urlquery", "The query of the referrer's address."),
    ("refr_urlfragment", "What follows # in the referrer's address."),
    ("refr_medium", "What kind of site the referrer is: search, social, email, internal."),
    ("refr_source", "The name of the referrer's site: Google."),
    ("refr_term", "What was searched for on the referrer's site."),
    ("mkt_medium", "The medium of the campaign: cpc, email, banner."),
    ("mkt_source", "Where the campaign sent the user from."),
    ("mkt_term", "The keywords of the campaign."),
    ("mkt_content", "Which of the campaign's contents led here."),
    ("mkt_campaign", "The name of the campaign."),
    ("contexts", "The entities that the tracker attached, self-describing."),
    ("se_category", "The category of a structured event."),
    ("se_action", "What a structured event says was done."),
    ("se_label", "What a structured event's action was done to."),
    ("se_property", "A property of a structured event's action or object."),
    ("se_value", "A number of a structured event's action."),
    ("unstruct_event", "What a self-describing event says, self-describing."),
    ("tr_orderid", "The order of a transaction."),
    ("tr_affiliation", "The shop or partner of a transaction."),
    ("tr_total", "The total of a transaction, in tr_currency."),
    ("tr_tax", "The tax in a transaction, in tr_currency."),
    ("tr_shipping", "The cost of delivery of a transaction, in tr_currency."),
    ("tr_city", "The city a transaction is delivered to."),
    ("tr_state", "The state or province a transaction is delivered to."),
    ("tr_country", "The country a transaction is delivered to."),
    ("ti_orderid", "The order that an item of a transaction belongs to."),
    ("ti_sku", "The product code of an item."),
    ("ti_name", "The name of an item."),
    ("ti_category", "The category of an item."),
    ("ti_price", "The price of one of an item, in ti_currency."),
    ("ti_quantity", "How many of an item were bought."),
    ("pp_xoffset_min", "The least the page was scrolled to the right since the last ping, pixels."),
    ("pp_xoffset_max", "The most the page was scrolled to the right since the last ping, pixels."),
    ("pp_yoffset_min", "The least the page was scrolled down since the last ping, pixels."),
    ("pp_yoffset_max", "The most the page was scrolled down since the last ping, pixels."),
    ("useragent", "The user agent, as sent."),
    ("br_name", "The browser and its version. Set by a deprecated enrichment."),
    ("br_family", "The browser. Set by a deprecated enrichment."),
    ("br_version", "The version of the browser. Set by a deprecated enrichment."),
    ("br_type", "The kind of browser. Set by a deprecated enrichment."),
    ("br_renderengine", "The engine of the browser. Set by a deprecated enrichment."),
    ("br_lang", "The language the browser is set to."),
    ("br_features_pdf", "Whether the browser shows PDF."),
    ("br_features_flash", "Whether the browser has Flash."),
    ("br_features_java", "Whether the browser runs Java."),
    ("br_features_director", "Whether the browser has Adobe Director."),
    ("br_features_quicktime", "Whether the browser has QuickTime."),
    ("br_features_realplayer", "Whether the browser has RealPlayer."),
    ("br_features_windowsmedia", "Whether the browser has Windows Media Player."),
    ("br_features_gears", "Whether the browser has Google Gears."),
    ("br_features_silverlight", "Whether the browser has Silverlight."),
    ("br_cookies", "Whether the browser takes cookies."),
    ("br_colordepth", "How many bits a pixel has in the browser."),
    ("br_viewwidth", "The width of what the browser shows of the page, pixels."),
    ("br_viewheight", "The height of what the browser shows of the page, pixels."),
    ("os_name", "The operating system. Set by a deprecated enrichment."),
    ("os_family", "The family of the operating system. Set by a deprecated enrichment."),
    ("os_manufacturer", "Who makes the operating system. Set by a deprecated enrichment."),
    ("os_timezone", "The time zone the device is set to."),
    ("dvce_type", "The kind of device. Set by a deprecated enrichment."),
    ("dvce_ismobile", "Whether the device is a mobile one. Set by a deprecated enrichment."),
    ("dvce_screenwidth", "The width of the screen, pixels."),
    ("dvce_screenheight", "The height of the screen, pixels."),
    ("doc_charset", "The character encoding of the page."),
    ("doc_width", "The width of the page, pixels."),
    ("doc_height", "The height of the page, pixels."),
    ("tr_currency", "The currency of a transaction, ISO 4217."),
    ("tr_total_base", "The total of a transaction, in base_currency."),
    ("tr_tax_base", "The tax in a transaction, in base_currency."),
    ("tr_shipping_base", "The cost of delivery of a transaction, in base_currency."),
    ("ti_currency", "The currency of an item, ISO 4217."),
    ("ti_price_base", "The price of one of an item, in base_currency."),
    ("base_currency", "The currency that amounts are converted to, ISO 4217."),
    ("geo_timezone", "The time zone of the address, as tz names it."),
    ("mkt_clickid", "The identifier an advertising network gave the click."),
    ("mkt_network", "The advertising network of mkt_clickid."),
    ("etl_tags", "Words that whoever ran the enrichment marked its events with."),
    ("dvce_sent_tstamp", "When the event was sent, by the clock of the device."),
    ("refr_domain_userid", "The domain_userid of the user on the site that linked here."),
    ("refr_dvce_tstamp", "When the link to here was made, by the clock of the device."),
    ("derived_contexts", "The entities that enrichments attached, self-describing."),
    ("domain_sessionid", "The UUID of the session."),
    ("derived_tstamp", "When the event happened, with the device's clock put right."),
    ("event_vendor", "The vendor of the event's schema."),
    ("event_name", "The name of the event's schema: what happened."),
    ("event_format", "The format of the event's schema: jsonschema."),
    ("event_version", "The version of the event's schema."),
    ("event_fingerprint", "A hash of what the tracker sent, to find what was sent twice."),
    ("true_tstamp", "When the event happened, as whoever sent it is sure of."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_described_at_its_place() {
        for (field, (name, text)) in FIELDS.into_iter().zip(DESCRIPTIONS) {
            assert_eq!(field.name(), name);
            assert!(text.ends_with('.') && text.len() < 100, "{name}: {text}");
        }
    }

    #[test]
    fn columns_have_the_types_of_the_canonical_event() {
        let columns = atomic();
        let typed = |ty: &str| {
            let all = columns.iter().filter(|field| field.ty.to_string() == ty);
            all.map(|field| field.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(columns.len(), 131);
        assert_eq!(typed("timestamp").len(), 7);
        assert_eq!(typed("json"), ["contexts", "unstruct_event", "derived_contexts"]);
        assert_eq!(typed("double"), ["geo_latitude", "geo_longitude", "se_value"]);
        assert_eq!(
            typed("decimal(18,2)"),
            [
                "tr_total",
                "tr_tax",
                "tr_shipping",
                "ti_price",
                "tr_total_base",
                "tr_tax_base",
                "tr_shipping_base",
                "ti_price_base",
            ]
        );
        assert_eq!(typed("boolean").len(), 11);
        let always = always();
        assert_eq!(always.len(), 128 + 2);
        assert_eq!(always[128].name, LOAD_TSTAMP);
        assert_eq!(always[129].name, crate::MISFITS);
    }
}
