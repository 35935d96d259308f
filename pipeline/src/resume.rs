//! Going on with the gaps of a batch: each record that has some is loaded anew, and only the events
//! that waited are taken down the road.

use enrichments::Caches;
use event::{Bump, RawEvent};

use super::group::{Loaded, Pass};
use super::output::Mark;
use super::parked::{Missing, Waiting};
use super::road::Passage;
use super::suspended::{Gap, What};
use super::{Bench, identity};

impl<'r> Pass<'r> {
    /// Fills gaps as far as that is possible. For each it is said where its part of the output,
    /// and of the gaps that are left, begins.
    pub(super) fn resume(&mut self, gaps: &[Gap], bench: &mut Bench) -> Vec<(Mark, usize)> {
        let Bench { arena, caches, .. } = bench;
        let mut begins = Vec::with_capacity(gaps.len());
        for gaps in gaps.chunk_by(|one, next| one.record == next.record) {
            arena.reset();
            let (first, begin) = (begins.len(), self.here());
            let filled = self.confined(gaps[0].record, caches, |pass, caches| {
                pass.resume_record(gaps, caches, &mut begins, arena);
            });
            if !filled {
                // What had been written for them is gone; one bad row stands for all.
                begins.truncate(first);
                begins.push(begin);
            }
            // A record that cannot be taken apart any more has its verdict in its first gap.
            begins.resize(first + gaps.len(), self.here());
        }
        self.writer.output.cut_offs += caches.take_cut_offs();
        begins
    }

    fn here(&self) -> (Mark, usize) {
        (self.writer.output.mark(), self.gaps.len())
    }

    /// The gaps of one record.
    fn resume_record<'a>(
        &mut self,
        gaps: &[Gap],
        caches: &mut Caches,
        begins: &mut Vec<(Mark, usize)>,
        arena: &'a Bump,
    ) where
        'r: 'a,
    {
        let index = gaps[0].record;
        let record = &self.work.batch.records[index as usize];
        let loaded = self.loaded(record, arena);
        let (events, missing) = match &loaded {
            Loaded::Events(adapted) => (adapted.events.as_slice(), None),
            // What it takes to read the record has become unknown meanwhile.
            Loaded::Undecided(missing) => (&[][..], Some(missing)),
            _ => {
                begins.push(self.here());
                return self.record(index, loaded, std::iter::empty(), caches, arena);
            }
        };
        let before = self.gaps.len();
        for gap in gaps {
            begins.push(self.here());
            match &gap.what {
                What::Event { index: place, .. } => match missing {
                    None => self.resume_event(index, *place, events, caches, arena),
                    Some(None) => self.gap(index, gap.what.clone()),
                    Some(Some(schemas)) => {
                        let known = self.work.replay.and_then(|replay| replay.id(*place));
                        let derived = || identity::event_id(self.work.origin(record), *place);
                        let event_id = known.map_or_else(derived, str::to_owned);
                        let event = Waiting { index: *place, event_id };
                        self.parking.add(event, Missing::Schemas(schemas.clone()));
                    }
                },
                What::Parking(parking) => {
                    let parking = parking.clone().with(std::mem::take(&mut self.parking));
                    self.parking = parking;
                    self.park_events(index, before);
                }
            }
        }
    }

    fn resume_event<'a>(
        &mut self,
        index: u32,
        place: u32,
        events: &[RawEvent<'a>],
        caches: &mut Caches,
        arena: &'a Bump,
    ) where
        'r: 'a,
    {
        let record = &self.work.batch.records[index as usize];
        let origin = self.work.origin(record);
        let raw = events[place as usize].clone();
        self.confined(index, caches, |pass, caches| {
            let mut passage = Passage::new(raw, origin, place, None, arena);
            passage.known_id = pass.work.replay.and_then(|replay| replay.id(place));
            pass.event(index, passage, caches, arena);
        });
    }
}
