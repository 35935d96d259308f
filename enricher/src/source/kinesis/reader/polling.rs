//! Polling: a request for records at a time, each with the iterator that the one before gave.
//!
//! It keeps to what AWS grants all readers of a shard together (five requests a second), asks less
//! often while nothing comes, and starts over with another iterator whenever one expires.

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use tokio::time::Instant;

use super::{Last, Reader, Stop, timeouts};
use crate::aws;
use crate::source::Error;

/// What a request for records came to.
enum Page {
    Records(GetRecordsOutput),
    /// The same request may succeed now.
    Again,
    /// Another iterator is needed.
    Renew,
    /// The shard is no longer in the stream.
    Gone,
}

impl Reader {
    /// Polls the shard to its end, or until a time.
    pub(super) async fn poll(&mut self, until: Option<Instant>) -> Result<Option<Last>, Error> {
        let mut iterator = None;
        let mut answered = Instant::now();
        while until.is_none_or(|until| Instant::now() < until) {
            let Some(current) = iterator.take() else {
                match self.iterator().await? {
                    Some(fresh) => iterator = Some(fresh),
                    None => return Ok(Some(Last::Gone)),
                }
                continue;
            };
            let Ok(room) = self.room(self.pace.room(answered.elapsed())).await else {
                return Ok(Some(Last::Unwanted));
            };
            let asked = Instant::now();
            let mut page = match self.page(&current).await? {
                Page::Records(page) => page,
                Page::Again => {
                    iterator = Some(current);
                    continue;
                }
                Page::Renew => continue,
                Page::Gone => return Ok(Some(Last::Gone)),
            };
            answered = Instant::now();
            iterator = page.next_shard_iterator.take();
            let closed = !page.child_shards().is_empty();
            let behind = page.millis_behind_latest().unwrap_or(0) > 0;
            let records = !page.records.is_empty();
            match self.gather(page.records, page.millis_behind_latest, room).await {
                Ok(()) => {}
                Err(Stop::Closed) => return Ok(Some(Last::Unwanted)),
                Err(Stop::Unusable(error)) => return Err(error),
            }
            if iterator.is_none() && (closed || self.closed().await) {
                return Ok(Some(Last::Closed));
            }
            let interval = self.pace.after(records, behind);
            if self.gathered.due(interval, self.stream.settings.batch_age)
                && self.hand_over().await.is_err()
            {
                return Ok(Some(Last::Unwanted));
            }
            self.outlet.at_tip(!behind && self.gathered.records.is_empty());
            tokio::time::sleep_until(asked + interval).await;
        }
        Ok(None)
    }

    /// An iterator that continues after what was gathered; `None` when the shard is gone.
    async fn iterator(&mut self) -> Result<Option<String>, Error> {
        loop {
            let (name, arn) = self.stream.asked();
            let get = self.stream.client.get_shard_iterator().set_stream_name(name);
            let get = get.set_stream_arn(arn).shard_id(self.shard.as_str());
            let Some((kind, number, time)) = self.place() else { return Ok(None) };
            let get = get.shard_iterator_type(kind).set_timestamp(time);
            let get = get.set_starting_sequence_number(number.map(str::to_owned));
            let error = match get.customize().config_override(timeouts(1)).send().await {
                Ok(answer) => return Ok(answer.shard_iterator),
                Err(error) => error,
            };
            match error.code() {
                Some("ResourceNotFoundException") if self.gone().await => return Ok(None),
                code if self.is_trimmed(code) => {}
                _ => self.retry("GetShardIterator", &error).await?,
            }
        }
    }

    async fn page(&mut self, iterator: &str) -> Result<Page, Error> {
        let (limit, too_long) = self.pace.attempt();
        let get = self.stream.client.get_records().shard_iterator(iterator).limit(limit);
        let get = get.set_stream_arn(self.stream.settings.arn.clone());
        let error = match get.customize().config_override(timeouts(too_long)).send().await {
            Ok(page) => {
                self.pace.answered(page.records().len());
                self.backoff.reset();
                self.lasting = 0;
                self.stream.reading.succeeded();
                return Ok(Page::Records(page));
            }
            Err(error) => error,
        };
        if aws::took_too_long(&error) {
            self.pace.took_too_long();
        }
        let code = error.code();
        if code == Some("ResourceNotFoundException") && self.gone().await {
            return Ok(Page::Gone);
        }
        self.retry("GetRecords", &error).await?;
        Ok(match code {
            Some("ExpiredIteratorException" | "InvalidArgumentException") => Page::Renew,
            _ => Page::Again,
        })
    }
}
