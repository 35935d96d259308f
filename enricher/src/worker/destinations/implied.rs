//! Destinations that nobody wrote down: what others have no place for goes beside the first of
//! them.

use pipeline::Route;

use super::{
    ARCHIVE_AGE, Access, Destination, Growth, Home, Iceberg, Objects, Run, To, iceberg, prefix,
};
use crate::config::{self, Config};
use crate::sink::object::Compression;

/// What became a size violation is kept whole in the first bucket there is, as a stream could not
/// take it, and so is what waits, unless it has a place of its own.
pub(super) fn implied(
    config: &Config,
    worker: Run<'_>,
    all: &mut Vec<Destination>,
    warnings: &mut Vec<&'static str>,
) {
    let own = [(Route::Oversized, &config.oversized), (Route::Parked, &config.parked)];
    let missing = own.into_iter().filter(|(_, section)| section.is_none()).map(|(route, _)| route);
    let lender = first_bucket(config);
    let table = first_table(config).filter(|_| lender.is_none());
    if lender.is_none() && table.is_none() {
        if config.oversized.is_none() {
            warnings.push("no bucket is configured: size violations keep a part of their text");
        }
        return;
    }
    for route in missing {
        let objects = match (lender, table) {
            (Some((lender, objects)), _) => Objects::beside(route, lender, objects, worker),
            (None, Some(table)) => Objects::beside_tables(route, table, worker),
            (None, None) => unreachable!("one of them is there"),
        };
        let to = To::Objects(objects);
        all.push(Destination { implied: true, ..Destination::of_all(route, to) });
    }
}

/// The tables of Iceberg that take what no section was written for, where there is no bucket.
fn first_table(config: &Config) -> Option<&config::Iceberg> {
    let tables = config.bad.to.iter().chain(&config.enriched.to);
    tables.filter_map(|to| to.iceberg.as_ref()).next()
}

impl Objects {
    /// Those that borrow the bucket of another route's section: in a folder under its prefix, where
    /// that route may write, hidden from those who read what is its own.
    fn beside(route: Route, of: Route, section: &config::Objects, worker: Run<'_>) -> Objects {
        let prefix = format!("{}/_{}", prefix(of, section).trim_end_matches('/'), route.name());
        Objects::below(route, section, &prefix, worker)
    }

    /// Those that go beside tables of Iceberg, hidden from those who read files there.
    fn beside_tables(route: Route, section: &config::Iceberg, worker: Run<'_>) -> Objects {
        let growth = Growth {
            compression: Compression::Zstd,
            bytes: config::closes_at(None, worker.in_flight),
            age: ARCHIVE_AGE,
        };
        let own = format!("_{}", route.name());
        let (home, prefix) = match Iceberg::home(section) {
            iceberg::Location::Folder(path) => (Home::Folder(path), own),
            iceberg::Location::Bucket(name, prefix) => {
                let access = Access::of(section.region.as_deref(), section.role.as_deref());
                let kms_key = section.kms_key.as_ref().map(|key| key.to_string());
                let slash = if prefix.is_empty() { "" } else { "/" };
                (Home::Bucket { name, access, kms_key }, format!("{prefix}{slash}{own}"))
            }
        };
        Objects::of(route, home, &prefix, worker.name, growth)
    }
}

/// Whether some destination takes what no section was written for.
pub(in super::super) fn lends(config: &Config) -> bool {
    first_bucket(config).is_some() || first_table(config).is_some()
}

/// The bucket that takes what no section was written for, and the route that lends it.
fn first_bucket(config: &Config) -> Option<(Route, &config::Objects)> {
    let routes = [(Route::Bad, &config.bad), (Route::Enriched, &config.enriched)];
    let mut buckets = routes.into_iter().flat_map(|(route, destinations)| {
        destinations.objects().map(move |objects| (route, objects))
    });
    buckets.next()
}
