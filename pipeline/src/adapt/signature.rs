//! Whether a webhook was sent by who says so: the vendor's signature over what it sent.
//!
//! Signatures are compared in constant time, whichever secret is tried. The body is signed as it
//! was sent, so a body that is not UTF-8 has no signature that matches.

use std::fmt;

use event::reason::{Reason, Words};
use event::{Bump, CollectorPayload, base64, json};
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::header;

/// How a webhook's requests are signed, and with what.
#[derive(Clone)]
pub struct Signature {
    /// How.
    pub scheme: Scheme,
    /// With one of these: while secrets change there are two.
    pub keys: Vec<Key>,
    /// How long before the request was collected it may have been signed, in milliseconds; where
    /// the scheme signs a time.
    pub tolerance_ms: Option<i64>,
}

/// Where a signature is, and what it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A header with the HMAC of the body.
    Header {
        /// The header's name.
        name: String,
        /// What stands before the HMAC.
        prefix: String,
        /// How the HMAC is written.
        encoding: Encoding,
    },
    /// Stripe: `Stripe-Signature` has a time and HMACs of the time, a full stop and the body.
    Stripe,
    /// PagerDuty: `X-PagerDuty-Signature` has HMACs of the body.
    PagerDuty,
    /// Mailgun: the body has an HMAC of a time and a token.
    Mailgun,
    /// SendGrid: headers have a time, and an ECDSA signature of it and the body.
    SendGrid,
}

/// How an HMAC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In hexadecimal digits.
    Hex,
    /// In Base64.
    Base64,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// What a signature is checked with. Never printed.
#[derive(Clone)]
pub enum Key {
    /// A secret that both sides know.
    Secret(hmac::Key),
    /// The sender's public key, a point of the curve P-256.
    Public(Vec<u8>),
}

impl Key {
    /// What is shared with whoever signs, ready to be used.
    pub fn secret(hash: Hash, secret: &[u8]) -> Key {
        let algorithm = match hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        Key::Secret(hmac::Key::new(algorithm, secret))
    }

