//! What columns are called.

use event::SchemaVer;

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

/// The column of a version that broke with those before it:
/// `<column>_recovered_<model>_<revision>_<addition>_<hash>`.
///
/// The hash is FNV-1a of 32 bits, as eight hexadecimal digits, over the column's name, the version
/// and the column's type as [`crate::Type`] prints it, each ended by a line feed. So it stays the
/// same while the type does, and two schemas never share such a column by chance.
pub fn recovered(column: &str, version: SchemaVer, ty: &str) -> String {
    let SchemaVer { model, revision, addition } = version;
    let hashed = format!("{column}\n{model}-{revision}-{addition}\n{ty}\n");
    let hash = hashed
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{column}_recovered_{model}_{revision}_{addition}_{hash:08x}")
}

/// The name of the field that a key of JSON becomes: `camelCase` and `hyphened-names` in snake
/// case, `_` for every character but letters of ASCII, digits and `_`, and before a leading digit.
pub(crate) fn snake(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let mut name = String::with_capacity(key.len() + 4);
    for (index, &c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| chars[before]);
        let ends_acronym = before.is_some_and(|c| c.is_ascii_uppercase())
            && chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
        let starts_word = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if c.is_ascii_uppercase() && (ends_acronym || starts_word) {
            name.push('_');
        }
        name.extend(c.to_lowercase().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    }
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        name.insert(0, '_');
    }
    name
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
