//! Campaign attribution: marketing fields from the parameters of the page's URL.
//!
//! Configured by `campaign_attribution`. For each field the first configured name that is present
//! decides, even with an empty value. Sets all seven fields whenever the page has a URL; fails
//! never.

use event::convert::tsv_safe;
use event::map_order;
use event::raw_event::Parameter;
use event::{Bump, Event, Field};

use crate::reader::Node;

/// The networks that every configuration knows by their click identifiers.
const NETWORKS: [(&str, &str); 3] =
    [("gclid", "Google"), ("msclkid", "Microsoft"), ("dclid", "DoubleClick")];

/// Which parameters fill which field.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    fields: Vec<(Field, Vec<String>)>,
    /// Parameters with a click identifier and the network each stands for, most telling first.
    networks: Vec<(String, String)>,
}

impl Campaign {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Campaign> {
        parameters.only(&["mapping", "fields"])?;
        if let Some(mapping) = parameters.field("mapping").present() {
            mapping.choice(&[("static", ()), ("script", ())])?;
        }
        let node = parameters.field("fields");
        let names = [
            ("mktMedium", Field::MktMedium),
            ("mktSource", Field::MktSource),
            ("mktTerm", Field::MktTerm),
            ("mktContent", Field::MktContent),
            ("mktCampaign", Field::MktCampaign),
        ];
        node.only(&[
            "mktMedium",
            "mktSource",
            "mktTerm",
            "mktContent",
            "mktCampaign",
            "mktClickId",
        ])?;
        let read = |(name, field)| Some((field, node.field(name).texts()?));
        let fields: Vec<Option<_>> = names.into_iter().map(read).collect();
        let mut networks = Vec::new();
        if let Some(custom) = node.field("mktClickId").present() {
            for (parameter, network) in custom.members()? {
                networks.push((parameter.to_owned(), network.text()?));
            }
        }
        Some(Campaign {
            fields: fields.into_iter().collect::<Option<_>>()?,
            networks: order(networks),
        })
    }

    /// Sets the marketing fields.
    pub(crate) fn run<'a>(&self, event: &mut Event<'a>, query: &[Parameter<'a>], arena: &'a Bump) {
        let clean = |value: Option<&'a str>| value.and_then(|value| tsv_safe(value, arena));
        for (field, names) in &self.fields {
            let found = names.iter().find_map(|name| crate::last(query, name));
            event.set(*field, found.and_then(|(_, value)| clean(*value)));
        }
        let click = self.networks.iter().find_map(|(parameter, network)| {
            let (_, value) = crate::last(query, parameter)?;
            Some((clean(*value), tsv_safe(arena.alloc_str(network), arena)))
        });
        let (click_id, network) = click.unwrap_or_default();
        event.set(Field::MktClickid, click_id);
        event.set(Field::MktNetwork, network);
    }
}

/// Joins the known networks with the configured ones, which may rename them, in the order in which
/// a running peer tries them, which is that of its maps. The order means nothing, but which of two
/// click identifiers an event gets should not change on the day a pipeline moves here.
fn order(custom: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut networks: Vec<(String, String)> =
        NETWORKS.iter().map(|(p, n)| ((*p).to_owned(), (*n).to_owned())).collect();
    for (parameter, network) in custom {
        match networks.iter_mut().find(|(known, _)| *known == parameter) {
            Some(known) => known.1 = network,
            None => networks.push((parameter, network)),
        }
    }
    map_order::sort(&mut networks, |(parameter, _)| map_order::text_hash(parameter));
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_tried_in_the_order_of_a_peer() {
        let networks = |custom: &[&str]| -> Vec<String> {
            let custom = custom.iter().map(|name| ((*name).to_owned(), "N".to_owned())).collect();
            order(custom).into_iter().map(|(parameter, _)| parameter).collect()
        };
        assert_eq!(networks(&["x"]), ["gclid", "msclkid", "dclid", "x"]);
        assert_eq!(networks(&["dclid", "x"]), ["gclid", "msclkid", "dclid", "x"]);
        let many = networks(&["customclick", "fbclid"]);
        let at = |name: &str| many.iter().position(|found| found == name);
        assert!(at("fbclid") < at("gclid") && at("fbclid") < at("customclick"), "{many:?}");
    }
}
