//! The webhooks that are built in: where each is sent, and which schema each of its types has.
//!
//! Paths, types and schemas are those of a running peer. [`Adapters`] is what a pipeline holds of
//! them: the schemas may be others by configuration.

use std::fmt;

use event::{Bump, CollectorPayload, SchemaKey};

use super::custom::Custom;
use super::signature::Signature;
use super::webhook::{Request, Type, Webhook};
use super::{
    Adapted, callrail, cloudfront, firehose, google_analytics, hubspot, mailchimp, mailgun,
    mandrill, marketo, olark, pagerduty, pingdom, sendgrid, statusgator, unbounce, urban_airship,
    vero,
};
use crate::schema_check::Stop;

/// A type that has one name in configurations, another for the sender.
const fn of(setting: &'static str, name: &'static str, schema: &'static str) -> Type {
    Type { setting, name: Some(name), schema }
}

/// A type that has one name for both.
const fn same(name: &'static str, schema: &'static str) -> Type {
    of(name, name, schema)
}

/// A schema that belongs to no type of event.
const fn beside(setting: &'static str, schema: &'static str) -> Type {
    Type { setting, name: None, schema }
}

/// All of them.
pub(super) static WEBHOOKS: [Webhook; 17] = [
    Webhook {
        name: "callrail",
        endpoint: ("com.callrail", "v1"),
        tracker: "com.callrail-v1",
        vendor: "com.callrail",
        types: &[same("call_complete", "call_complete/1-0-2")],
        events: callrail::events,
    },
    Webhook {
        name: "cloudfront_access_log",
        endpoint: ("com.amazon.aws.cloudfront", "wd_access_log"),
        tracker: "com.amazon.aws.cloudfront/wd_access_log",
        vendor: "com.amazon.aws.cloudfront",
        types: &[
            beside("with_12_fields", "wd_access_log/1-0-0"),
            beside("with_15_fields", "wd_access_log/1-0-1"),
            beside("with_18_fields", "wd_access_log/1-0-2"),
            beside("with_19_fields", "wd_access_log/1-0-3"),
            beside("with_23_fields", "wd_access_log/1-0-4"),
            beside("with_24_fields", "wd_access_log/1-0-5"),
            beside("with_26_fields", "wd_access_log/1-0-6"),
        ],
        events: cloudfront::events,
    },
    Webhook {
        name: "cloudfront_firehose",
        endpoint: ("com.amazon.aws.cloudfront", "firehose"),
        tracker: "com.amazon.aws.cloudfront/firehose",
        vendor: "com.amazon.aws.cloudfront",
        types: &[],
        events: firehose::events,
    },
    Webhook {
        name: "google_analytics",
        endpoint: ("com.google.analytics", "v1"),
        tracker: "com.google.analytics.measurement-protocol-v1",
        vendor: "com.google.analytics.measurement-protocol",
        types: &[
            of("page_view", "pageview", "page_view/1-0-0"),
            of("screen_view", "screenview", "screen_view/1-0-0"),
            same("event", "event/1-0-0"),
            same("transaction", "transaction/1-0-0"),
            same("item", "item/1-0-0"),
            same("social", "social/1-0-0"),
            same("exception", "exception/1-0-0"),
            same("timing", "timing/1-0-0"),
            beside("undocumented", "com.google.analytics/undocumented/1-0-0"),
            beside("private", "com.google.analytics/private/1-0-0"),
            beside("general", "general/1-0-0"),
            beside("user", "user/1-0-0"),
            beside("session", "session/1-0-0"),
            beside("traffic_source", "traffic_source/1-0-0"),
            beside("system_info", "system_info/1-0-0"),
            beside("link", "link/1-0-0"),
            beside("app", "app/1-0-0"),
            beside("product_action", "product_action/1-0-0"),
            beside("content_experiment", "content_experiment/1-0-0"),
            beside("hit", "hit/1-0-0"),
            beside("promotion_action", "promotion_action/1-0-0"),
            beside("product", "product/1-0-0"),
            beside("product_custom_dimension", "product_custom_dimension/1-0-0"),
            beside("product_custom_metric", "product_custom_metric/1-0-0"),
            beside("product_impression_list", "product_impression_list/1-0-0"),
            beside("product_impression", "product_impression/1-0-0"),
            beside(
                "product_impression_custom_dimension",
                "product_impression_custom_dimension/1-0-0",
            ),
            beside("product_impression_custom_metric", "product_impression_custom_metric/1-0-0"),
            beside("promotion", "promotion/1-0-0"),
            beside("custom_dimension", "custom_dimension/1-0-0"),
            beside("custom_metric", "custom_metric/1-0-0"),
            beside("content_group", "content_group/1-0-0"),
        ],
        events: google_analytics::events,
    },
    Webhook {
        name: "hubspot",
        endpoint: ("com.hubspot", "v1"),
        tracker: "com.hubspot-v1",
        vendor: "com.hubspot",
        types: &[
            of("contact_creation", "contact.creation", "contact_creation/1-0-0"),
            of("contact_deletion", "contact.deletion", "contact_deletion/1-0-0"),
            of("contact_change", "contact.propertyChange", "contact_change/1-0-0"),
            of("company_creation", "company.creation", "company_creation/1-0-0"),
            of("company_deletion", "company.deletion", "company_deletion/1-0-0"),
            of("company_change", "company.propertyChange", "company_change/1-0-0"),
            of("deal_creation", "deal.creation", "deal_creation/1-0-0"),
            of("deal_deletion", "deal.deletion", "deal_deletion/1-0-0"),
            of("deal_change", "deal.propertyChange", "deal_change/1-0-0"),
        ],
        events: hubspot::events,
    },
    Webhook {
        name: "mailchimp",
        endpoint: ("com.mailchimp", "v1"),
        tracker: "com.mailchimp-v1",
        vendor: "com.mailchimp",
        types: &[
            same("subscribe", "subscribe/1-0-0"),
            same("unsubscribe", "unsubscribe/1-0-0"),
            of("campaign_sending_status", "campaign", "campaign_sending_status/1-0-0"),
            of("cleaned_email", "cleaned", "cleaned_email/1-0-0"),
            of("email_address_change", "upemail", "email_address_change/1-0-0"),
            of("profile_update", "profile", "profile_update/1-0-0"),
        ],
        events: mailchimp::events,
    },
    Webhook {
        name: "mailgun",
        endpoint: ("com.mailgun", "v1"),
        tracker: "com.mailgun-v1",
        vendor: "com.mailgun",
        types: &[
            of("message_bounced", "bounced", "message_bounced/1-0-0"),
            of("message_clicked", "clicked", "message_clicked/1-0-0"),
            of("message_complained", "complained", "message_complained/1-0-0"),
            of("message_delivered", "delivered", "message_delivered/1-0-0"),
            of("message_dropped", "dropped", "message_dropped/1-0-0"),
            of("message_opened", "opened", "message_opened/1-0-0"),
            of("recipient_unsubscribed", "unsubscribed", "recipient_unsubscribed/1-0-0"),
        ],
        events: mailgun::events,
    },
    Webhook {
        name: "mandrill",
        endpoint: ("com.mandrill", "v1"),
        tracker: "com.mandrill-v1",
        vendor: "com.mandrill",
        types: &[
            of("message_bounced", "hard_bounce", "message_bounced/1-0-1"),
            of("message_clicked", "click", "message_clicked/1-0-1"),
            of("message_delayed", "deferral", "message_delayed/1-0-1"),
            of("message_marked_as_spam", "spam", "message_marked_as_spam/1-0-1"),
            of("message_opened", "open", "message_opened/1-0-1"),
            of("message_rejected", "reject", "message_rejected/1-0-0"),
            of("message_sent", "send", "message_sent/1-0-0"),
            of("message_soft_bounced", "soft_bounce", "message_soft_bounced/1-0-1"),
            of("recipient_unsubscribed", "unsub", "recipient_unsubscribed/1-0-1"),
        ],
        events: mandrill::events,
    },
    Webhook {
        name: "marketo",
        endpoint: ("com.marketo", "v1"),
        tracker: "com.marketo-v1",
        vendor: "com.marketo",
        types: &[same("event", "event/2-0-0")],
        events: marketo::events,
    },
    Webhook {
        name: "olark",
        endpoint: ("com.olark", "v1"),
        tracker: "com.olark-v1",
        vendor: "com.olark",
        types: &[
            same("transcript", "transcript/1-0-0"),
            same("offline_message", "offline_message/1-0-0"),
        ],
        events: olark::events,
    },
    Webhook {
        name: "pagerduty",
        endpoint: ("com.pagerduty", "v1"),
        tracker: "com.pagerduty-v1",
        vendor: "com.pagerduty",
        types: &[
            of("incident", "incident.trigger", "incident/1-0-0"),
            of("incident", "incident.acknowledge", "incident/1-0-0"),
            of("incident", "incident.unacknowledge", "incident/1-0-0"),
            of("incident", "incident.resolve", "incident/1-0-0"),
            of("incident", "incident.assign", "incident/1-0-0"),
            of("incident", "incident.escalate", "incident/1-0-0"),
            of("incident", "incident.delegate", "incident/1-0-0"),
        ],
        events: pagerduty::events,
    },
    Webhook {
        name: "pingdom",
        endpoint: ("com.pingdom", "v1"),
        tracker: "com.pingdom-v1",
        vendor: "com.pingdom",
        types: &[
            of("incident_assign", "assign", "incident_assign/1-0-0"),
            of("incident_notify_user", "notify_user", "incident_notify_user/1-0-0"),
            of("incident_notify_of_close", "notify_of_close", "incident_notify_of_close/1-0-0"),
        ],
        events: pingdom::events,
    },
    Webhook {
        name: "sendgrid",
        endpoint: ("com.sendgrid", "v3"),
        tracker: "com.sendgrid-v3",
        vendor: "com.sendgrid",
        types: &[
            same("processed", "processed/3-0-0"),
            same("dropped", "dropped/3-0-0"),
            same("delivered", "delivered/3-0-0"),
            same("deferred", "deferred/3-0-0"),
            same("bounce", "bounce/3-0-0"),
            same("open", "open/3-0-0"),
            same("click", "click/3-0-0"),
            same("spamreport", "spamreport/3-0-0"),
            same("unsubscribe", "unsubscribe/3-0-0"),
            same("group_unsubscribe", "group_unsubscribe/3-0-0"),
            same("group_resubscribe", "group_resubscribe/3-0-0"),
        ],
        events: sendgrid::events,
    },
    Webhook {
        name: "statusgator",
        endpoint: ("com.statusgator", "v1"),
        tracker: "com.statusgator-v1",
        vendor: "com.statusgator",
        types: &[same("status_change", "status_change/1-0-0")],
        events: statusgator::events,
    },
    Webhook {
        name: "unbounce",
        endpoint: ("com.unbounce", "v1"),
        tracker: "com.unbounce-v1",
        vendor: "com.unbounce",
        types: &[same("form_post", "form_post/1-0-0")],
        events: unbounce::events,
    },
    Webhook {
        name: "urban_airship",
        endpoint: ("com.urbanairship.connect", "v1"),
        tracker: "com.urbanairship.connect-v1",
        vendor: "com.urbanairship.connect",
        types: &[
            of("close", "CLOSE", "CLOSE/1-0-0"),
            of("custom", "CUSTOM", "CUSTOM/1-0-0"),
            of("first_open", "FIRST_OPEN", "FIRST_OPEN/1-0-0"),
            of("in_app_message_display", "IN_APP_MESSAGE_DISPLAY", "IN_APP_MESSAGE_DISPLAY/1-0-0"),
            of(
                "in_app_message_expiration",
                "IN_APP_MESSAGE_EXPIRATION",
                "IN_APP_MESSAGE_EXPIRATION/1-0-0",
            ),
            of(
                "in_app_message_resolution",
                "IN_APP_MESSAGE_RESOLUTION",
                "IN_APP_MESSAGE_RESOLUTION/1-0-0",
            ),
            of("location", "LOCATION", "LOCATION/1-0-0"),
            of("open", "OPEN", "OPEN/1-0-0"),
            of("push_body", "PUSH_BODY", "PUSH_BODY/1-0-0"),
            of("region", "REGION", "REGION/1-0-0"),
            of("rich_delete", "RICH_DELETE", "RICH_DELETE/1-0-0"),
            of("rich_delivery", "RICH_DELIVERY", "RICH_DELIVERY/1-0-0"),
            of("rich_head", "RICH_HEAD", "RICH_HEAD/1-0-0"),
            of("send", "SEND", "SEND/1-0-0"),
            of("tag_change", "TAG_CHANGE", "TAG_CHANGE/1-0-0"),
            of("uninstall", "UNINSTALL", "UNINSTALL/1-0-0"),
        ],
        events: urban_airship::events,
    },
    Webhook {
        name: "vero",
        endpoint: ("com.getvero", "v1"),
        tracker: "com.getvero-v1",
        vendor: "com.getvero",
        types: &[
            same("bounced", "bounced/1-0-0"),
            same("clicked", "clicked/1-0-0"),
            same("delivered", "delivered/1-0-0"),
            same("opened", "opened/1-0-0"),
            same("sent", "sent/1-0-0"),
            same("unsubscribed", "unsubscribed/1-0-0"),
            of("created", "user_created", "created/1-0-0"),
            of("updated", "user_updated", "updated/1-0-0"),
        ],
        events: vero::events,
    },
];

