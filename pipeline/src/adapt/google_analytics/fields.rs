//! What the parameters of the measurement protocol are called in events, and of what kind they are.

/// A parameter's name, the member that it becomes, and its kind.
pub(super) type Field = (&'static str, &'static str, Kind);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A signed 32-bit integer.
    Int,
    /// An amount, rounded to two decimals.
    Amount,
    /// A 64-bit float.
    Double,
    /// `1` or `0`.
    Flag,
}

use Kind::{Amount, Double, Flag, Int, Text};

/// An entity whose members are parameters of fixed names, by the name of its schema's setting.
pub(super) struct Flat {
    pub(super) setting: &'static str,
    pub(super) fields: &'static [Field],
}

/// An entity for each of some numbers that are inside the names of its parameters.
pub(super) struct Composite {
    pub(super) setting: &'static str,
    /// The names before each number, joined to all names behind it, and the members that the
    /// numbers become.
    pub(super) numbers: &'static [(&'static str, &'static str)],
    /// Parameters by their names without the numbers.
    pub(super) fields: &'static [Field],
    /// Whether the payload's currency is a member as well.
    pub(super) currency: bool,
}

/// The events, by the type of hit.
pub(super) const EVENTS: [(&str, &[Field]); 8] = [
    ("pageview", PAGE_VIEW),
    ("screenview", &[("cd", "screenName", Text)]),
    (
        "event",
        &[
            ("ec", "category", Text),
            ("ea", "action", Text),
            ("el", "label", Text),
            ("ev", "value", Int),
        ],
    ),
    (
        "transaction",
        &[
            ("ti", "id", Text),
            ("ta", "affiliation", Text),
            ("tr", "revenue", Amount),
            ("ts", "shipping", Amount),
            ("tt", "tax", Amount),
            ("tcc", "couponCode", Text),
            ("cu", "currencyCode", Text),
        ],
    ),
    (
        "item",
        &[
            ("ti", "transactionId", Text),
            ("in", "name", Text),
            ("ip", "price", Amount),
            ("iq", "quantity", Int),
            ("ic", "code", Text),
            ("iv", "category", Text),
            ("cu", "currencyCode", Text),
        ],
    ),
    ("social", &[("sn", "network", Text), ("sa", "action", Text), ("st", "actionTarget", Text)]),
    ("exception", &[("exd", "description", Text), ("exf", "isFatal", Flag)]),
    (
        "timing",
        &[
            ("utc", "userTimingCategory", Text),
            ("utv", "userTimingVariableName", Text),
            ("utt", "userTimingTime", Int),
            ("utl", "userTimingLabel", Text),
            ("plt", "pageLoadTime", Int),
            ("dns", "dnsTime", Int),
            ("pdt", "pageDownloadTime", Int),
            ("rrt", "redirectResponseTime", Int),
            ("tcp", "tcpConnectTime", Int),
            ("srt", "serverResponseTime", Int),
            ("dit", "domInteractiveTime", Int),
            ("clt", "contentLoadTime", Int),
        ],
    ),
];

const PAGE_VIEW: &[Field] = &[
    ("dl", "documentLocationUrl", Text),
    ("dh", "documentHostName", Text),
    ("dp", "documentPath", Text),
    ("dt", "documentTitle", Text),
];

/// The entities of parameters with fixed names. Each parameter is of one of them only.
pub(super) const FLAT: [Flat; 14] = [
    // What a page view tells can stand beside any other event.
    Flat { setting: "page_view", fields: PAGE_VIEW },
    Flat {
        setting: "undocumented",
        fields: &[("a", "a", Text), ("jid", "jid", Text), ("gjid", "gjid", Text)],
    },
    Flat {
        setting: "private",
        fields: &[
            ("_v", "v", Text),
            ("_u", "u", Text),
            ("_gid", "gid", Text),
            ("_s", "s", Int),
            ("_r", "r", Int),
        ],
    },
    Flat {
        setting: "general",
        fields: &[
            ("v", "protocolVersion", Text),
            ("tid", "trackingId", Text),
            ("aip", "anonymizeIp", Flag),
            ("ds", "dataSource", Text),
            ("qt", "queueTime", Int),
            ("z", "cacheBuster", Text),
        ],
    },
    Flat { setting: "user", fields: &[("cid", "clientId", Text), ("uid", "userId", Text)] },
    Flat {
        setting: "session",
        fields: &[
            ("sc", "sessionControl", Text),
            ("uip", "ipOverride", Text),
            ("ua", "userAgentOverride", Text),
            ("geoid", "geographicalOverride", Text),
        ],
    },
    Flat {
        setting: "traffic_source",
        fields: &[
            ("dr", "documentReferrer", Text),
            ("cn", "campaignName", Text),
            ("cs", "campaignSource", Text),
            ("cm", "campaignMedium", Text),
            ("ck", "campaignKeyword", Text),
            ("cc", "campaignContent", Text),
            ("ci", "campaignId", Text),
            ("gclid", "googleAdwordsId", Text),
            ("dclid", "googleDisplayAdsId", Text),
        ],
    },
    Flat {
        setting: "system_info",
        fields: &[
            ("sr", "screenResolution", Text),
            ("vp", "viewportSize", Text),
            ("de", "documentEncoding", Text),
            ("sd", "screenColors", Text),
            ("ul", "userLanguage", Text),
            ("je", "javaEnabled", Flag),
            ("fl", "flashVersion", Text),
        ],
    },
    Flat { setting: "link", fields: &[("linkid", "id", Text)] },
    Flat {
        setting: "app",
        fields: &[
            ("an", "name", Text),
            ("aid", "id", Text),
            ("av", "version", Text),
            ("aiid", "installerId", Text),
        ],
    },
    Flat {
        setting: "product_action",
        fields: &[
            ("pa", "productAction", Text),
            ("pal", "productActionList", Text),
            ("cos", "checkoutStep", Int),
            ("col", "checkoutStepOption", Text),
        ],
    },
    Flat {
        setting: "content_experiment",
        fields: &[("xid", "id", Text), ("xvar", "variant", Text)],
    },
    Flat { setting: "hit", fields: &[("t", "type", Text), ("ni", "nonInteractionHit", Flag)] },
    Flat { setting: "promotion_action", fields: &[("promoa", "promotionAction", Text)] },
];

