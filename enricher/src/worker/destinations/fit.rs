//! Whether destinations can be what a configuration makes them: each a place of its own, and names
//! of objects no longer than S3 takes them.

use super::{Destination, Home, Iceberg, Larger, Objects, To};
use crate::exit::Usage;

/// The most bytes of an object's name.
const NAME_BYTES: usize = 1024;

/// Two destinations that read as one.
pub(super) const MIXED: &str = "the folder of a destination lies in that of another: whoever reads \
                                the one reads both";

/// Refuses what cannot be.
pub(super) fn check(all: &[Destination]) -> Result<(), Usage> {
    for (at, one) in all.iter().enumerate() {
        let same = |other: &&Destination| other.route == one.route && other.place() == one.place();
        if let Some(other) = all[..at].iter().find(same) {
            let route = one.route.name();
            let names =
                [other, one].map(|it| it.name.as_deref().unwrap_or("the one without a name"));
            return Err(Usage(format!(
                "[{route}] has two destinations that are one place, {}: {} and {}; one record goes \
                 once to a place",
                one.place(),
                names[0],
                names[1]
            )));
        }
    }
    let tables = all.iter().filter_map(|one| match &one.to {
        To::Iceberg(table) => Some((one, table)),
        _ => None,
    });
    let tables: Vec<_> = tables.collect();
    for (at, (one, table)) in tables.iter().enumerate() {
        let taken =
            |(_, other): &&(_, &Iceberg)| !table.is_beside(other) && table.links == other.links;
        if let Some((_, other)) = tables[..at].iter().find(taken) {
            return Err(Usage(format!(
                "tables of {} and of {} have their links in one place, {}: expected one for each",
                other.catalog, table.catalog, table.links
            )));
        }
        let differs = |(_, other): &&(_, &Iceberg)| table.is_beside(other) && !table.is_like(other);
        if let Some((other, _)) = tables[..at].iter().find(differs) {
            return Err(Usage(format!(
                "[[{}.to]] and [[{}.to]] are tables of {} that are filled together: expected the \
                 same links, object_bytes, object_age, commit_every, region, role and kms_key",
                other.route.name(),
                one.route.name(),
                table.catalog
            )));
        }
    }
    for (route, objects) in all.iter().filter_map(|one| Some((one.route.name(), objects(one)?))) {
        let (longest, prefix) = (objects.settings.longest_name(), &objects.settings.prefix);
        if in_bucket(objects).is_some() && longest > NAME_BYTES {
            return Err(Usage(format!(
                "[{route}] names of objects below `{prefix}` would have up to {longest} bytes, and \
                 S3 takes {NAME_BYTES}: shorten the prefix, the key or [worker] name"
            )));
        }
    }
    Ok(())
}

/// Whether the folder of one lies in that of another, where readers would find it: what begins with
/// an underscore is hidden from them.
pub(super) fn mixed(all: &[Destination]) -> bool {
    let places = all.iter().filter_map(|one| {
        let objects = objects(one)?;
        Some((in_bucket(objects)?, objects.settings.prefix.as_str()))
    });
    let places: Vec<_> = places.collect();
    let within = |(bucket, prefix): &(_, &str), (other, outer): &(_, &str)| {
        let rest = prefix.strip_prefix(outer).and_then(|rest| rest.strip_prefix('/'));
        bucket == other && rest.is_some_and(|rest| !rest.starts_with('_'))
    };
    places.iter().any(|one| places.iter().any(|other| within(one, other)))
}

fn objects(destination: &Destination) -> Option<&Objects> {
    match &destination.to {
        To::Objects(objects) => Some(objects),
        To::Stream { larger: Larger::Objects(objects), .. } => Some(objects),
        To::Stream { .. } | To::Iceberg(_) => None,
    }
}

fn in_bucket(objects: &Objects) -> Option<&str> {
    match &objects.home {
        Home::Bucket { name, .. } => Some(name),
        Home::Folder(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::exit::Usage;
    use crate::worker::plan::Plan;

    fn plan(enriched: &str) -> Result<Plan, Usage> {
        let text = format!(
            "[source]\nstream = \"in\"\n[leases]\ntable = \"leases\"\n[bad.s3]\nbucket = \"b-1\"\n\
             [enriched]\n{enriched}\n"
        );
        Plan::of(&config::parse(&text, "worker.toml").expect("it is right"), "1")
    }

    #[test]
    fn names_that_s3_does_not_take_are_refused() {
        let of = |prefix: usize, key: &str| {
            let prefix = "p".repeat(prefix);
            plan(&format!("s3 = {{ bucket = \"b-1\", prefix = \"{prefix}\", key = \"{key}\" }}"))
        };
        of(700, "date={date}/").expect("there is room");
        of(300, "{app_id}/{event_name}/{platform}/{user_id}/").expect("there is room");
        let why = of(700, "{app_id}/{event_name}/{platform}/{user_id}/").expect_err("too long");
        let why = why.to_string();
        assert!(why.starts_with("[enriched] names of objects below `ppp"), "{why}");
        assert!(
            why.ends_with("S3 takes 1024: shorten the prefix, the key or [worker] name"),
            "{why}"
        );
    }

    #[test]
    fn a_folder_in_another_is_warned_of() {
        let warned = |enriched: &str| {
            let plan = plan(enriched).expect("it can be");
            plan.warnings.contains(&super::MIXED)
        };
        let named = "to = [{ name = \"shop\", s3 = { bucket = \"b-1\" } }]";
        assert!(
            !warned(&format!("s3 = {{ bucket = \"b-1\" }}\n{named}")),
            "by default they are apart"
        );
        assert!(warned("s3 = { bucket = \"b-1\", prefix = \"bad/e\" }"));
        assert!(!warned("s3 = { bucket = \"b-1\", prefix = \"bad-e\" }"));
        assert!(!warned("s3 = { bucket = \"b-1\", prefix = \"bad/_e\" }"), "it is hidden");
        assert!(!warned("s3 = { bucket = \"b-2\", prefix = \"bad/e\" }"), "another bucket");
    }
}
