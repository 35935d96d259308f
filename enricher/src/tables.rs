//! The tables that lines become: which there are, and their rows while they grow.

use pipeline::Route;
use warehouse::{BadRows, Batch, Need, Rows, Shapes};

/// The tables, by the routes whose lines they hold.
pub const TABLES: [(Route, &str); 4] = [
    (Route::Enriched, "events"),
    (Route::Incomplete, "failed"),
    (Route::Bad, "bad"),
    (Route::Pii, "pii"),
];

/// Level 1 is what the other forms are compressed with.
pub const ZSTD_LEVEL: i32 = 1;

/// Rows that are taken out of their buffers together: few enough for a core's cache to hold a
/// column of them, and enough for the arrays to cost nothing beside them.
pub const ROWS: usize = 8_192;

/// Bytes of rows that are, however few they are.
pub const ROWS_BYTES: usize = 8 << 20;

/// Rows of one table.
pub enum AnyRows {
    /// Of a table of events.
    Events(Box<Rows>),
    /// Of bad rows.
    Bad(Box<BadRows>),
}

/// What a route's table is called; nothing of a route that has none.
pub fn name(route: Route) -> Option<&'static str> {
    TABLES.iter().find(|(of, _)| *of == route).map(|(_, name)| *name)
}

/// The columns that a route's table has from the beginning.
pub fn columns(route: Route) -> Vec<columns::Field> {
    if route.is_of_events() { columns::always() } else { warehouse::bad::fields() }
}

impl AnyRows {
    /// None yet, of that route's table.
    pub fn new(route: Route) -> AnyRows {
        AnyRows::with(route, Shapes::default())
    }

    /// None yet, with the columns that are known.
    pub fn with(route: Route, shapes: Shapes) -> AnyRows {
        match route.is_of_events() {
            true => AnyRows::Events(Box::new(Rows::new(shapes))),
            false => AnyRows::Bad(Box::default()),
        }
    }

    /// Adds lines that were made at that time. Where columns have to be found out first, none of
    /// the lines was added.
    pub fn extend<'l>(
        &mut self,
        lines: impl IntoIterator<Item = &'l str>,
        now_ms: i64,
    ) -> Result<(), Need> {
        match self {
            AnyRows::Events(rows) => rows.extend(lines, now_ms),
            AnyRows::Bad(rows) => {
                rows.extend(lines, now_ms);
                Ok(())
            }
        }
    }

    /// Whether it is time to take them out.
    pub fn is_full(&self) -> bool {
        match self {
            AnyRows::Events(rows) => rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES,
            AnyRows::Bad(rows) => rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES,
        }
    }

    /// The bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        match self {
            AnyRows::Events(rows) => rows.bytes(),
            AnyRows::Bad(rows) => rows.bytes(),
        }
    }

    /// How many values fit no column, in all rows since the beginning.
    pub fn misfits(&self) -> u64 {
        match self {
            AnyRows::Events(rows) => rows.misfits(),
            AnyRows::Bad(_) => 0,
        }
    }

    /// The rows, and there are none any more.
    pub fn finish(&mut self) -> Option<Batch> {
        match self {
            AnyRows::Events(rows) => (!rows.is_empty()).then(|| rows.finish()),
            AnyRows::Bad(rows) => (!rows.is_empty()).then(|| rows.finish()),
        }
    }
}
