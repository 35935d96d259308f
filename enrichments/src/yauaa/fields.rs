//! The fields of a user agent while they are found: each with a value and how sure it is.

use std::collections::HashMap;

use bumpalo::Bump;

/// What matchers write for a field that has no value.
pub(super) const NULL: &str = "<<<null>>>";
/// The field that stands for all others.
pub(super) const ALL: &str = "__Set_ALL_Fields__";
/// The field that says whether a text breaks the grammar.
pub(super) const BROKEN: &str = "__SyntaxError__";

/// A field's place in [`Names`].
pub(super) type FieldId = u16;

/// The names of all fields.
pub(super) struct Names {
    names: Vec<Box<str>>,
    ids: HashMap<Box<str>, FieldId>,
}

/// Fields that this code sets, by their places in [`Names`].
pub(super) const KNOWN: [&str; 38] = [
    "DeviceClass",
    "DeviceName",
    "DeviceBrand",
    "DeviceCpu",
    "DeviceCpuBits",
    "DeviceFirmwareVersion",
    "DeviceVersion",
    "OperatingSystemClass",
    "OperatingSystemName",
    "OperatingSystemVersion",
    "OperatingSystemVersionMajor",
    "OperatingSystemNameVersion",
    "OperatingSystemNameVersionMajor",
    "LayoutEngineClass",
    "LayoutEngineName",
    "LayoutEngineVersion",
    "LayoutEngineVersionMajor",
    "LayoutEngineNameVersion",
    "LayoutEngineNameVersionMajor",
    "AgentClass",
    "AgentName",
    "AgentVersion",
    "AgentVersionMajor",
    "AgentNameVersion",
    "AgentNameVersionMajor",
    "AgentInformationEmail",
    "AgentInformationUrl",
    "WebviewAppName",
    "WebviewAppVersion",
    "WebviewAppVersionMajor",
    "WebviewAppNameVersion",
    "WebviewAppNameVersionMajor",
    "HackerAttackVector",
    "HackerToolkit",
    "NetworkType",
    "RemarkablePattern",
    ALL,
    BROKEN,
];

/// Names of [`KNOWN`] as places.
pub(super) mod id {
    use super::FieldId;
    pub(crate) const DEVICE_CLASS: FieldId = 0;
    pub(crate) const DEVICE_NAME: FieldId = 1;
    pub(crate) const DEVICE_BRAND: FieldId = 2;
    pub(crate) const DEVICE_CPU: FieldId = 3;
    pub(crate) const DEVICE_CPU_BITS: FieldId = 4;
    pub(crate) const DEVICE_FIRMWARE_VERSION: FieldId = 5;
    pub(crate) const DEVICE_VERSION: FieldId = 6;
    pub(crate) const SYSTEM_CLASS: FieldId = 7;
    pub(crate) const SYSTEM_NAME: FieldId = 8;
    pub(crate) const SYSTEM_VERSION: FieldId = 9;
    pub(crate) const SYSTEM_VERSION_MAJOR: FieldId = 10;
    pub(crate) const SYSTEM_NAME_VERSION: FieldId = 11;
    pub(crate) const SYSTEM_NAME_VERSION_MAJOR: FieldId = 12;
    pub(crate) const ENGINE_CLASS: FieldId = 13;
    pub(crate) const ENGINE_NAME: FieldId = 14;
    pub(crate) const ENGINE_VERSION: FieldId = 15;
    pub(crate) const ENGINE_VERSION_MAJOR: FieldId = 16;
    pub(crate) const ENGINE_NAME_VERSION: FieldId = 17;
    pub(crate) const ENGINE_NAME_VERSION_MAJOR: FieldId = 18;
    pub(crate) const AGENT_CLASS: FieldId = 19;
    pub(crate) const AGENT_NAME: FieldId = 20;
    pub(crate) const AGENT_VERSION: FieldId = 21;
    pub(crate) const AGENT_VERSION_MAJOR: FieldId = 22;
    pub(crate) const AGENT_NAME_VERSION: FieldId = 23;
    pub(crate) const AGENT_NAME_VERSION_MAJOR: FieldId = 24;
    pub(crate) const AGENT_EMAIL: FieldId = 25;
    pub(crate) const AGENT_URL: FieldId = 26;
    pub(crate) const WEBVIEW_NAME: FieldId = 27;
    pub(crate) const WEBVIEW_VERSION: FieldId = 28;
    pub(crate) const WEBVIEW_VERSION_MAJOR: FieldId = 29;
    pub(crate) const WEBVIEW_NAME_VERSION: FieldId = 30;
    pub(crate) const WEBVIEW_NAME_VERSION_MAJOR: FieldId = 31;
    pub(crate) const ATTACK_VECTOR: FieldId = 32;
    pub(crate) const TOOLKIT: FieldId = 33;
    pub(crate) const NETWORK_TYPE: FieldId = 34;
    pub(crate) const REMARKABLE: FieldId = 35;
    pub(crate) const ALL: FieldId = 36;
    pub(crate) const BROKEN: FieldId = 37;
}

