//! The entity: the fields that its schema knows, in the order in which a running peer writes them.

use event::{json, map_order};

use super::fields::{FieldId, Fields, Names, id};

/// The properties of version 1-0-4 of the schema.
const PROPERTIES: [&str; 58] = [
    "deviceClass",
    "deviceName",
    "deviceBrand",
    "deviceCpu",
    "deviceCpuBits",
    "deviceFirmwareVersion",
    "deviceVersion",
    "operatingSystemClass",
    "operatingSystemName",
    "operatingSystemVersion",
    "operatingSystemNameVersion",
    "operatingSystemVersionBuild",
    "layoutEngineClass",
    "layoutEngineName",
    "layoutEngineVersion",
    "layoutEngineVersionMajor",
    "layoutEngineNameVersion",
    "layoutEngineNameVersionMajor",
    "layoutEngineBuild",
    "agentClass",
    "agentName",
    "agentVersion",
    "agentVersionMajor",
    "agentNameVersion",
    "agentNameVersionMajor",
    "agentBuild",
    "agentLanguage",
    "agentLanguageCode",
    "agentInformationEmail",
    "agentInformationUrl",
    "agentSecurity",
    "agentUuid",
    "webviewAppName",
    "webviewAppVersion",
    "webviewAppVersionMajor",
    "webviewAppNameVersionMajor",
    "facebookCarrier",
    "facebookDeviceClass",
    "facebookDeviceName",
    "facebookDeviceVersion",
    "facebookFBOP",
    "facebookFBSS",
    "facebookOperatingSystemName",
    "facebookOperatingSystemVersion",
    "anonymized",
    "hackerAttackVector",
    "hackerToolkit",
    "koboAffiliate",
    "koboPlatformId",
    "iECompatibilityVersion",
    "iECompatibilityVersionMajor",
    "iECompatibilityNameVersion",
    "iECompatibilityNameVersionMajor",
    "carrier",
    "gSAInstallationID",
    "networkType",
    "operatingSystemNameVersionMajor",
    "operatingSystemVersionMajor",
];

/// The properties that the rules have fields for, in their order.
pub(super) struct Output {
    properties: Vec<(&'static str, FieldId)>,
}

impl Output {
    /// The properties among some fields.
    pub(super) fn new(names: &Names) -> Output {
        let known = PROPERTIES.into_iter().filter_map(|property| {
            let (first, rest) = property.split_at(1);
            let field = names.find(&format!("{}{rest}", first.to_uppercase()))?;
            Some((property, field))
        });
        let mut properties: Vec<_> = known.collect();
        map_order::sort(&mut properties, |(property, _)| map_order::text_hash(property));
        Output { properties }
    }

    /// The entity's data.
    pub(super) fn write(&self, fields: &Fields<'_>) -> String {
        let mut out = Vec::with_capacity(1024);
        let shown = self.properties.iter().filter(|(_, field)| fields.is_shown(*field));
        for (property, field) in shown {
            out.push(if out.is_empty() { b'{' } else { b',' });
            json::write_string(property, &mut out);
            out.push(b':');
            json::write_string(fields.value(*field), &mut out);
        }
        out.push(b'}');
        String::from_utf8(out).expect("made of texts")
    }
}

/// Whether fields tell of a robot.
pub(super) fn is_robot(fields: &Fields<'_>) -> bool {
    ["Robot", "Robot Mobile", "Robot Imitator"].contains(&fields.value(id::DEVICE_CLASS))
        || ["Robot", "Robot Mobile"].contains(&fields.value(id::AGENT_CLASS))
}
