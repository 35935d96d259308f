//! Address look-ups: place, provider, domain and connection of `user_ipaddress`.
//!
//! Configured by `ip_lookups`; the assets are up to five databases in the MaxMind format, mapped
//! into memory. Never fails an event: an address that is none, or is not in a database, leaves the
//! fields alone. A record without a location sets latitude and longitude to `0.0`, as a running
//! peer does. `Satellite` is written as a kind of connection, which the peer's reader drops.
//!
//! With version 2-0-1 of the configuration the number and the organisation of the autonomous
//! system are derived, from the database `isp`, else from `asn`.

use std::net::IpAddr;

use event::convert::{float32_text, tsv_safe};
use event::schema_key::SchemaVer;
use event::{Bump, Event, Field, json};
use serde::Deserialize;

use crate::address;
use crate::assets::{Asset, Folder};
use crate::cache::{Cache, Packed};
use crate::database::{self, Database};
use crate::reader::Node;

/// Which databases are configured.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    databases: [Option<Asset>; 5],
    /// Whether the autonomous system may be derived.
    asn: bool,
}

/// The open databases.
pub(crate) struct IpLookups {
    geo: Option<Database>,
    isp: Option<Database>,
    domain: Option<Database>,
    connection: Option<Database>,
    asn: Option<Database>,
    derive_asn: bool,
}

/// An autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asn<'a> {
    pub(crate) number: &'a str,
    /// Number and organisation as JSON.
    pub(crate) data: &'a str,
}

/// The fields set, in the order in which the cache keeps them.
const FIELDS: [Field; 12] = [
    Field::GeoCountry,
    Field::GeoRegion,
    Field::GeoRegionName,
    Field::GeoCity,
    Field::GeoZipcode,
    Field::GeoLatitude,
    Field::GeoLongitude,
    Field::GeoTimezone,
    Field::IpIsp,
    Field::IpOrganization,
    Field::IpDomain,
    Field::IpNetspeed,
];

impl Config {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>, version: SchemaVer) -> Option<Config> {
        const NAMES: [&str; 5] = ["geo", "isp", "domain", "connectionType", "asn"];
        let asn = version.addition > 0;
        parameters.only(if asn { &NAMES } else { &NAMES[..4] })?;
        let asset = |name| match parameters.field(name).present() {
            Some(node) => node.asset().map(Some),
            None => Some(None),
        };
        let databases = NAMES.map(asset);
        let [Some(geo), Some(isp), Some(domain), Some(connection), Some(asn_database)] = databases
        else {
            return None;
        };
        Some(Config { databases: [geo, isp, domain, connection, asn_database], asn })
    }

    /// Leaves a database out.
    pub(crate) fn forget(&mut self, database: &str) {
        for asset in &mut self.databases {
            asset.take_if(|asset| asset.database == database);
        }
    }

    /// The databases named.
    pub(crate) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.databases.iter().flatten()
    }
}

impl IpLookups {
    /// Opens the databases.
    pub(crate) fn load(config: &Config, folder: &mut Folder<'_>) -> IpLookups {
        let mut database = |asset: &Option<Asset>| {
            folder.open(asset.as_ref()?, "a database in the MaxMind format", database::map)
        };
        let [geo, isp, domain, connection, asn] = &config.databases;
        IpLookups {
            geo: database(geo),
            isp: database(isp),
            domain: database(domain),
            connection: database(connection),
            asn: database(asn),
            derive_asn: config.asn,
        }
    }

