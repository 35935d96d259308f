//! Webhooks: `[adapters]` says what differs from what is built in, and each `[[adapter]]` describes
//! a webhook that is not.

use std::collections::BTreeMap;
use std::fmt;

use event::SchemaKey;
use pipeline::adapt::signature::{Encoding, Hash, Key, Scheme, Signature};
use pipeline::adapt::{
    Adapters, Conversion, Custom, Example, Expected, Format, Keys, Place, Pointer,
};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use super::value::{Secret, Span, Text};

/// `[adapters]`: the built-in webhooks, with what the file says of them.
#[derive(Clone, Debug, Default)]
pub struct BuiltIn(pub Adapters);

/// `[[adapter]]`: a webhook that the file describes.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "Described")]
pub struct Webhook {
    /// The webhook.
    pub custom: Custom,
    /// How its requests are signed.
    pub signature: Option<Signature>,
    /// Requests, what they must become, and where they stand in the file.
    pub examples: Vec<(usize, Example)>,
}

/// A webhook as the file has it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    path: Endpoint,
    #[serde(default)]
    content_types: Vec<Text>,
    #[serde(default)]
    body: BodyFormat,
    field: Option<Text>,
    events: Option<PointerText>,
    #[serde(rename = "type")]
    kind: Option<PlaceText>,
    #[serde(default)]
    schemas: BTreeMap<String, Uri>,
    schema: Option<Uri>,
    #[serde(default)]
    required: Vec<PointerText>,
    #[serde(default)]
    convert: BTreeMap<PointerText, ConversionName>,
    #[serde(default)]
    drop: Vec<PointerText>,
    #[serde(default)]
    rename: BTreeMap<PointerText, Text>,
    #[serde(default)]
    keys: KeyCase,
    #[serde(default)]
    parameters: BTreeMap<ParameterName, PlaceText>,
    #[serde(default)]
    platform: Platform,
    signature: Option<Signed>,
    #[serde(default)]
    example: Vec<Spanned<Sample>>,
}

impl TryFrom<Described> for Webhook {
    type Error = String;

    fn try_from(found: Described) -> Result<Webhook, String> {
        let format = match found.body {
            BodyFormat::Json => Format::Json,
            BodyFormat::Ndjson => Format::JsonLines,
            BodyFormat::Form => Format::Form,
            BodyFormat::Query => Format::Query,
        };
        if found.schemas.is_empty() && found.schema.is_none() {
            return Err("expected `schema`, or `type` and `schemas`".to_owned());
        }
        if found.schemas.is_empty() == found.kind.is_some() {
            return Err("`type` and `schemas` need each other".to_owned());
        }
        if found.field.is_some() && matches!(format, Format::Json | Format::JsonLines) {
            return Err(
                "`field` is of use with `body = \"form\"` and `body = \"query\"`".to_owned()
            );
        }
        if found.events.is_some() && matches!(format, Format::JsonLines | Format::Query) {
            return Err(
                "`events` is of use with `body = \"json\"` and `body = \"form\"`".to_owned()
            );
        }
        let custom = Custom {
            endpoint: found.path.0,
            content_types: found.content_types.iter().map(|text| text.to_string()).collect(),
            format,
            field: found.field.map(|field| field.to_string()),
            events: found.events.map(|pointer| pointer.0),
            kind: found.kind.map(|place| place.0),
            schemas: found.schemas.into_iter().map(|(kind, uri)| (kind, uri.0)).collect(),
            schema: found.schema.map(|uri| uri.0),
            required: found.required.into_iter().map(|pointer| pointer.0).collect(),
            convert: found.convert.into_iter().map(|(at, how)| (at.0, how.into())).collect(),
            drop: found.drop.into_iter().map(|pointer| pointer.0).collect(),
            rename: found.rename.into_iter().map(|(at, to)| (at.0, to.to_string())).collect(),
            keys: match found.keys {
                KeyCase::Keep => Keys::Kept,
                KeyCase::Camel => Keys::Camel,
            },
            parameters: found.parameters.into_iter().map(|(name, at)| (name.0, at.0)).collect(),
            platform: found.platform.0,
        };
        let samples = found.example.into_iter();
        let examples = samples.map(|sample| {
            let start = sample.span().start;
            sample.into_inner().example().map(|example| (start, example))
        });
        Ok(Webhook {
            custom,
            signature: found.signature.map(|signed| signed.0),
            examples: examples.collect::<Result<_, _>>()?,
        })
    }
}