/// The adapters of webhooks: the built-in ones, and those that configuration describes.
#[derive(Clone)]
pub struct Adapters {
    /// For each of [`WEBHOOKS`], the Iglu URIs of its types, and how it is signed.
    built_in: Vec<(Vec<String>, Option<Signature>)>,
    /// Those described, and how they are signed. They come first.
    custom: Vec<(Custom, Option<Signature>)>,
}

impl Adapters {
    /// The names of the built-in webhooks.
    pub fn names() -> impl Iterator<Item = &'static str> {
        WEBHOOKS.iter().map(|webhook| webhook.name)
    }

    /// The names of a built-in webhook's schemas.
    pub fn settings(adapter: &str) -> Vec<&'static str> {
        let webhook = WEBHOOKS.iter().filter(|webhook| webhook.name == adapter);
        let types = webhook.flat_map(|webhook| webhook.types);
        let mut settings: Vec<_> = types.map(|known| known.setting).collect();
        settings.dedup();
        settings
    }

    /// Sets one of these schemas; of other names nothing is set.
    pub fn set_schema(&mut self, adapter: &str, setting: &str, key: &SchemaKey) {
        for (webhook, (schemas, _)) in WEBHOOKS.iter().zip(&mut self.built_in) {
            for (known, uri) in webhook.types.iter().zip(schemas) {
                if webhook.name == adapter && known.setting == setting {
                    *uri = key.to_string();
                }
            }
        }
    }

    /// Sets how a built-in webhook is signed.
    pub fn set_signature(&mut self, adapter: &str, how: Signature) {
        let mut webhooks = WEBHOOKS.iter().zip(&mut self.built_in);
        if let Some((_, (_, signature))) = webhooks.find(|(webhook, _)| webhook.name == adapter) {
            *signature = Some(how);
        }
    }

    /// Adds a webhook that configuration describes. It takes the place of a built-in one of the
    /// same path. The error is the path, if it is taken by another or by trackers.
    pub fn add(&mut self, custom: Custom, signature: Option<Signature>) -> Result<(), String> {
        const OF_TRACKERS: [(&str, &str); 4] = [
            ("com.snowplowanalytics.snowplow", "tp1"),
            ("com.snowplowanalytics.snowplow", "tp2"),
            ("com.snowplowanalytics.iglu", "v1"),
            ("r", "tp2"),
        ];
        let (vendor, version) = &custom.endpoint;
        let is_taken = self.custom.iter().any(|(known, _)| known.endpoint == custom.endpoint);
        if is_taken || OF_TRACKERS.contains(&(vendor, version)) {
            return Err(format!("{vendor}/{version}"));
        }
        self.custom.push((custom, signature));
        Ok(())
    }

    /// Runs the adapter of a payload's endpoint, if there is one.
    pub(super) fn run<'a>(
        &self,
        payload: &'a CollectorPayload<'a>,
        arena: &'a Bump,
    ) -> Option<Result<Adapted<'a>, Stop>> {
        let endpoint = (payload.vendor, payload.version);
        let signed = |signature: &Option<Signature>| match signature {
            Some(signature) => signature.check(payload).map_err(Stop::from),
            None => Ok(()),
        };
        for (custom, signature) in &self.custom {
            if (custom.endpoint.0.as_str(), custom.endpoint.1.as_str()) == endpoint {
                return Some(signed(signature).and_then(|()| custom.run(payload, arena)));
            }
        }
        let index = WEBHOOKS.iter().position(|webhook| webhook.endpoint == endpoint)?;
        let (schemas, signature) = &self.built_in[index];
        let request = Request::new(payload, &WEBHOOKS[index], schemas, arena);
        Some(signed(signature).and_then(|()| (WEBHOOKS[index].events)(&request)))
    }
}

impl Default for Adapters {
    fn default() -> Adapters {
        let uri = |vendor: &str, schema: &str| {
            let (path, version) = schema.rsplit_once('/').expect("a schema has a version");
            let (vendor, name) = path.split_once('/').unwrap_or((vendor, path));
            format!("iglu:{vendor}/{name}/jsonschema/{version}")
        };
        let uris = |webhook: &Webhook| {
            webhook.types.iter().map(|known| uri(webhook.vendor, known.schema)).collect()
        };
        let built_in = WEBHOOKS.iter().map(|webhook| (uris(webhook), None));
        Adapters { built_in: built_in.collect(), custom: Vec::new() }
    }
}

impl fmt::Debug for Adapters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adapters")
    }
}
