//! What no single setting can tell: which of them belong together, and which exclude each other. A
//! setting that would be ignored is a mistake, and so is what cannot work whatever AWS says.

use super::{Config, InitialPosition, Route};
use crate::sink;

impl Config {
    /// Says what is wrong, and names the section.
    pub(super) fn check(&self, now_ms: i64) -> Result<(), String> {
        for (route, destinations) in self.routes() {
            self.check_route(route, destinations)?;
        }
        if let InitialPosition::AtTimestamp(ms) = self.source.initial_position
            && ms > now_ms
        {
            return Err("[source] initial_position: expected a time in the past".to_owned());
        }
        self.check_assets()
    }

    fn check_route(&self, route: sink::Route, destinations: &Route) -> Result<(), String> {
        let name = route.name();
        if destinations.kinesis.is_none() && destinations.s3.is_none() {
            return Err(format!(
                "[{name}] has no destination: add [{name}.kinesis] or [{name}.s3]"
            ));
        }
        if destinations.fallback.is_some()
            && (destinations.kinesis.is_none() || destinations.s3.is_some())
        {
            return Err(format!(
                "[{name}.fallback] takes what [{name}.kinesis] cannot: it needs that section \
                 and is of no use beside [{name}.s3], which takes everything"
            ));
        }
        if let Some(stream) = &destinations.kinesis {
            if !route.is_of_events() && stream.partition_key.is_column() {
                return Err(format!(
                    "[{name}.kinesis] partition_key: only routes of events have columns"
                ));
            }
            if *stream.stream == *self.source.stream {
                return Err(format!(
                    "[{name}.kinesis] stream: `{}` is the stream that is read; what is written \
                     there would be read again, without end",
                    stream.stream
                ));
            }
        }
        let room = self.worker.bytes_in_flight.get();
        if destinations.objects().any(|objects| objects.closes_at(room) > room) {
            return Err(format!(
                "[{name}] object_bytes: an object grows in memory, and [worker] bytes_in_flight \
                 has less room than one; give the one less or the other more"
            ));
        }
        Ok(())
    }

    fn check_assets(&self) -> Result<(), String> {
        let enrichments = &self.enrichments;
        if enrichments.assets.is_some() && enrichments.cache.is_some() {
            return Err("[enrichments] assets and cache exclude each other: files of the one are \
                        yours, files of the other are fetched"
                .to_owned());
        }
        if enrichments.max_age.is_some() && enrichments.cache.is_none() {
            return Err("[enrichments] max_age is of assets that are fetched, and without cache \
                        none are"
                .to_owned());
        }
        if enrichments.folder.is_none() {
            let ignored = [
                ("assets", enrichments.assets.is_some()),
                ("cache", enrichments.cache.is_some()),
                ("allow_unsupported", !enrichments.allow_unsupported.is_empty()),
                ("peer_masking", enrichments.peer_masking),
            ];
            if let Some((name, _)) = ignored.iter().find(|(_, given)| *given) {
                return Err(format!(
                    "[enrichments] {name} is of enrichments, and without folder there are none"
                ));
            }
        }
        Ok(())
    }
}
