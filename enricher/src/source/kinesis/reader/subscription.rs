//! Subscriptions: the stream pushes what comes, over a connection of the shard's own, for five
//! minutes at a time.
//!
//! Each subscription goes on where the one before said. A connection without any event for a while
//! is dead, whatever it says, and is left for another. What is pushed and has no room yet stays in
//! the connection: not asking for the next event is what holds the stream back, and it touches
//! neither other shards nor leases. If that lasts, the stream ends the subscription, and another
//! goes on after what was taken. A shard that cannot be subscribed to is polled for a while.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use tokio::time::Instant;

use super::{Last, Reader, Stop, at, bytes, timeouts};
use crate::causes::chain;
use crate::health::Failure;
use crate::metrics::Subscription;
use crate::source::kinesis::fan_out::FanOut;
use crate::source::{Closed, Error};

/// What came of following a shard.
pub(super) enum Followed {
    /// It has come to its end.
    Last(Last),
    /// It cannot be subscribed to now.
    Refused,
}

/// What came of a subscription.
enum Heard {
    /// The shard has come to its end.
    Last(Last),
    /// Another subscription is needed.
    End(End),
}

/// What a subscription brings.
#[allow(clippy::large_enum_variant, reason = "one at a time, and nearly always the large one")]
enum Next {
    Event(SubscribeToShardEvent),
    End(End),
}

/// How a subscription ended.
#[derive(Clone, Copy)]
enum End {
    /// Its time is over, or the stream said why it ends.
    Over,
    /// Its connection was silent.
    Silent,
}

/// Room for the events that come while a shard is behind, a few at a time; and what they occupy
/// while they are read, for each byte of their records: Base64 in JSON and what is decoded of it.
const EVENT_ROOM: usize = (2 << 20) * 3;

impl Reader {
    /// Subscribes to the shard again and again, until it ends or that is refused.
    pub(super) async fn follow(&mut self, fan_out: &FanOut) -> Result<Followed, Error> {
        loop {
            let mut events = match self.subscribe(fan_out).await {
                Ok(events) => events,
                Err(Refusal::Elsewhere) => continue,
                Err(Refusal::Gone) => return Ok(Followed::Last(Last::Gone)),
                Err(Refusal::Refused) => return Ok(Followed::Refused),
            };
            let began = Instant::now();
            let subscribed = self.stream.metrics.reads_by("subscription");
            let heard = self.listen(&mut events, fan_out).await?;
            drop((events, subscribed));
            match heard {
                Heard::Last(last) => return Ok(Followed::Last(last)),
                Heard::End(End::Silent) => self.line = None,
                Heard::End(End::Over) => {}
            }
            if !self.spells.ended(began.elapsed()) {
                return Ok(Followed::Refused);
            }
        }
    }

    async fn subscribe(&mut self, fan_out: &FanOut) -> Result<SubscribeToShardOutput, Refusal> {
        let consumer = match fan_out.arn(&self.stream).await {
            Ok(consumer) => consumer,
            Err(failure) => return Err(self.refused(fan_out, &failure)),
        };
        let Some(start) = self.start() else { return Err(Refusal::Gone) };
        let line = self.line.get_or_insert_with(|| fan_out.connect());
        let subscribe = line.subscribe_to_shard().consumer_arn(consumer);
        let subscribe = subscribe.shard_id(self.shard.as_str()).starting_position(start);
        // Its timeouts end where the answer begins, and the client waits for the first event.
        let sent = subscribe.customize().config_override(timeouts(1)).send();
        let error = match tokio::time::timeout(fan_out.silence, sent).await {
            Ok(Ok(events)) => {
                self.stream.metrics.subscription(Subscription::Begun);
                return Ok(events);
            }
            Ok(Err(error)) => error,
            Err(_) => {
                self.line = None;
                self.told(fan_out, Subscription::Silent, silence());
                return Err(Refusal::Refused);
            }
        };
        match error.code() {
            Some("InvalidArgumentException") if self.continuation.take().is_some() => {
                Err(Refusal::Elsewhere)
            }
            code if self.is_trimmed(code) => Err(Refusal::Elsewhere),
            Some("ResourceNotFoundException") if self.gone().await => Err(Refusal::Gone),
            code => {
                if code == Some("ResourceNotFoundException") {
                    fan_out.forget().await;
                }
                if code.is_none() {
                    // Who answered was not the service; perhaps another connection reaches it.
                    self.line = None;
                }
                let failure = Failure::of(SUBSCRIBE, &error);
                Err(self.refused(fan_out, &failure))
            }
        }
    }

    /// Where a subscription begins. It may repeat what was gathered, which is left out then.
    fn start(&self) -> Option<StartingPosition> {
        let (kind, number, time) = match &self.continuation {
            Some(number) => (ShardIteratorType::AtSequenceNumber, Some(number.as_str()), None),
            None => self.place()?,
        };
        let start = StartingPosition::builder().r#type(kind).set_timestamp(time);
        let start = start.set_sequence_number(number.map(str::to_owned)).build();
        Some(start.expect("its kind is given"))
    }