    /// Sets the fields; returns the autonomous system if it is known and wanted.
    pub(crate) fn run<'a>(
        &self,
        event: &mut Event<'a>,
        cache: &mut Cache,
        arena: &'a Bump,
    ) -> Option<Asn<'a>> {
        let text = event.get(Field::UserIpaddress)?;
        let (found, _): ([Option<&str>; 14], _) = cache.get(text, arena, || self.look_up(text));
        for (field, value) in FIELDS.into_iter().zip(found) {
            if value.is_some() {
                event.set(field, value);
            }
        }
        let [.., number, data] = found;
        Some(Asn { number: number?, data: data? })
    }

    fn look_up(&self, text: &str) -> Packed {
        let Some(address) = address::parse(text) else { return Packed::default() };
        let city: Option<City> = find(&self.geo, address);
        let isp: Option<Isp> = find(&self.isp, address);
        let domain: Option<Domain> = find(&self.domain, address);
        let connection: Option<Connection> = find(&self.connection, address);
        let asn = match &self.isp {
            _ if !self.derive_asn => None,
            Some(_) => isp,
            None => find(&self.asn, address),
        };
        let number = asn.and_then(|asn| asn.autonomous_system_number).map(|n| n.to_string());
        let data = number.as_ref().map(|number| {
            let organization = asn.and_then(|asn| asn.autonomous_system_organization);
            asn_data(number, organization)
        });
        let place = city.as_ref().map(City::place).unwrap_or_default();
        let [latitude, longitude] = place.position.map(|degrees| degrees.map(float32_text));
        let found = [
            place.country,
            place.region,
            place.region_name,
            place.city,
            place.zipcode,
            latitude.as_deref(),
            longitude.as_deref(),
            place.timezone,
            isp.and_then(|isp| isp.isp),
            isp.and_then(|isp| isp.organization),
            domain.and_then(|domain| domain.domain),
            connection.and_then(|connection| connection.connection_type),
            number.as_deref(),
            data.as_deref(),
        ];
        // Databases are made by others, too.
        let arena = Bump::new();
        Packed::new(&found.map(|text| text.and_then(|text| tsv_safe(text, &arena))))
    }
}

fn asn_data(number: &str, organization: Option<&str>) -> String {
    let mut data = format!("{{\"number\":{number},\"organization\":").into_bytes();
    json::write_optional(organization, &mut data);
    data.push(b'}');
    String::from_utf8(data).expect("made of texts")
}

/// The record of an address; none where there is none or it cannot be read.
fn find<'d, T: Deserialize<'d>>(database: &'d Option<Database>, address: IpAddr) -> Option<T> {
    database.as_ref()?.lookup(address).ok()?.decode().ok()?
}

/// The parts read of a record about a place; everything else is skipped undecoded.
#[derive(Deserialize)]
struct City<'d> {
    #[serde(borrow)]
    country: Option<Division<'d>>,
    #[serde(borrow)]
    subdivisions: Option<Vec<Division<'d>>>,
    #[serde(borrow)]
    city: Option<Division<'d>>,
    #[serde(borrow)]
    postal: Option<Postal<'d>>,
    #[serde(borrow)]
    location: Option<Location<'d>>,
}

#[derive(Deserialize)]
struct Division<'d> {
    iso_code: Option<&'d str>,
    #[serde(borrow)]
    names: Option<Names<'d>>,
}

#[derive(Deserialize)]
struct Names<'d> {
    en: Option<&'d str>,
}

#[derive(Deserialize)]
struct Postal<'d> {
    code: Option<&'d str>,
}

#[derive(Deserialize)]
struct Location<'d> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: Option<&'d str>,
}

#[derive(Clone, Copy, Deserialize)]
struct Isp<'d> {
    isp: Option<&'d str>,
    organization: Option<&'d str>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'d str>,
}

#[derive(Clone, Copy, Deserialize)]
struct Domain<'d> {
    domain: Option<&'d str>,
}

#[derive(Clone, Copy, Deserialize)]
struct Connection<'d> {
    connection_type: Option<&'d str>,
}

#[derive(Default)]
struct Place<'d> {
    country: Option<&'d str>,
    region: Option<&'d str>,
    region_name: Option<&'d str>,
    city: Option<&'d str>,
    zipcode: Option<&'d str>,
    position: [Option<f32>; 2],
    timezone: Option<&'d str>,
}

impl<'d> City<'d> {
    fn place(&self) -> Place<'d> {
        let english = |division: &Division<'d>| division.names.as_ref().and_then(|names| names.en);
        let region = self.subdivisions.as_ref().and_then(|divisions| divisions.last());
        let location = self.location.as_ref();
        // Degrees are printed with the precision of 32 bits, which hides the noise of 64.
        let degrees = |value: Option<f64>| Some(value.unwrap_or_default() as f32);
        Place {
            country: self.country.as_ref().and_then(|country| country.iso_code),
            region: region.and_then(|region| region.iso_code),
            region_name: region.and_then(english),
            city: self.city.as_ref().and_then(english),
            zipcode: self.postal.as_ref().and_then(|postal| postal.code),
            position: [
                degrees(location.and_then(|location| location.latitude)),
                degrees(location.and_then(|location| location.longitude)),
            ],
            timezone: location.and_then(|location| location.time_zone),
        }
    }
}
