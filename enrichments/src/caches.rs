//! What one thread keeps between events. All is forgotten when the enrichments change, because
//! another generation of assets may answer differently.

use crate::cache::Cache;
use crate::javascript::{CutOffs, Engine};
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
    /// How often scripts were cut off.
    pub(crate) cut_offs: CutOffs,
    /// What scripts printed, where somebody listens.
    pub(crate) printed: Option<Vec<String>>,
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
            cut_offs: CutOffs::default(),
            printed: None,
            scratch: Vec::new(),
        }
    }
}

impl Caches {
    /// Caches that keep what scripts print, for [`Caches::printed`].
    pub fn listening() -> Caches {
        Caches { printed: Some(Vec::new()), ..Caches::default() }
    }

    /// The lines that scripts printed, of each a bounded number of bytes; no longer kept from then
    /// on.
    pub fn printed(&mut self) -> Vec<String> {
        self.printed.take().unwrap_or_default()
    }

    /// How often scripts were cut off since this was last asked.
    pub fn take_cut_offs(&mut self) -> CutOffs {
        std::mem::take(&mut self.cut_offs)
    }

    /// Forgets everything if it was made by enrichments other than these.
    pub(crate) fn enter(&mut self, generation: u64) {
        if self.generation != generation {
            let (cut_offs, printed) = (self.cut_offs, self.printed.take());
            *self = Caches { generation, cut_offs, printed, ..Caches::default() };
        }
    }
}
