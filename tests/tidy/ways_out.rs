//! Every way out of the sources: a record that falls out on its way is lost.

use std::collections::BTreeSet;

use super::{mentions, none, production, without_tests};

/// Every `continue` and `return` of the sources, and what becomes of the records in hand there. A
/// batch is done only when every record of it has a verdict, so none may fall out on its way.
const WAYS_OUT: &[(&str, &str, &str)] = &[
    ("source.rs", "return Ok(Some(next));", "the batch is handed on"),
    ("source.rs", "return lag;", "no record is in hand"),
    ("source/kinesis.rs", "return Ok(shards);", "a listing has no records"),
    (
        "source/kinesis.rs",
        "Err(failure) if failure.is_refusal() || failure.passing => return Err(unfit(failure)),",
        "a look has no records",
    ),
    ("source/local.rs", "continue;", "nothing was read; the position stays"),
    (
        "source/local.rs",
        "return Ok(());",
        "nobody takes the batch: it is read again from the lease's position",
    ),
    (
        "source/local.rs",
        "return number.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()));",
        "a position that is none of ours is an error",
    ),
    ("source/local.rs", "Position::ShardEnd => return Ok(i64::MAX),", "all of it was done"),
    (
        "source/local.rs",
        "Position::TrimHorizon | Position::AtTimestamp(None) => return Ok(0),",
        "from the first record on",
    ),
    (
        "source/memory.rs",
        "let Some(log) = self.get(&shard) else { return Ok(()) };",
        "there is no such shard",
    ),
    ("source/memory.rs", "return Ok(());", "nobody takes the batch, or it was the last"),
    ("source/kinesis/aggregate.rs", "return None;", "the record stays whole"),
    ("source/kinesis/aggregate.rs", "_ => return None,", "the record stays whole"),
    ("source/kinesis/aggregate.rs", "return Some(value);", "a number inside a record"),
    ("source/kinesis/fan_out.rs", "return Ok(arn.clone());", "a consumer has no records"),
    ("source/kinesis/fan_out.rs", "return Err(failure.clone());", "the shard is polled"),
    (
        "source/kinesis/fan_out.rs",
        "return Err(register(stream, arn, name).await);",
        "the shard is polled",
    ),
    ("source/kinesis/number.rs", "return None;", "no time is known; the record is not asked for"),
    ("source/kinesis/pace.rs", "return LEAST_INTERVAL;", "no record is in hand"),
    ("source/kinesis/reader.rs", "Position::ShardEnd => return None,", "all of it was done"),
    ("source/kinesis/reader.rs", "room = &mut room => return Ok(room),", "no record is in hand"),
    (
        "source/kinesis/reader.rs",
        "return Err(failed(doing, failure));",
        "the shard stops; nothing was handed over beyond what was read",
    ),
    (
        "source/kinesis/reader.rs",
        "return Err(Stop::Unusable(self.unusable(&record.sequence_number)));",
        "the shard stops before the record",
    ),
    (
        "source/kinesis/reader.rs",
        "return;",
        "done before, or not after a gap: the position covers it",
    ),
    ("source/kinesis/reader.rs", "continue;", "polling goes on behind what was gathered"),
    (
        "source/kinesis/reader.rs",
        "let Some(gap) = self.covered.answered(answer, retention) else { return Ok(()) };",
        "the answer is gathered next",
    ),
    (
        "source/kinesis/reader.rs",
        "return Err(Stop::Unusable(Error {",
        "the shard stops before the answer",
    ),
    ("source/kinesis/reader/gap.rs", "return None;", "the answer has no records"),
    ("source/kinesis/several.rs", "return Ok(());", "a listing has no records"),
    (
        "source/kinesis/several.rs",
        "return before.listing.ok_or_else(|| self.unlisted(\"it does not answer\"));",
        "a listing has no records",
    ),
    (
        "source/kinesis/several.rs",
        "return Err(self.unlisted(\"it has not said who it is\"));",
        "a listing has no records",
    ),
    (
        "source/kinesis/several.rs",
        "return Err(self.unlisted(\"it was created anew\"));",
        "a listing has no records",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "None => return Ok(Some(Last::Gone)),",
        "what was gathered is handed over; what was not is counted",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "continue;",
        "no page is in hand: the next iterator starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "return Ok(Some(Last::Unwanted));",
        "nobody takes batches: they are read again from the lease's position",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Page::Renew => continue,",
        "no page is in hand: the next iterator starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Page::Gone => return Ok(Some(Last::Gone)),",
        "what was gathered is handed over; what was not is counted",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Err(Stop::Closed) => return Ok(Some(Last::Unwanted)),",
        "nobody takes batches: they are read again from the lease's position",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Err(Stop::Unusable(error)) => return Err(error),",
        "the shard stops before the record",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "return Ok(Some(Last::Closed));",
        "the page was gathered; what was gathered is handed over",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "let Some((kind, number, time)) = self.place() else { return Ok(None) };",
        "all of it was done",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Ok(answer) => return Ok(answer.shard_iterator),",
        "it starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/polling.rs",
        "Some(\"ResourceNotFoundException\") if self.gone().await => return Ok(None),",
        "the stream no longer knows the shard",
    ),
    ("source/kinesis/reader/polling.rs", "return Ok(Page::Records(page));", "the page is gathered"),
    (
        "source/kinesis/reader/polling.rs",
        "return Ok(Page::Gone);",
        "the stream no longer knows the shard",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Refusal::Elsewhere) => continue,",
        "no event is in hand: the next one starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Refusal::Gone) => return Ok(Followed::Last(Last::Gone)),",
        "what was gathered is handed over; what was not is counted",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Refusal::Refused) => return Ok(Followed::Refused),",
        "polling starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "return Ok(Followed::Refused);",
        "polling starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Heard::Last(last) => return Ok(Followed::Last(last)),",
        "the last event was gathered; what was gathered is handed over",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(failure) => return Err(self.refused(fan_out, &failure)),",
        "polling starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "let Some(start) = self.start() else { return Err(Refusal::Gone) };",
        "all of it was done",
    ),
    ("source/kinesis/reader/subscription.rs", "return Ok(events);", "its events are gathered"),
    (
        "source/kinesis/reader/subscription.rs",
        "return Err(Refusal::Refused);",
        "polling starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "let Ok(room) = room else { return Ok(Heard::Last(Last::Unwanted)) };",
        "nobody takes batches: they are read again from the lease's position",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Ok(Next::End(end)) => return Ok(Heard::End(end)),",
        "no event is in hand: the next one starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Closed) => return Ok(Heard::Last(Last::Unwanted)),",
        "nobody takes batches: they are read again from the lease's position",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Ok(true) => return Ok(Heard::Last(Last::Closed)),",
        "the event was gathered; what was gathered is handed over",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Stop::Closed) => return Ok(Heard::Last(Last::Unwanted)),",
        "nobody takes batches: they are read again from the lease's position",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "Err(Stop::Unusable(error)) => return Err(error),",
        "the shard stops before the record",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "return Ok(Next::End(End::Silent));",
        "no event is in hand: the next one starts behind what was gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "return Ok(Next::Event(event));",
        "the event is gathered",
    ),
    (
        "source/kinesis/reader/subscription.rs",
        "return Ok(Next::End(End::Over));",
        "no event is in hand: the next one starts behind what was gathered",
    ),
];

#[test]
fn sources_pass_over_no_record() {
    let mut known: BTreeSet<(&str, &str)> =
        WAYS_OUT.iter().map(|(file, line, _)| (*file, *line)).collect();
    let sources: Vec<(String, String)> = production()
        .filter_map(|(file, text)| {
            let name = file.path.strip_prefix("enricher/src/")?;
            name.starts_with("source").then(|| (name.to_owned(), text))
        })
        .collect();
    let mut faults = Vec::new();
    for (file, text) in &sources {
        for (at, line) in without_tests(text).lines().enumerate() {
            let code = line.trim();
            let way_out =
                !code.starts_with("//") && (mentions(code, "continue") || mentions(code, "return"));
            if !way_out {
                continue;
            }
            known.remove(&(file.as_str(), code));
            if !WAYS_OUT.iter().any(|(of, line, _)| of == file && *line == code) {
                faults.push(format!("{file}:{}: what becomes of records here: {code}", at + 1));
            }
        }
    }
    let stale = known.iter().map(|(file, line)| format!("{file} has no longer: {line}"));
    none(faults.into_iter().chain(stale));
}
