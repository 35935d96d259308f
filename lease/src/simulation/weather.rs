//! What goes wrong in a simulated world, and how often: drawn once for each world.

use fastrand::Rng;

use super::crash::{self, Point};
use super::world::SECOND;

/// How likely each fault is, in a thousand; and what happens to the world as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    pub(super) lost_request: u32,
    pub(super) lost_reply: u32,
    pub(super) late_reply: u32,
    pub(super) duplicate: u32,
    pub(super) throttle: u32,
    pub(super) slow: u32,
    pub(super) stale: u32,
    pub(super) crash: u32,
    pub(super) pause: u32,
    pub(super) partition: u32,
    pub(super) drain: u32,
    pub(super) reshard: u32,
    pub(super) join: u32,
    /// Somebody who is no worker of ours names a next owner.
    pub(super) stranger: u32,
    /// A process dies at any of the points at which it waits for something, in ten thousand.
    pub(super) sudden: u32,
    /// At this one it dies often.
    pub(super) fatal: Option<Point>,
    /// How many records kill whoever processes them.
    pub(super) killers: u32,
    /// When the stream is deleted and created anew, or the fleet turns to another one with the same
    /// table.
    pub(super) recreated: Option<u64>,
    /// Whether that other stream has another name, and was created in the same second.
    pub(super) renamed: bool,
    /// Whether the fleet begins at the newest records.
    pub(super) latest: bool,
    /// Shards that cannot be read for a while.
    pub(super) broken: u32,
    /// Whether workers have lease durations of two lengths.
    pub(super) two_durations: bool,
    /// A worker of another kind had begun, and died at a reshard.
    pub(super) inherited: bool,
    /// Until when there are faults.
    pub(super) storm_until: u64,
}

impl Weather {
    pub(super) fn drawn(rng: &mut Rng) -> Weather {
        let some = |rng: &mut Rng, most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
        let points = crash::points();
        let mut weather = Weather {
            lost_request: some(rng, 60),
            lost_reply: some(rng, 60),
            late_reply: some(rng, 500),
            duplicate: some(rng, 60),
            throttle: some(rng, 150),
            slow: some(rng, 200),
            stale: some(rng, 500),
            crash: some(rng, 250),
            pause: some(rng, 400),
            partition: some(rng, 500),
            drain: some(rng, 200),
            reshard: some(rng, 300),
            join: some(rng, 300),
            stranger: some(rng, 200),
            sudden: some(rng, 40),
            fatal: rng.bool().then(|| points[rng.usize(0..points.len())]),
            killers: if rng.u32(0..4) == 0 { rng.u32(1..3) } else { 0 },
            recreated: (rng.u32(0..4) == 0).then(|| SECOND * rng.u64(3..60)),
            renamed: rng.bool(),
            latest: rng.u32(0..8) == 0,
            broken: some(rng, 250),
            two_durations: rng.u32(0..4) == 0,
            inherited: rng.u32(0..6) == 0,
            storm_until: SECOND * rng.u64(20..120),
        };
        // What the KCL wrote does not say of which stream it is.
        weather.inherited &= weather.recreated.is_none();
        // Leases are deleted after minutes only; that should happen in bad weather, too.
        if rng.u32(0..8) == 0 {
            weather.storm_until += SECOND * 150;
        }
        weather
    }

    /// How long the world is to stay calm after the last fault, at least so long.
    pub(super) fn calm(&self, least: u64) -> u64 {
        // Five workers die of a record, one after the other; and a pause may have just begun.
        let broken = if self.broken > 0 { 180 * SECOND } else { 0 };
        let slower = if self.two_durations { least } else { 0 };
        least + u64::from(self.killers) * least / 2 + broken + slower
    }

    /// Workers crash, join and leave, and nothing else fails.
    pub(super) fn mild(storm_until: u64) -> Weather {
        Weather { crash: 20, drain: 20, join: 60, storm_until, ..Weather::default() }
    }
}