/// `[[adapter.example]]`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    body: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: Vec<String>,
    schema: Option<Uri>,
    expect: Option<String>,
    refused: Option<String>,
}

impl Sample {
    fn example(self) -> Result<Example, String> {
        let expected = match (self.schema, self.expect, self.refused) {
            (Some(schema), Some(data), None) => Expected::Events {
                schema: schema.0.to_string(),
                data: serde_json::from_str(&data)
                    .map_err(|error| format!("example: `expect` is no JSON: {error}"))?,
            },
            (None, None, Some(reason)) => Expected::Refused(reason),
            _ => return Err("example: expected `schema` and `expect`, or `refused`".to_owned()),
        };
        Ok(Example {
            body: self.body,
            content_type: self.content_type,
            query: self.query,
            headers: self.headers,
            expected,
        })
    }
}

/// `signature`
#[derive(serde::Deserialize)]
#[serde(try_from = "SignatureTable")]
struct Signed(Signature);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureTable {
    scheme: SchemeName,
    secrets: Vec<Secret>,
    tolerance: Option<Span<1_000, 604_800_000>>,
    header: Option<Text>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    encoding: EncodingName,
    #[serde(default)]
    hash: HashName,
}

impl TryFrom<SignatureTable> for Signed {
    type Error = String;

