//! Names of what is outside: streams, tables, buckets, folders in buckets, regions, endpoints. What
//! no service would take is refused where it stands in the file.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use reqwest::Url;
use serde::de::{Deserialize, Deserializer, Error};

use super::value::Text;

/// A text that can be the name of such a thing.
pub struct Name<K>(String, PhantomData<K>);

/// What a name is of.
pub trait Kind {
    /// What is expected, in words.
    const EXPECTED: &'static str;

    /// Whether a service would take it.
    fn fits(text: &str) -> bool;
}

/// A stream of Kinesis.
#[derive(Clone, Copy, Debug)]
pub enum OfStream {}

/// A stream of Kinesis that is read, perhaps in another account.
#[derive(Clone, Copy, Debug)]
pub enum OfSource {}

/// A consumer of a stream.
#[derive(Clone, Copy, Debug)]
pub enum OfConsumer {}

/// A table of DynamoDB.
#[derive(Clone, Copy, Debug)]
pub enum OfTable {}

/// A namespace of a catalog of Iceberg.
#[derive(Clone, Copy, Debug)]
pub enum OfNamespace {}

/// A bucket of S3.
#[derive(Clone, Copy, Debug)]
pub enum OfBucket {}

/// How names of objects begin.
#[derive(Clone, Copy, Debug)]
pub enum OfPrefix {}

/// Of a region of AWS, as `eu-west-1`.
#[derive(Clone, Copy, Debug)]
pub enum OfRegion {}

/// A role of AWS that can be taken.
#[derive(Clone, Copy, Debug)]
pub enum OfRole {}

/// Where a service answers.
#[derive(Clone, Copy, Debug)]
pub enum OfEndpoint {}

/// A server, by host and port.
#[derive(Clone, Copy, Debug)]
pub enum OfServer {}

/// Metrics, by what their names begin with.
#[derive(Clone, Copy, Debug)]
pub enum OfMetrics {}

/// What a metric is told apart by.
#[derive(Clone, Copy, Debug)]
pub enum OfTag {}

impl Kind for OfServer {
    const EXPECTED: &'static str = "a host and a port, as in `127.0.0.1:8125`";

    fn fits(text: &str) -> bool {
        let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let url = Url::parse(&format!("udp://{text}"));
        port.is_some_and(|port| port > 0)
            && url.is_ok_and(|url| {
                url.has_host() && url.path().is_empty() && url.username().is_empty()
            })
    }
}

impl Kind for OfMetrics {
    const EXPECTED: &'static str = "how names of metrics begin (letters, digits and any of `_.-`)";

    fn fits(text: &str) -> bool {
        text.len() <= 128 && text.bytes().all(is_word)
    }
}

impl Kind for OfTag {
    const EXPECTED: &'static str = "a tag's text (up to 200 characters, none of `,|#:` and spaces)";

    fn fits(text: &str) -> bool {
        text.len() <= 200
            && !text.chars().any(|c| c.is_control() || c.is_whitespace() || ",|#:@".contains(c))
    }
}

impl Kind for OfStream {
    const EXPECTED: &'static str =
        "the name of a stream (up to 128 letters, digits and any of `_.-`; no ARN)";

    fn fits(text: &str) -> bool {
        text.len() <= 128 && text.bytes().all(is_word)
    }
}

impl Kind for OfSource {
    const EXPECTED: &'static str =
        "the name of a stream (up to 128 letters, digits and any of `_.-`) or its ARN";

    fn fits(text: &str) -> bool {
        let parts: Vec<&str> = text.split(':').collect();
        let arn = match parts.as_slice() {
            ["arn", _, "kinesis", region, account, name] => {
                let name = name.strip_prefix("stream/");
                let account = account.bytes().all(|byte| byte.is_ascii_digit());
                account && !region.is_empty() && name.is_some_and(OfStream::fits)
            }
            _ => false,
        };
        arn || OfStream::fits(text)
    }
}

impl Kind for OfConsumer {
    const EXPECTED: &'static str =
        "the name of a consumer (up to 128 letters, digits and any of `_.-`) or its ARN";

    fn fits(text: &str) -> bool {
        let arn = is_arn(text) && text.contains(":stream/") && text.contains("/consumer/");
        arn || (text.len() <= 128 && text.bytes().all(is_word))
    }
}

impl Kind for OfTable {
    const EXPECTED: &'static str =
        "the name of a table (3 to 255 letters, digits and any of `_.-`) or its ARN";