    /// A public key of P-256 as vendors show it: DER in Base64.
    pub fn public(text: &str) -> Option<Key> {
        /// The bytes of such a key up to the point, which has 65.
        const HEAD: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let arena = Bump::new();
        let der = base64::decode_bytes(text.trim().as_bytes(), &arena);
        let point = der.strip_prefix(&HEAD).filter(|point| point.len() == 65)?;
        Some(Key::Public(point.to_vec()))
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Key::Public(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

/// Signatures that a request brings: what was signed, when, and the bytes.
struct Found<'a> {
    message: Vec<u8>,
    time_ms: Option<i64>,
    signatures: Vec<Vec<u8>>,
    shown: &'a str,
}

impl Signature {
    /// Whether a request is signed; else why not.
    pub(super) fn check(&self, payload: &CollectorPayload<'_>) -> Result<(), Reason> {
        let arena = Bump::new();
        let found = self.find(payload, &arena)?;
        let refused = |expectation: &'static str| {
            Err(Reason::input("signature", Some(found.shown), expectation))
        };
        // All are tried, so that time tells nothing of which it was.
        let mut signed = false;
        for key in &self.keys {
            for signature in &found.signatures {
                signed |= key.signed(&found.message, signature);
            }
        }
        if !signed {
            return refused("the signature does not match the request");
        }
        let age = found.time_ms.map(|time| payload.timestamp.saturating_sub(time).saturating_abs());
        match (self.tolerance_ms, age) {
            (Some(tolerance), Some(age)) if age > tolerance => {
                refused("the request was not signed when it was sent")
            }
            _ => Ok(()),
        }
    }

    fn find<'a>(
        &self,
        payload: &CollectorPayload<'a>,
        arena: &'a Bump,
    ) -> Result<Found<'a>, Reason> {
        /// More signatures than these no vendor sends.
        const MOST: usize = 8;
        let body = payload.body.unwrap_or_default();
        let of_header = |name: &str| {
            header(payload, name).ok_or_else(|| {
                let expectation = Words::own(format!("expected a header `{name}`"));
                Reason::input("signature", None, expectation)
            })
        };
        let listed = |text: &'a str, version: &str| {
            let items = text.split(',').filter_map(|item| item.trim().split_once('='));
            let of_version = items.filter(|(name, _)| *name == version).take(MOST);
            of_version.filter_map(|(_, value)| hex(value)).collect::<Vec<_>>()
        };
        let seconds = |text: &str| text.parse::<i64>().ok()?.checked_mul(1000);
        Ok(match &self.scheme {
            Scheme::Header { name, prefix, encoding } => {
                let shown = of_header(name)?;
                let text = shown.strip_prefix(prefix.as_str()).unwrap_or_default();
                let signature = match encoding {
                    Encoding::Hex => hex(text),
                    Encoding::Base64 => Some(base64::decode_bytes(text.as_bytes(), arena).to_vec()),
                };
                let signatures = signature.into_iter().collect();
                Found { message: body.into(), time_ms: None, signatures, shown }
            }
            Scheme::Stripe => {
                let shown = of_header("Stripe-Signature")?;
                let mut items = shown.split(',').filter_map(|item| item.trim().split_once('='));
                let time = items.find(|(name, _)| *name == "t").map_or("", |(_, time)| time);
                let message = format!("{time}.{body}").into_bytes();
                let signatures = listed(shown, "v1");
                Found { message, time_ms: seconds(time), signatures, shown }
            }
            Scheme::PagerDuty => {
                let shown = of_header("X-PagerDuty-Signature")?;
                let signatures = listed(shown, "v1");
                Found { message: body.into(), time_ms: None, signatures, shown }
            }
            Scheme::Mailgun => {
                let compact = json::compact(body, arena).unwrap_or_default();
                let signature = json::member(compact, "signature").unwrap_or_default();
                let member = |name| {
                    json::member(signature, name)
                        .map(|value| json::unescape(value, arena).unwrap_or(value))
                        .ok_or_else(|| {
                            let expectation = format!("expected `{name}` in `signature`");
                            let expectation = Words::own(expectation);
                            Reason::input("signature", None, expectation)
                        })
                };
                let (time, shown) = (member("timestamp")?, member("signature")?);
                let message = format!("{time}{}", member("token")?).into_bytes();
                let signatures = hex(shown).into_iter().collect();
                Found { message, time_ms: seconds(time), signatures, shown }
            }
            Scheme::SendGrid => {
                let shown = of_header("X-Twilio-Email-Event-Webhook-Signature")?;
                let time = of_header("X-Twilio-Email-Event-Webhook-Timestamp")?;
                let message = format!("{time}{body}").into_bytes();
                let signatures = vec![base64::decode_bytes(shown.as_bytes(), arena).to_vec()];
                Found { message, time_ms: seconds(time), signatures, shown }
            }
        })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature").field("scheme", &self.scheme).field("keys", &"***").finish()
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"id":"evt_1"}"#;

    fn mac(message: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec");
        let tag = hmac::sign(&key, message.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(scheme: Scheme, headers: &[&str], body: &str) -> Result<(), String> {
        let keys = ["old", "whsec"].map(|key| Key::secret(Hash::Sha256, key.as_bytes())).to_vec();
        let signature = Signature { scheme, keys, tolerance_ms: Some(300_000) };
        let payload = CollectorPayload {
            body: Some(body),
            headers,
            timestamp: 1_700_000_100_000,
            ..CollectorPayload::default()
        };
        signature.check(&payload).map_err(|reason| match reason {
            Reason::Input { field, expectation, .. } if field.text() == "signature" => {
                expectation.to_string()
            }
            other => panic!("{other:?}"),
        })
    }

    const WRONG: &str = "the signature does not match the request";

    #[test]
    fn a_header_signs_the_body() {
        let scheme = || Scheme::Header {
            name: "X-Hub-Signature-256".to_owned(),
            prefix: "sha256=".to_owned(),
            encoding: Encoding::Hex,
        };
        let sound = format!("x-hub-signature-256: sha256={}", mac(BODY));
        assert_eq!(check(scheme(), &["Host: a", &sound], BODY), Ok(()));
        assert_eq!(check(scheme(), &[&sound], "{}"), Err(WRONG.to_owned()));
        let bare = format!("X-Hub-Signature-256: {}", mac(BODY));
        assert_eq!(check(scheme(), &[&bare], BODY), Err(WRONG.to_owned()));
        let missing = Err("expected a header `X-Hub-Signature-256`".to_owned());
        assert_eq!(check(scheme(), &[], BODY), missing);
        let base64 = || Scheme::Header {
            name: "X-Shopify-Hmac-Sha256".to_owned(),
            prefix: String::new(),
            encoding: Encoding::Base64,
        };
        let sound = base64::encode(&hex(&mac(BODY)).expect("digits"));
        let sound = format!("X-Shopify-Hmac-Sha256: {sound}");
        assert_eq!(check(base64(), &[&sound], BODY), Ok(()));
        assert_eq!(check(base64(), &["X-Shopify-Hmac-Sha256: !"], BODY), Err(WRONG.to_owned()));
    }

    #[test]
    fn stripe_signs_the_time_too() {
        let header = |time: &str| {
            format!("Stripe-Signature: t={time},v1=00,v1={}", mac(&format!("{time}.{BODY}")))
        };
        assert_eq!(check(Scheme::Stripe, &[&header("1700000000")], BODY), Ok(()));
        let late = Err("the request was not signed when it was sent".to_owned());
        assert_eq!(check(Scheme::Stripe, &[&header("1699999000")], BODY), late);
        let moved = header("1700000000").replace("t=1700000000", "t=1700000001");
        assert_eq!(check(Scheme::Stripe, &[&moved], BODY), Err(WRONG.to_owned()));
    }

    #[test]
    fn pagerduty_lists_signatures_and_mailgun_has_one_in_the_body() {
        let header = format!("X-PagerDuty-Signature: v1=00ff,v1={}", mac(BODY));
        assert_eq!(check(Scheme::PagerDuty, &[&header], BODY), Ok(()));
        let body = |signature: &str| {
            format!(
                r#"{{"signature":{{"timestamp":"1700000000","token":"t","signature":"{signature}"}}}}"#
            )
        };
        assert_eq!(check(Scheme::Mailgun, &[], &body(&mac("1700000000t"))), Ok(()));
        assert_eq!(check(Scheme::Mailgun, &[], &body("00")), Err(WRONG.to_owned()));
        let missing = Err("expected `timestamp` in `signature`".to_owned());
        assert_eq!(check(Scheme::Mailgun, &[], "[["), missing);
    }

    #[test]
    fn sendgrid_signs_with_a_key_of_its_own() {
        use ring::rand::SystemRandom;
        use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
        let (chance, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &chance).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &chance).expect("a key");
        let signed = |message: &str| {
            let signature = pair.sign(&chance, message.as_bytes()).expect("a signature");
            base64::encode(signature.as_ref())
        };
        let check = |signature: &str, body: &str| {
            let keys = vec![Key::Public(pair.public_key().as_ref().to_vec())];
            let check = Signature { scheme: Scheme::SendGrid, keys, tolerance_ms: None };
            let signature = format!("X-Twilio-Email-Event-Webhook-Signature: {signature}");
            let headers = [&*signature, "X-Twilio-Email-Event-Webhook-Timestamp: 1700000000"];
            let payload = CollectorPayload {
                body: Some(body),
                headers: &headers,
                ..CollectorPayload::default()
            };
            check.check(&payload).is_ok()
        };
        let signature = signed(&format!("1700000000{BODY}"));
        assert!(check(&signature, BODY));
        assert!(!check(&signature, "{}"));
        assert!(!check("", BODY));
        assert!(Key::public("AAAA").is_none());
    }
}