/// The fields that every user agent has, with or without a value: of [`KNOWN`], these.
pub(super) const STANDARD: [FieldId; 21] = {
    use id::*;
    [
        DEVICE_CLASS,
        DEVICE_BRAND,
        DEVICE_NAME,
        SYSTEM_CLASS,
        SYSTEM_NAME,
        SYSTEM_VERSION,
        SYSTEM_VERSION_MAJOR,
        SYSTEM_NAME_VERSION,
        SYSTEM_NAME_VERSION_MAJOR,
        ENGINE_CLASS,
        ENGINE_NAME,
        ENGINE_VERSION,
        ENGINE_VERSION_MAJOR,
        ENGINE_NAME_VERSION,
        ENGINE_NAME_VERSION_MAJOR,
        AGENT_CLASS,
        AGENT_NAME,
        AGENT_VERSION,
        AGENT_VERSION_MAJOR,
        AGENT_NAME_VERSION,
        AGENT_NAME_VERSION_MAJOR,
    ]
};

impl Names {
    pub(super) fn new() -> Names {
        let mut names = Names { names: Vec::new(), ids: HashMap::new() };
        for name in KNOWN {
            names.add(name);
        }
        names
    }

    /// The place of a name, which is added if it is new.
    pub(super) fn add(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = FieldId::try_from(self.names.len()).expect("fields are few");
        self.names.push(name.into());
        self.ids.insert(name.into(), id);
        id
    }

    /// The place of a name that is there.
    pub(super) fn find(&self, name: &str) -> Option<FieldId> {
        self.ids.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, id: FieldId) -> &str {
        &self.names[usize::from(id)]
    }
}

/// What a field says where nothing is known.
pub(super) fn default_of(name: &str) -> &'static str {
    match name {
        "RemarkablePattern" => "Nothing remarkable found",
        BROKEN => "false",
        _ if name.contains("NameVersion") => "Unknown ??",
        _ if name.contains("Version") => "??",
        _ => "Unknown",
    }
}

#[derive(Clone, Copy, Debug)]
struct Field<'a> {
    value: Option<&'a str>,
    weight: i64,
    /// Whether the field is shown.
    there: bool,
}

/// The fields of one user agent.
pub(super) struct Fields<'a> {
    names: &'a Names,
    fields: Vec<Field<'a>>,
    /// What client hints said, which no rule knows.
    noted: Vec<(&'a str, &'a str)>,
    pub(super) arena: &'a Bump,
}

impl<'a> Fields<'a> {
    pub(super) fn new(names: &'a Names, arena: &'a Bump) -> Fields<'a> {
        let nothing = Field { value: None, weight: -1, there: false };
        Fields { names, fields: vec![nothing; names.len()], noted: Vec::new(), arena }
    }

    /// Forgets all values; what was shown stays shown.
    pub(super) fn reset(&mut self) {
        for field in &mut self.fields {
            (field.value, field.weight) = (None, -1);
        }
    }

    /// Sets a field if that is surer than what it has.
    pub(super) fn set(&mut self, id: FieldId, value: &'a str, weight: i64) {
        self.fields[usize::from(id)].there = true;
        if weight > self.fields[usize::from(id)].weight {
            self.force(id, value, weight);
        }
    }

    /// Sets a field.
    pub(super) fn force(&mut self, id: FieldId, value: &'a str, weight: i64) {
        let value = (value != NULL).then_some(value);
        self.fields[usize::from(id)] = Field { value, weight, there: true };
    }

    /// Sets a field to be a bit surer than it is.
    pub(super) fn replace(&mut self, id: FieldId, value: &'a str) {
        let weight = self.fields[usize::from(id)].weight;
        self.force(id, value, weight + 1);
    }

    /// Shows a field that no rule knows.
    pub(super) fn note(&mut self, name: String, value: &str) {
        let noted = (self.keep(&name), self.keep(value));
        self.noted.push(noted);
    }

    /// A text that lives as long as the fields.
    pub(super) fn keep(&self, text: &str) -> &'a str {
        self.arena.alloc_str(text)
    }

    /// The value of a field or what stands for none; it is shown from now on.
    pub(super) fn get(&mut self, id: FieldId) -> &'a str {
        self.fields[usize::from(id)].there = true;
        self.value(id)
    }

    /// The value of a field or what stands for none.
    pub(super) fn value(&self, id: FieldId) -> &'a str {
        let value = self.fields[usize::from(id)].value;
        value.unwrap_or_else(|| default_of(self.names.name(id)))
    }

    pub(super) fn weight(&self, id: FieldId) -> i64 {
        self.fields[usize::from(id)].weight
    }

    /// Whether nothing is known.
    pub(super) fn is_default(&self, id: FieldId) -> bool {
        let field = self.fields[usize::from(id)];
        field.weight < 0 || field.value.is_none()
    }

    /// Sets all fields there are if some matcher asked for that.
    pub(super) fn spread_all(&mut self) {
        let all = self.fields[usize::from(id::ALL)];
        if !all.there {
            return;
        }
        let value = if self.is_default(id::ALL) { NULL } else { self.value(id::ALL) };
        for id in 0..self.fields.len() as FieldId {
            let name = self.names.name(id);
            let system = name == ALL || name == BROKEN || name.starts_with("UAClientHint");
            if self.fields[usize::from(id)].there && !system {
                self.set(id, value, all.weight);
            }
        }
    }

    /// Whether a field is shown.
    pub(super) fn is_shown(&self, id: FieldId) -> bool {
        let always = STANDARD.contains(&id) || id == id::BROKEN;
        id != id::ALL && (always || self.fields[usize::from(id)].there)
    }

    /// The names and values of the fields that are shown, and their weights.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'a str, &'a str, i64)> {
        let ids = (0..self.fields.len() as FieldId).filter(|id| self.is_shown(*id));
        let known = ids.map(|id| (self.names.name(id), self.value(id), self.weight(id)));
        known.chain(self.noted.iter().map(|(name, value)| (*name, *value, 1)))
    }
}