    fn fits(text: &str) -> bool {
        is_arn(text) || ((3..=255).contains(&text.len()) && text.bytes().all(is_word))
    }
}

impl Kind for OfNamespace {
    const EXPECTED: &'static str =
        "the name of a namespace (up to 128 small letters, digits and `_`)";

    fn fits(text: &str) -> bool {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        text.len() <= 128 && text.bytes().all(word)
    }
}

impl Kind for OfBucket {
    const EXPECTED: &'static str =
        "the name of a bucket (3 to 63 letters, digits and any of `.-`; no URI) or an ARN";

    /// Old buckets have longer names and underscores.
    fn fits(text: &str) -> bool {
        is_arn(text) || ((3..=255).contains(&text.len()) && text.bytes().all(is_word))
    }
}

impl Kind for OfPrefix {
    const EXPECTED: &'static str =
        "how names of objects begin (a folder in the bucket, as in `snowmelt/bad`)";

    /// A key has 1,024 bytes, and the rest of a name needs some.
    fn fits(text: &str) -> bool {
        text.len() <= 700
            && !text.starts_with('/')
            && !text.contains("://")
            && !text.chars().any(char::is_control)
    }
}

impl Kind for OfRegion {
    const EXPECTED: &'static str = "the name of a region, as in `eu-central-1`";

    fn fits(text: &str) -> bool {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

impl Kind for OfRole {
    const EXPECTED: &'static str =
        "the ARN of a role, as in `arn:aws:iam::123456789012:role/events-writer`";

    fn fits(text: &str) -> bool {
        is_arn(text) && text.contains(":iam:") && text.contains(":role/")
    }
}

impl Kind for OfEndpoint {
    const EXPECTED: &'static str = "a URL, as in `http://127.0.0.1:4566`";

    fn fits(text: &str) -> bool {
        Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

pub(super) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6
}

impl<K: Kind> Name<K> {
    /// A text that is one.
    pub fn parse(text: &str) -> Result<Name<K>, String> {
        if !text.is_empty() && K::fits(text) {
            return Ok(Name(text.to_owned(), PhantomData));
        }
        Err(format!("expected {}, found `{text}`", K::EXPECTED))
    }
}

impl<K> Deref for Name<K> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<K> Clone for Name<K> {
    fn clone(&self) -> Name<K> {
        Name(self.0.clone(), PhantomData)
    }
}

impl<K> fmt::Debug for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> fmt::Display for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Name<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Name::parse(&Text::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<K: Kind>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(Name::<K>::parse(text).is_ok(), "{text}");
        }
        for text in bad {
            assert!(Name::<K>::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_no_service_would_take_is_refused() {
        let long = "x".repeat(300);
        check::<OfStream>(
            &["raw", "collector-good_1.2"],
            &["", "a b", "arn:aws:kinesis:eu-west-1:1:stream/raw", "a/b", &long],
        );
        check::<OfTable>(
            &["leases", "arn:aws:dynamodb:eu-west-1:1:table/leases"],
            &["", "ab", "a b", "a/b", &long],
        );
        check::<OfBucket>(
            &["events", "my.events-1", "arn:aws:s3:eu-west-1:1:accesspoint/ap"],
            &["", "ab", "s3://events/x", "events/x", "my events", &long],
        );
        check::<OfPrefix>(&["bad", "a/b/c/", "date=x"], &["", "/bad", "s3://events/x", "a\nb"]);
        check::<OfRegion>(&["eu-west-1", "us-gov-east-1"], &["", "eu west", "EU", "eu-west-1:"]);
        check::<OfRole>(
            &["arn:aws:iam::123456789012:role/events-writer"],
            &["", "events-writer", "arn:aws:iam::123456789012:user/me", "arn:aws:s3:::events"],
        );
        check::<OfServer>(
            &["127.0.0.1:8125", "[::1]:8125", "statsd.acme.internal:8125"],
            &["", "127.0.0.1", "a b:8125", "host:0", "host:99999", "http://x:1", "me@x:1", "x/y:1"],
        );
        check::<OfMetrics>(&["snowplow.enrich", "acme."], &["", "a b", "a:b", "a|b"]);
        check::<OfTag>(&["prod", "eu-west-1", "ünder"], &["", "a,b", "a|c", "a b", "x:y", "a\nb"]);
        check::<OfEndpoint>(
            &["http://127.0.0.1:4566", "https://kinesis.eu-west-1.amazonaws.com", "http://[::1]:1"],
            &["", "127.0.0.1:4566", "hello world", "ftp://x", "http://", "localhost:4566", "/x"],
        );
    }
}
