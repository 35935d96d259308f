//! What one thread keeps between events. All is forgotten when the enrichments change, because
//! another generation of assets may answer differently.

use crate::cache::Cache;
use crate::javascript::Engine;
use crate::yauaa;

/// The most bytes that the outputs by user agent occupy in one thread, keys included: some
/// thirty thousand browsers.
const USER_AGENT_BYTES: usize = 24 << 20;
/// The most bytes that the outputs by address occupy in one thread: some fifty thousand.
const ADDRESS_BYTES: usize = 12 << 20;

/// What one thread keeps between events (finished outputs by user agent, by address, …).
#[derive(Debug)]
pub struct Caches {
    generation: u64,
    /// Columns and entity by woothee.
    pub(crate) woothee: Cache,
    /// The entity by the published user agent rules.
    pub(crate) ua_parser: Cache,
    /// The entity by YAUAA, and what it reads user agents with.
    pub(crate) yauaa: yauaa::Kept,
    /// Columns by the address databases.
    pub(crate) addresses: Cache,
    /// What runs scripts, once it was needed.
    pub(crate) engine: Option<Engine>,
    /// Room for an entity's data while it is written.
    pub(crate) scratch: Vec<u8>,
}

impl Default for Caches {
    fn default() -> Caches {
        Caches {
            generation: 0,
            woothee: Cache::new(USER_AGENT_BYTES / 2),
            ua_parser: Cache::new(USER_AGENT_BYTES / 2),
            yauaa: yauaa::Kept::new(USER_AGENT_BYTES),
            addresses: Cache::new(ADDRESS_BYTES),
            engine: None,
            scratch: Vec::new(),
        }
    }
}

impl Caches {
    /// Forgets everything if it was made by enrichments other than these.
    pub(crate) fn enter(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Caches { generation, ..Caches::default() };
        }
    }
}
