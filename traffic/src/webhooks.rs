//! One request of each webhook that has an adapter, as its sender would make it: for measuring, and
//! for whoever wants to see one.

use event::thrift::Wire;

use crate::requests;

/// A webhook's request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The adapter's name in configurations.
    pub adapter: &'static str,
    /// Where the service sends it.
    pub path: &'static str,
    /// The query string.
    pub query: Option<&'static str>,
    /// What the service says that the body is.
    pub content_type: Option<&'static str>,
    /// What the service sends.
    pub body: Option<&'static str>,
}

impl Request {
    /// The request as a record of the stream.
    pub fn record(&self) -> Vec<u8> {
        requests::record(&Wire {
            querystring: self.query.map(str::trim_end).map(str::as_bytes),
            content_type: self.content_type.map(str::as_bytes),
            body: self.body.map(|body| body.trim_end_matches('\n').as_bytes()),
            ..requests::get(self.path, "")
        })
    }
}

/// All of them.
pub const REQUESTS: [Request; 17] = [
    Request {
        adapter: "callrail",
        path: "/com.callrail/v1",
        query: Some(include_str!("webhooks/callrail.query")),
        content_type: None,
        body: None,
    },
    Request {
        adapter: "cloudfront_access_log",
        path: "/com.amazon.aws.cloudfront/wd_access_log",
        query: None,
        content_type: None,
        body: Some(include_str!("webhooks/cloudfront_access_log.txt")),
    },
    Request {
        adapter: "cloudfront_firehose",
        path: "/com.amazon.aws.cloudfront/firehose",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/cloudfront_firehose.json")),
    },
    Request {
        adapter: "google_analytics",
        path: "/com.google.analytics/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/google_analytics.form")),
    },
    Request {
        adapter: "hubspot",
        path: "/com.hubspot/v1",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/hubspot.json")),
    },
    Request {
        adapter: "mailchimp",
        path: "/com.mailchimp/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/mailchimp.form")),
    },
    Request {
        adapter: "mailgun",
        path: "/com.mailgun/v1",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/mailgun.json")),
    },
    Request {
        adapter: "mandrill",
        path: "/com.mandrill/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/mandrill.form")),
    },
    Request {
        adapter: "marketo",
        path: "/com.marketo/v1",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/marketo.json")),
    },
    Request {
        adapter: "olark",
        path: "/com.olark/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/olark.form")),
    },
    Request {
        adapter: "pagerduty",
        path: "/com.pagerduty/v1",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/pagerduty.json")),
    },
    Request {
        adapter: "pingdom",
        path: "/com.pingdom/v1",
        query: Some(include_str!("webhooks/pingdom.query")),
        content_type: None,
        body: None,
    },
    Request {
        adapter: "sendgrid",
        path: "/com.sendgrid/v3",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/sendgrid.json")),
    },
    Request {
        adapter: "statusgator",
        path: "/com.statusgator/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/statusgator.form")),
    },
    Request {
        adapter: "unbounce",
        path: "/com.unbounce/v1",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: Some(include_str!("webhooks/unbounce.form")),
    },
    Request {
        adapter: "urban_airship",
        path: "/com.urbanairship.connect/v1",
        query: None,
        content_type: None,
        body: Some(include_str!("webhooks/urban_airship.json")),
    },
    Request {
        adapter: "vero",
        path: "/com.getvero/v1",
        query: None,
        content_type: Some("application/json"),
        body: Some(include_str!("webhooks/vero.json")),
    },
];
