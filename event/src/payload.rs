//! A collector payload: one HTTP request as the collector kept it, decoded and checked.

/// A parameter. `None` is one named without a value (`?aid`).
pub type Parameter<'a> = (&'a str, Option<&'a str>);

/// One request of a tracker or webhook.
///
/// Field names in comments are those of the Thrift struct; see [`crate::thrift`] for its wire form.
#[derive(Clone, Debug, Default)]
pub struct CollectorPayload<'a> {
    /// First part of the request's path: selects the adapter together with `version`.
    pub vendor: &'a str,
    /// Second part of the path.
    pub version: &'a str,
    /// Name and value of each query parameter in order, decoded, duplicates kept.
    pub querystring: &'a [Parameter<'a>],
    /// `contentType`.
    pub content_type: Option<&'a str>,
    /// `body`.
    pub body: Option<&'a str>,
    /// `collector`: name and version of the collector.
    pub collector: Option<&'a str>,
    /// `encoding`: the charset of the query string.
    pub encoding: &'a str,
    /// `hostname` the request was sent to.
    pub hostname: Option<&'a str>,
    /// `timestamp`: milliseconds since the epoch, UTC.
    pub timestamp: i64,
    /// The client's address: from the forwarding headers if they have one, else `ipAddress`.
    pub ip_address: Option<&'a str>,
    /// `userAgent`.
    pub useragent: Option<&'a str>,
    /// `refererUri`.
    pub referer_uri: Option<&'a str>,
    /// `headers`, each `Name: value`.
    pub headers: &'a [&'a str],
    /// `networkUserId`, a lower-case UUID.
    pub network_userid: Option<&'a str>,
}
