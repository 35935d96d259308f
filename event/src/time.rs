//! Times as texts and calendar arithmetic, all in UTC and milliseconds since the epoch.

use bumpalo::Bump;

/// The text of a timestamp field, `yyyy-MM-dd HH:mm:ss.SSS`.
pub fn format_ms(_ms: i64, _arena: &Bump) -> &str {
    "1970-01-01 00:00:00.000"
}

/// Appends an ISO-8601 instant whose fraction has three digits or, where it is zero, is left out.
pub fn write_instant(_ms: i64, _out: &mut Vec<u8>) {}

/// Appends an ISO-8601 instant whose fraction always has three digits.
pub fn write_instant_millis(_ms: i64, _out: &mut Vec<u8>) {}

/// The collector's time minus the calendar period between creation and sending.
pub fn derived(collector: i64, _created: i64, _sent: i64) -> i64 {
    collector
}

/// Whether the year lies in 0 to 9999.
pub const fn is_redshift_compatible(ms: i64) -> bool {
    ms >= -62_167_219_200_000 && ms <= 253_402_300_799_999
}