    fn refused(&self, fan_out: &FanOut, failure: &Failure) -> Refusal {
        fan_out.check.failed(failure);
        self.stream.metrics.subscription(Subscription::Refused);
        Refusal::Refused
    }

    /// Takes what a subscription brings.
    async fn listen(
        &mut self,
        events: &mut SubscribeToShardOutput,
        fan_out: &FanOut,
    ) -> Result<Heard, Error> {
        let mut behind = true;
        loop {
            // What can have come at the tip since the last event is little.
            let room = if behind { self.room(EVENT_ROOM).await.map(Some) } else { Ok(None) };
            let Ok(room) = room else { return Ok(Heard::Last(Last::Unwanted)) };
            let event = match self.next_event(events, fan_out).await {
                Ok(Next::Event(event)) => event,
                Ok(Next::End(end)) => return Ok(Heard::End(end)),
                Err(Closed) => return Ok(Heard::Last(Last::Unwanted)),
            };
            fan_out.check.succeeded();
            self.stream.reading.succeeded();
            self.lasting = 0;
            behind = event.millis_behind_latest > 0;
            drop(room);
            match self.take(event).await {
                Ok(false) => {}
                Ok(true) => return Ok(Heard::Last(Last::Closed)),
                Err(Stop::Closed) => return Ok(Heard::Last(Last::Unwanted)),
                Err(Stop::Unusable(error)) => return Err(error),
            }
        }
    }

    /// Takes an event in; whether it was the shard's last.
    async fn take(&mut self, event: SubscribeToShardEvent) -> Result<bool, Stop> {
        let SubscribeToShardEvent { records, child_shards, .. } = event;
        let children = child_shards.is_some_and(|children| !children.is_empty());
        // With the last records there is nowhere to go on. Where an event tells of children and yet
        // of a place to go on, only an empty one says that there was no more.
        let last =
            children && (event.continuation_sequence_number.is_empty() || records.is_empty());
        let room = self.room(bytes(&records)).await?;
        self.gather(records, Some(event.millis_behind_latest), room).await?;
        let continuation = event.continuation_sequence_number;
        self.continuation = Some(continuation).filter(|number| !number.is_empty());
        if self.gathered.due(std::time::Duration::ZERO, self.stream.settings.batch_age) {
            self.hand_over().await?;
        }
        Ok(last)
    }

    /// The next event, or how the subscription ended. A batch in the making does not wait for it.
    async fn next_event(
        &mut self,
        events: &mut SubscribeToShardOutput,
        fan_out: &FanOut,
    ) -> Result<Next, Closed> {
        let mut since = Instant::now();
        loop {
            let mut next = std::pin::pin!(events.event_stream.recv());
            let heard = loop {
                let due = self.gathered.due_at(self.stream.settings.batch_age);
                tokio::select! {
                    biased;
                    heard = &mut next => break heard,
                    () = at(due) => {
                        self.hand_over().await?;
                        // Nobody has listened meanwhile.
                        since = Instant::now();
                    }
                    () = tokio::time::sleep_until(since + fan_out.silence) => {
                        self.told(fan_out, Subscription::Silent, silence());
                        return Ok(Next::End(End::Silent));
                    }
                }
            };
            match heard {
                Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => {
                    return Ok(Next::Event(event));
                }
                // An event that has no meaning yet is a sign of life.
                Ok(Some(_)) => since = Instant::now(),
                Ok(None) => {
                    self.stream.metrics.subscription(Subscription::Ended);
                    return Ok(Next::End(End::Over));
                }
                Err(error) => {
                    self.told(fan_out, Subscription::Failed, interrupted(&error));
                    return Ok(Next::End(End::Over));
                }
            }
        }
    }

    fn told(&self, fan_out: &FanOut, how: Subscription, failure: Failure) {
        self.stream.metrics.subscription(how);
        fan_out.check.failed(&failure);
    }
}

/// Why there is no subscription.
enum Refusal {
    /// It has to begin elsewhere.
    Elsewhere,
    /// The stream does not know the shard.
    Gone,
    /// Not now.
    Refused,
}

const SUBSCRIBE: &str = "SubscribeToShard";

fn silence() -> Failure {
    let message = "the connection is silent; another one is opened".to_owned();
    Failure { action: SUBSCRIBE, status: None, code: None, message, passing: true }
}

/// Why a subscription ended before its time.
fn interrupted<R>(error: &SdkError<SubscribeToShardEventStreamError, R>) -> Failure
where
    R: std::fmt::Debug + 'static,
{
    let said = error.as_service_error();
    let code = said.and_then(ProvideErrorMetadata::code).map(str::to_owned);
    let message = said.and_then(ProvideErrorMetadata::message).map(str::to_owned);
    let message = message.unwrap_or_else(|| chain(error));
    Failure { action: SUBSCRIBE, status: None, code, message, passing: true }
}
