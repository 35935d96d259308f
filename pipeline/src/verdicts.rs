//! What an event became, written down: its line, and its verdict in the account.
//!
//! A line larger than the routes take becomes a size violation; the line itself is set aside whole.

use event::bad_row::{self, BadKind, Stamp};
use event::flat::FlatError;
use event::reason::Reason;
use event::{Bump, Event, RawEvent, base64};

use super::adapt::Refused;
use super::cause::Cause;
use super::companions::{self, Why};
use super::failed::Failed;
use super::parked::{self, Parked, Waiting};
use super::protection::Masked;
use super::road::Passage;
use super::writer::Writer;
use super::{Format, Record, Route, Verdict, adapt};

impl Writer<'_> {
    /// An event at the end of its road, and the event about what was pseudonymised in it.
    pub(super) fn enriched<'a>(&mut self, index: u32, passage: &Passage<'a>, arena: &'a Bump) {
        self.event(index, &passage.event);
        if self.output.verdicts.last() == Some(&(index, Verdict::Enriched)) {
            self.output.too_long += u32::from(passage.too_long);
            self.pii(passage, arena);
        }
    }

    /// An event that a script wants to vanish.
    pub(super) fn dropped(&mut self, index: u32) {
        self.output.verdicts.push((index, Verdict::Dropped));
    }

    /// An event that was written before, on a route of events, however large its line is.
    pub(super) fn again(&mut self, route: Route, event: &Event<'_>) -> Result<(), FlatError> {
        let format = self.pipeline.settings.format;
        self.output.lines_mut(route).push_with(|out| match format {
            Format::Tsv => {
                event::tsv::write(event, out);
                Ok(())
            }
            Format::Json => event::flat::write(event, out),
        })?;
        self.json(route, event)?;
        if route == Route::Enriched {
            self.output.verdicts.push((0, Verdict::Enriched));
        }
        Ok(())
    }

    fn event(&mut self, index: u32, event: &Event<'_>) {
        let settings = &self.pipeline.settings;
        let written = self.output.enriched.push_with(|out| match settings.format {
            Format::Tsv => {
                event::tsv::write(event, out);
                Ok(())
            }
            Format::Json => event::flat::write(event, out),
        });
        if let Err(error) = written.and_then(|()| self.json(Route::Enriched, event)) {
            self.output.enriched.pop();
            let payload = self.shown().enriched_text(base64::encode(&columns(event)));
            return self.bad(index, Cause::bare(BadKind::GenericError), |stamp, out| {
                bad_row::generic_error(stamp, &[&error.to_string()], &payload, out);
            });
        }
        if self.longest(Route::Enriched) > settings.line_bytes_max {
            return self.oversized(index, event);
        }
        self.output.verdicts.push((index, Verdict::Enriched));
    }

    /// Writes the newest line of a route a second time, as flat JSON, where that is wanted; where
    /// it fails, nothing is left of that.
    pub(super) fn json(&mut self, route: Route, event: &Event<'_>) -> Result<(), FlatError> {
        if !self.pipeline.settings.json.contains(&route) {
            return Ok(());
        }
        let Some(lines) = self.output.json.lines_mut(route) else { return Ok(()) };
        lines.push_with(|out| event::flat::write(event, out)).inspect_err(|_| lines.pop())
    }

    /// The length of the newest line of a route, in the form in which it is longest.
    pub(super) fn longest(&self, route: Route) -> usize {
        let json = self.output.json.lines(route).filter(|lines| !lines.is_empty());
        let json = json.map_or(0, |lines| lines.last().len());
        self.output.lines(route).last().len().max(json)
    }

    /// Replaces the newest enriched line by a bad row with the beginning of it; of JSON, with all
    /// of the columns in Base64, which may become a size violation in its turn.
    fn oversized(&mut self, index: u32, event: &Event<'_>) {
        let max_bytes = self.pipeline.settings.line_bytes_max;
        let actual_bytes = self.longest(Route::Enriched);
        let line = self.set_aside(Route::Enriched);
        let (kept, keep) = match self.pipeline.settings.format {
            Format::Tsv => (line.clone(), max_bytes * 8 / 10),
            Format::Json => (base64::encode(&columns(event)), usize::MAX),
        };
        let kept = self.shown().enriched_text(kept);
        let expectation = format!(
            "event passed enrichment but then exceeded the maximum allowed size {max_bytes} bytes"
        );
        let cause = Cause::of_reasons(BadKind::SizeViolation, &[], Some(event));
        self.bad(index, cause, |stamp, out| {
            let oversize = bad_row::Oversize {
                max_bytes,
                actual_bytes,
                expectation: &expectation,
                line: &kept,
                keep,
            };
            bad_row::size_violation(stamp, oversize, out);
        });
    }

    /// Moves the newest line of a route to the oversized ones, and returns it.
    pub(super) fn set_aside(&mut self, route: Route) -> String {
        let lines = self.output.lines_mut(route);
        let line = String::from_utf8_lossy(lines.last()).into_owned();
        lines.pop();
        if let Some(json) = self.output.json.lines_mut(route) {
            json.pop();
        }
        self.output.oversized.push_with(|out| {
            out.extend_from_slice(format!(r#"{{"route":"{}","line":"#, route.name()).as_bytes());
            event::json::write_string(&line, out);
            out.push(b'}');
        });
        line
    }

    pub(super) fn failed<'a>(&mut self, index: u32, failed: Failed<'_, 'a>, arena: &'a Bump) {
        let Failed { failures, event, raw, unproven, masked, .. } = failed;
        let headers = raw.payload.headers;
        let shown = self.shown();
        let event = shown.event(event, masked, unproven, headers, arena);
        let reasons = shown.failures(failures, headers);
        let payload = shown.payload(raw.payload, arena);
        let raw = RawEvent { payload, parameters: shown.parameters(raw, arena) };
        let cause = Cause::of_failures(BadKind::EnrichmentFailures, failures, failed.event);
        self.bad(index, cause, |stamp, out| {
            bad_row::enrichment_failures(stamp, &reasons, &event, &raw, out);
        });
        self.incomplete(Why::Failures(failures), failed, arena);
    }

    /// A record that is no collector payload.
    pub(super) fn unreadable(&mut self, index: u32, record: &Record<'_>, reasons: &[Reason]) {
        let shown = self.shown().text(record.data, base64::encode);
        let kind = BadKind::CollectorPayloadFormatViolation;
        for (shown_reason, reason) in self.shown().reasons_of_nobody(reasons).iter().zip(reasons) {
            let cause = Cause::of_reasons(kind, std::slice::from_ref(reason), None);
            self.bad(index, cause, |stamp, out| {
                bad_row::format_violation(stamp, shown_reason, &shown, out);
            });
        }
    }

    /// What an adapter refuses.
    pub(super) fn refused<'a>(&mut self, index: u32, refused: &Refused<'a>, arena: &'a Bump) {
        let Refused { payload, reasons } = refused;
        let kind = adapt::refusal_kind(payload);
        let shown = self.shown().refused_payload(payload, reasons, arena);
        let cause = Cause::of_reasons(kind, reasons, None);
        let reasons = self.shown().reasons(reasons, payload.headers);
        self.bad(index, cause, |stamp, out| {
            bad_row::adapter_failures(kind, stamp, &reasons, shown, out);
        });
    }

    pub(super) fn violated<'a>(
        &mut self,
        index: u32,
        reasons: &[Reason],
        event: &Event<'a>,
        raw: &RawEvent<'a>,
        arena: &'a Bump,
    ) {
        let headers = raw.payload.headers;
        let invalid = companions::invalid(reasons, event);
        let shown = self.shown();
        let shown_event = shown.event(event, Masked::No, &invalid, headers, arena);
        let shown_reasons = shown.reasons(reasons, headers);
        let payload = shown.payload(raw.payload, arena);
        let shown_raw = RawEvent { payload, parameters: shown.parameters(raw, arena) };
        let cause = Cause::of_reasons(BadKind::SchemaViolations, reasons, Some(event));
        self.bad(index, cause, |stamp, out| {
            bad_row::schema_violations(stamp, &shown_reasons, &shown_event, &shown_raw, out);
        });
        let failed = Failed { invalid: &invalid, ..Failed::new(&[], event, raw) };
        self.incomplete(Why::Reasons(reasons), failed, arena);
    }

    pub(super) fn panicked(
        &mut self,
        index: u32,
        record: &Record<'_>,
        panic: &(dyn std::any::Any + Send),
    ) {
        // A constant quotes nothing.
        let constant = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let made = || panic.downcast_ref::<String>().map(|text| self.shown().panic(text.clone()));
        let message = constant.or_else(made).unwrap_or_else(|| "unexpected failure".to_owned());
        let payload = self.shown().text(record.data, base64::encode);
        self.bad(index, Cause::bare(BadKind::GenericError), |stamp, out| {
            bad_row::generic_error(stamp, &[&message], &payload, out);
        });
    }

    pub(super) fn bad(
        &mut self,
        index: u32,
        cause: Cause,
        write: impl FnOnce(Stamp<'_>, &mut Vec<u8>),
    ) {
        let max_bytes = self.pipeline.settings.line_bytes_max;
        let (kind, stamp) = (cause.kind, self.stamp);
        self.output.bad.push_with(|out| write(stamp, out));
        if self.output.bad.last().len() <= max_bytes {
            self.output.verdicts.push((index, Verdict::Bad(kind)));
            self.output.causes.push(cause);
            return;
        }
        let line = self.set_aside(Route::Bad);
        if kind == BadKind::SizeViolation {
            // The text it is about was set aside whole already.
            self.output.oversized.pop();
        }
        let expectation = format!(
            "event failed enrichment, but resulting bad row exceeds allowed size {max_bytes}"
        );
        self.output.bad.push_with(|out| {
            let oversize = bad_row::Oversize {
                max_bytes,
                actual_bytes: line.len(),
                expectation: &expectation,
                line: &line,
                keep: max_bytes / 10,
            };
            bad_row::size_violation(stamp, oversize, out);
        });
        self.output.verdicts.push((index, Verdict::Bad(BadKind::SizeViolation)));
        self.output.causes.push(cause.of_kind(BadKind::SizeViolation));
    }

    /// Parks events of a record, or all of it.
    pub(super) fn park(
        &mut self,
        index: u32,
        record: &Record<'_>,
        reason: parked::Reason,
        events: Option<Vec<Waiting>>,
    ) {
        let verdicts = events.as_ref().map_or(1, Vec::len);
        let origin = self.work.origin(record);
        let parked = Parked::new(reason, events, origin, record.data, self.stamp.now_ms);
        self.output.parked.push_with(|out| parked.write(out));
        self.output.verdicts.extend(std::iter::repeat_n((index, Verdict::Parked), verdicts));
    }
}

/// The line of columns of an event that is written in another form.
fn columns(event: &Event<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    event::tsv::write(event, &mut line);
    line
}
