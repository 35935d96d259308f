//! People who browse: a device, an address, a session, and the page they are on.

use fastrand::Rng;

use super::{Parameters, uuid};

/// One browser.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) ip: String,
    pub(super) user_agent: String,
    pub(super) network_userid: String,
    pub(super) domain_userid: String,
    pub(super) session: String,
    pub(super) session_index: u32,
    pub(super) event_index: u32,
    pub(super) first_event_ms: i64,
    pub(super) page: String,
    pub(super) page_view: String,
    title: String,
    referrer: String,
    language: &'static str,
    zone: &'static str,
    screen: (u32, u32),
}

const LANGUAGES: [&str; 5] = ["en-US", "en-GB", "de-DE", "fr-FR", "es-ES"];
const ZONES: [&str; 5] =
    ["America/New_York", "Europe/London", "Europe/Berlin", "Europe/Paris", "Asia/Tokyo"];
const SCREENS: [(u32, u32); 4] = [(1920, 1080), (1440, 900), (390, 844), (412, 915)];
const HOSTS: [&str; 3] = ["www.example-shop.com", "m.example-shop.com", "blog.example-shop.com"];
const SECTIONS: [&str; 6] = ["grocery", "garden", "kids", "books", "outdoor", "sale"];
const WORDS: [&str; 8] = ["blue", "tent", "coffee", "café", "beans", "lamp", "winter", "zoë"];
const REFERRERS: [&str; 5] = [
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://l.facebook.com/",
    "https://news.example.org/today?page=2",
    "",
];
const CAMPAIGNS: [&str; 4] = [
    "utm_source=newsletter&utm_medium=email&utm_campaign=spring",
    "utm_source=google&utm_medium=cpc&utm_campaign=brand&gclid=Cj0KCQjw-xyz",
    "page=2&sort=price_asc",
    "",
];

impl Visitor {
    pub(super) fn new(random: &mut Rng) -> Visitor {
        Visitor {
            ip: address(random),
            user_agent: user_agent(random),
            network_userid: uuid(random),
            domain_userid: uuid(random),
            session: uuid(random),
            session_index: random.u32(1..30),
            event_index: 0,
            first_event_ms: 0,
            page: String::new(),
            page_view: String::new(),
            title: String::new(),
            referrer: pick(random, &REFERRERS).to_owned(),
            language: pick(random, &LANGUAGES),
            zone: pick(random, &ZONES),
            screen: SCREENS[random.usize(..SCREENS.len())],
        }
    }

    /// Goes on: stays on the page, turns to another, or comes back later in a new session.
    pub(super) fn browse(&mut self, random: &mut Rng, now_ms: i64) {
        if self.event_index == 0 || random.u8(..40) == 0 {
            self.session = uuid(random);
            self.session_index += 1;
            self.event_index = 0;
            self.first_event_ms = now_ms;
        }
        self.event_index += 1;
        if self.page.is_empty() || random.u8(..3) == 0 {
            let (section, word) = (pick(random, &SECTIONS), pick(random, &WORDS));
            let (host, query) = (pick(random, &HOSTS), pick(random, &CAMPAIGNS));
            let mark = if query.is_empty() { "" } else { "?" };
            if !self.page.is_empty() {
                self.referrer = std::mem::take(&mut self.page);
            }
            let path = word.chars().filter(char::is_ascii).collect::<String>();
            self.page = format!("https://{host}/{section}/{path}{mark}{query}");
            self.title = format!("{word} {section} | Example Shop");
            self.page_view = uuid(random);
        }
    }

    /// The parameters that every event has.
    pub(super) fn parameters(&self, created_ms: i64) -> Parameters {
        let (width, height) = self.screen;
        let mut parameters = vec![
            ("p", "web".to_owned()),
            ("tv", "js-3.24.0".to_owned()),
            ("tna", "sp1".to_owned()),
            ("aid", "example-shop".to_owned()),
            ("cookie", "1".to_owned()),
            ("cs", "UTF-8".to_owned()),
            ("cd", "24".to_owned()),
            ("lang", self.language.to_owned()),
            ("tz", self.zone.to_owned()),
            ("res", format!("{width}x{height}")),
            ("vp", format!("{width}x{}", height - 100)),
            ("ds", format!("{width}x{}", height * 4)),
            ("dtm", created_ms.to_string()),
            ("duid", self.domain_userid.clone()),
            ("sid", self.session.clone()),
            ("vid", self.session_index.to_string()),
            ("url", self.page.clone()),
            ("page", self.title.clone()),
        ];
        if !self.referrer.is_empty() {
            parameters.push(("refr", self.referrer.clone()));
        }
        parameters
    }

    /// What the browser and the load balancer sent.
    pub(super) fn headers(&self) -> Vec<String> {
        vec![
            "Host: collector.example-shop.com".to_owned(),
            format!("X-Forwarded-For: {}", self.ip),
            "X-Forwarded-Proto: https".to_owned(),
            format!("User-Agent: {}", self.user_agent),
            "Accept: */*".to_owned(),
            format!("Accept-Language: {}, en;q=0.9", self.language),
            "Origin: https://www.example-shop.com".to_owned(),
            format!("Referer: {}", self.page.split('?').next().unwrap_or_default()),
            format!("Cookie: sp={}", self.network_userid),
            "application/json".to_owned(),
        ]
    }
}

fn pick<'a>(random: &mut Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}

/// Mostly IPv4 of ordinary networks, among them ranges that test databases know.
fn address(random: &mut Rng) -> String {
    match random.u8(..20) {
        0 => format!("2a02:c7f:{:x}:{:x}::{:x}", random.u16(..), random.u16(..), random.u16(..)),
        1..4 => format!("81.2.69.{}", random.u8(142..=146)),
        4 => "216.160.83.56".to_owned(),
        5 => "89.160.20.112".to_owned(),
        _ => {
            let (a, b, c, d) = (random.u8(11..=99), random.u8(..), random.u8(..), random.u8(1..));
            format!("{a}.{b}.{c}.{d}")
        }
    }
}

fn user_agent(random: &mut Rng) -> String {
    let chrome = format!("{}.0.{}.0", random.u32(90..140), random.u32(0..7000));
    let phone = ["Pixel 8", "SM-S918B", "SM-A546B", "K"][random.usize(..4)];
    let (major, minor) = (random.u32(13..19), random.u32(0..7));
    match random.u8(..10) {
        0..3 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/{chrome} Safari/537.36"
        ),
        3..5 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS {major}_{minor} like Mac OS X) \
             AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{major}.{minor} \
             Mobile/15E148 Safari/604.1"
        ),
        5..7 => format!(
            "Mozilla/5.0 (Linux; Android {}; {phone}) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/{chrome} Mobile Safari/537.36",
            random.u32(9..15)
        ),
        7 => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/{major}.{minor} Safari/605.1.15"
        ),
        8 => format!(
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
            random.u32(90..140)
        ),
        _ => "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".to_owned(),
    }
}