    fn try_from(found: SignatureTable) -> Result<Signed, String> {
        if found.secrets.is_empty() {
            return Err("expected a secret in `secrets`".to_owned());
        }
        let header = |name: &str, prefix: &str, encoding| Scheme::Header {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            encoding,
        };
        let scheme = match (found.scheme, &found.header) {
            (SchemeName::Hmac, Some(name)) => {
                let encoding = match found.encoding {
                    EncodingName::Hex => Encoding::Hex,
                    EncodingName::Base64 => Encoding::Base64,
                };
                header(name, &found.prefix, encoding)
            }
            (SchemeName::Hmac, None) => return Err("the scheme `hmac` needs a `header`".to_owned()),
            (_, Some(_)) => return Err("only the scheme `hmac` has a `header`".to_owned()),
            (SchemeName::Github, None) => header("X-Hub-Signature-256", "sha256=", Encoding::Hex),
            (SchemeName::Shopify, None) => header("X-Shopify-Hmac-Sha256", "", Encoding::Base64),
            (SchemeName::Stripe, None) => Scheme::Stripe,
            (SchemeName::Pagerduty, None) => Scheme::PagerDuty,
            (SchemeName::Mailgun, None) => Scheme::Mailgun,
            (SchemeName::Sendgrid, None) => Scheme::SendGrid,
        };
        let hash = match found.hash {
            HashName::Sha1 => Hash::Sha1,
            HashName::Sha256 => Hash::Sha256,
            HashName::Sha512 => Hash::Sha512,
        };
        let key = |secret: &Secret| match found.scheme {
            SchemeName::Sendgrid => Key::public(secret.reveal())
                .ok_or("expected SendGrid's public key, which begins with `MFkw`".to_owned()),
            _ => Ok(Key::secret(hash, secret.reveal().as_bytes())),
        };
        let keys = found.secrets.iter().map(key).collect::<Result<_, _>>()?;
        // Stripe signs each attempt anew; others may repeat an old time for hours.
        let usual = (found.scheme == SchemeName::Stripe).then_some(300_000);
        let tolerance = found.tolerance.map(|span| span.get().as_millis() as i64);
        Ok(Signed(Signature { scheme, keys, tolerance_ms: tolerance.or(usual) }))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum SchemeName {
    Github,
    Shopify,
    Stripe,
    Pagerduty,
    Mailgun,
    Sendgrid,
    Hmac,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodingName {
    #[default]
    Hex,
    Base64,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum HashName {
    Sha1,
    #[default]
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyFormat {
    #[default]
    Json,
    Ndjson,
    Form,
    Query,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyCase {
    #[default]
    Keep,
    Camel,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConversionName {
    EpochSeconds,
    EpochMillis,
    Date,
    Number,
    Boolean,
    Text,
    Json,
    EmptyToNull,
}

impl From<ConversionName> for Conversion {
    fn from(name: ConversionName) -> Conversion {
        match name {
            ConversionName::EpochSeconds => Conversion::EpochSeconds,
            ConversionName::EpochMillis => Conversion::EpochMillis,
            ConversionName::Date => Conversion::Date,
            ConversionName::Number => Conversion::Number,
            ConversionName::Boolean => Conversion::Boolean,
            ConversionName::Text => Conversion::Text,
            ConversionName::Json => Conversion::Json,
            ConversionName::EmptyToNull => Conversion::EmptyToNull,
        }
    }
}

struct Endpoint((String, String));

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PointerText(Pointer);

struct PlaceText(Place);

struct Uri(SchemaKey);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ParameterName(String);

struct Platform(String);

impl Default for Platform {
    fn default() -> Platform {
        Platform("srv".to_owned())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Endpoint, D::Error> {
        let text = String::deserialize(from)?;
        let path = event::convert::path(&text).filter(|_| text.contains('/'));
        let (vendor, version) = path.ok_or_else(|| {
            D::Error::custom(format!("expected a path such as `com.acme/v1`, found `{text}`"))
        })?;
        Ok(Endpoint((vendor.to_owned(), version.to_owned())))
    }
}

impl<'de> Deserialize<'de> for PointerText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PointerText, D::Error> {
        let text = String::deserialize(from)?;
        Pointer::parse(&text).map(PointerText).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PlaceText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PlaceText, D::Error> {
        let text = String::deserialize(from)?;
        Place::parse(&text).map(PlaceText).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Uri {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Uri, D::Error> {
        let text = String::deserialize(from)?;
        SchemaKey::parse(&text).map(Uri).map_err(|error| {
            D::Error::custom(format!(
                "expected an Iglu URI such as `iglu:com.acme/event/jsonschema/1-0-0`, found \
                 `{text}` ({error})"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for ParameterName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ParameterName, D::Error> {
        let text = String::deserialize(from)?;
        match pipeline::adapt::may_be_set(&text) {
            true => Ok(ParameterName(text)),
            false => Err(D::Error::custom(format!(
                "expected a parameter of the tracker protocol such as `eid`, found `{text}`"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Platform, D::Error> {
        let text = String::deserialize(from)?;
        match event::convert::platform(&text) {
            true => Ok(Platform(text)),
            false => {
                Err(D::Error::custom(format!("expected a platform such as `srv`, found `{text}`")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for BuiltIn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<BuiltIn, D::Error> {
        from.deserialize_map(ReadBuiltIn)
    }
}

struct ReadBuiltIn;

impl<'de> Visitor<'de> for ReadBuiltIn {
    type Value = BuiltIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("adapters and what differs in them")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BuiltIn, A::Error> {
        let mut adapters = Adapters::default();
        let names: Vec<&str> = Adapters::names().collect();
        while let Some(name) = map.next_key_seed(Known("adapter", &names))? {
            map.next_value_seed(ReadAdapter(&name, &mut adapters))?;
        }
        Ok(BuiltIn(adapters))
    }
}

/// One table of `[adapters]`.
struct ReadAdapter<'a>(&'a str, &'a mut Adapters);

impl<'de> DeserializeSeed<'de> for ReadAdapter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReadAdapter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("types of events and their schemas")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let ReadAdapter(adapter, adapters) = self;
        let mut names = Adapters::settings(adapter);
        names.push("signature");
        while let Some(name) = map.next_key_seed(Known("field", &names))? {
            match name.as_str() {
                "signature" => adapters.set_signature(adapter, map.next_value::<Signed>()?.0),
                setting => adapters.set_schema(adapter, setting, &map.next_value::<Uri>()?.0),
            }
        }
        Ok(())
    }
}

/// A key that is one of some; read on its own, so that a mistake is placed where it stands.
struct Known<'a>(&'static str, &'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        let Known(what, names) = self;
        let name = String::deserialize(from)?;
        if names.contains(&name.as_str()) {
            return Ok(name);
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        Err(D::Error::custom(format!("unknown {what} `{name}`, expected one of {names}")))
    }
}
