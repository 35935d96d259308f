//! What columns are called.

/// The two kinds of columns that schemas make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// What a self-describing event says: a struct.
    Event,
    /// What is attached to an event, by trackers or enrichments: a list of structs.
    Entity,
}

/// The column of an event or an entity: `unstruct_event_<vendor>_<name>_<major>` or
/// `contexts_<vendor>_<name>_<major>`, where `major` is the model of the schema's version.
///
/// The names are those that flattened JSON has, which are the analytics SDKs'.
pub fn column(kind: Kind, vendor: &str, name: &str, major: u32) -> String {
    let prefix = match kind {
        Kind::Event => "unstruct_event_",
        Kind::Entity => "contexts_",
    };
    let mut column = String::with_capacity(prefix.len() + vendor.len() + name.len() + 8);
    event::flat::push_key(prefix, vendor, name, major, &mut column);
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_flattened_json_names_them() {
        for (kind, vendor, name, major, expected) in [
            (Kind::Event, "com.acme", "button_press", 1, "unstruct_event_com_acme_button_press_1"),
            (Kind::Entity, "com.acme", "webPage", 12, "contexts_com_acme_web_page_12"),
            (Kind::Entity, "Com.Acme-X", "AB-CD_Ef", 1, "contexts_com_acme_x_ab_cd_ef_1"),
            (
                Kind::Entity,
                "org.w3",
                "PerformanceTiming",
                1,
                "contexts_org_w3_performance_timing_1",
            ),
        ] {
            assert_eq!(column(kind, vendor, name, major), expected);
        }
    }
}
