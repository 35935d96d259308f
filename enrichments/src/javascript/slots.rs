//! The event while a script has it: a copy of its columns' texts, since a realm outlives every
//! event, and a note of what the script changed. Room is kept from one event to the next.

use event::fields::{COUNT, FIELDS, Field};
use event::{Bump, Event};

/// What a script may print, in bytes, for one event: enough for people, and a bound.
const PRINTED: usize = 64 * 1024;

/// The columns of one event, and what a script did to them.
pub(crate) struct Slots {
    texts: String,
    /// Where in the texts a column's is; none where it is empty.
    places: [Option<(u32, u32)>; COUNT],
    changed: [bool; COUNT],
    /// The script wants the event to vanish.
    pub(super) dropped: bool,
    /// The script wants the entities derived before it forgotten.
    pub(super) erased: bool,
    /// What it printed, a line each.
    pub(crate) printed: Vec<String>,
    printed_bytes: usize,
    /// The batch's time, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// The state of the event's generator of numbers.
    chance: u64,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots {
            texts: String::new(),
            places: [None; COUNT],
            changed: [false; COUNT],
            dropped: false,
            erased: false,
            printed: Vec::new(),
            printed_bytes: 0,
            now_ms: 0,
            chance: 0,
        }
    }
}

impl Slots {
    /// Takes an event, and the time and the seed that are all a script knows of clock and chance.
    pub(super) fn enter(&mut self, event: &Event<'_>, now_ms: i64, seed: &str) {
        self.texts.clear();
        for (place, (_, text)) in self.places.iter_mut().zip(event.iter()) {
            *place = text.map(|text| put(&mut self.texts, text));
        }
        self.changed = [false; COUNT];
        (self.dropped, self.erased) = (false, false);
        self.printed.clear();
        self.printed_bytes = 0;
        self.now_ms = now_ms;
        self.chance = seed.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    }

    /// The text of a column.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        let (start, end) = self.places[field as usize]?;
        Some(&self.texts[start as usize..end as usize])
    }

    /// Sets a column, or clears it.
    pub(super) fn set(&mut self, field: Field, text: Option<&str>) {
        self.places[field as usize] = text.map(|text| put(&mut self.texts, text));
        self.changed[field as usize] = true;
    }

    /// Sets a column as far as the script sees it, without counting as its change.
    pub(super) fn show(&mut self, field: Field, text: Option<&str>) {
        self.places[field as usize] = text.map(|text| put(&mut self.texts, text));
    }

    /// Notes a line that the script printed; what is beyond the bound is left out.
    pub(super) fn print(&mut self, line: String) {
        if self.printed_bytes + line.len() <= PRINTED {
            self.printed_bytes += line.len();
            self.printed.push(line);
        }
    }

    /// The next number of the event's generator (SplitMix64).
    pub(super) fn chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The columns that the script set, with their texts.
    pub(super) fn changes(&self) -> impl Iterator<Item = (Field, Option<&str>)> {
        FIELDS
            .into_iter()
            .filter(|field| self.changed[*field as usize])
            .map(|field| (field, self.get(field).filter(|text| !text.is_empty())))
    }

    /// Writes what the script set into the event, clean of what no column can hold.
    pub(super) fn leave<'a>(&self, event: &mut Event<'a>, arena: &'a Bump) {
        for (field, text) in self.changes() {
            event.set(field, text.and_then(|text| cleaned(field, text, arena)));
        }
    }
}

/// A script's text as a column can hold it: JSON in compact form, any other on one line.
fn cleaned<'a>(field: Field, text: &str, arena: &'a Bump) -> Option<&'a str> {
    let text: &'a str = arena.alloc_str(text);
    if field.kind() == event::fields::Kind::Json
        && let Ok(compact) = event::json::compact(text, arena)
    {
        return Some(compact);
    }
    event::convert::tsv_safe(text, arena)
}

fn put(texts: &mut String, text: &str) -> (u32, u32) {
    let start = texts.len();
    texts.push_str(text);
    let bound = |at: usize| u32::try_from(at).expect("a realm's memory is bounded far below 4 GiB");
    (bound(start), bound(texts.len()))
}