/// The entities of parameters with numbers in their names.
pub(super) const COMPOSITE: [Composite; 11] = [
    Composite {
        setting: "product",
        numbers: &[("pr", "index")],
        fields: &[
            ("prid", "sku", Text),
            ("prnm", "name", Text),
            ("prbr", "brand", Text),
            ("prca", "category", Text),
            ("prva", "variant", Text),
            ("prpr", "price", Amount),
            ("prqt", "quantity", Int),
            ("prcc", "couponCode", Text),
            ("prps", "position", Int),
        ],
        currency: true,
    },
    Composite {
        setting: "product_custom_dimension",
        numbers: &[("prcd", "productIndex"), ("cd", "dimensionIndex")],
        fields: &[("prcd", "value", Text)],
        currency: false,
    },
    Composite {
        setting: "product_custom_metric",
        numbers: &[("prcm", "productIndex"), ("cm", "metricIndex")],
        fields: &[("prcm", "value", Int)],
        currency: false,
    },
    Composite {
        setting: "product_impression_list",
        numbers: &[("il", "index")],
        fields: &[("ilnm", "name", Text)],
        currency: false,
    },
    Composite {
        setting: "product_impression",
        numbers: &[("ilpi", "listIndex"), ("pi", "productIndex")],
        fields: &[
            ("ilpiid", "sku", Text),
            ("ilpinm", "name", Text),
            ("ilpibr", "brand", Text),
            ("ilpica", "category", Text),
            ("ilpiva", "variant", Text),
            ("ilpips", "position", Int),
            ("ilpipr", "price", Amount),
        ],
        currency: true,
    },
    Composite {
        setting: "product_impression_custom_dimension",
        numbers: &[
            ("ilpicd", "listIndex"),
            ("picd", "productIndex"),
            ("cd", "customDimensionIndex"),
        ],
        fields: &[("ilpicd", "value", Text)],
        currency: false,
    },
    Composite {
        setting: "product_impression_custom_metric",
        numbers: &[("ilpicm", "listIndex"), ("picm", "productIndex"), ("cm", "customMetricIndex")],
        fields: &[("ilpicm", "value", Int)],
        currency: false,
    },
    Composite {
        setting: "promotion",
        numbers: &[("promo", "index")],
        fields: &[
            ("promoid", "id", Text),
            ("promonm", "name", Text),
            ("promocr", "creative", Text),
            ("promops", "position", Text),
        ],
        currency: false,
    },
    Composite {
        setting: "custom_dimension",
        numbers: &[("cd", "index")],
        fields: &[("cd", "value", Text)],
        currency: false,
    },
    Composite {
        setting: "custom_metric",
        numbers: &[("cm", "index")],
        fields: &[("cm", "value", Double)],
        currency: false,
    },
    Composite {
        setting: "content_group",
        numbers: &[("cg", "index")],
        fields: &[("cg", "value", Text)],
        currency: false,
    },
];

/// The tracker's parameter that has the same meaning.
pub(super) fn tracker_parameter(name: &str, hit: &str) -> Option<&'static str> {
    Some(match (name, hit) {
        ("uip", _) => "ip",
        ("dr", _) => "refr",
        ("de", _) => "cs",
        ("sd", _) => "cd",
        ("ul", _) => "lang",
        ("je", _) => "f_java",
        ("dl", _) => "url",
        ("dt", _) => "page",
        ("ti", "transaction") => "tr_id",
        ("ti", _) => "ti_id",
        ("ta", _) => "tr_af",
        ("tr", _) => "tr_tt",
        ("ts", _) => "tr_sh",
        ("tt", _) => "tr_tx",
        ("in", _) => "ti_nm",
        ("ip", _) => "ti_pr",
        ("iq", _) => "ti_qu",
        ("ic", _) => "ti_sk",
        ("iv", _) => "ti_ca",
        ("cu", "transaction") => "tr_cu",
        ("cu", _) => "ti_cu",
        ("ua", _) => "ua",
        _ => return None,
    })
}
