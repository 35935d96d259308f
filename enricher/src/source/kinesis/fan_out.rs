//! Enhanced fan-out: the consumer that subscribes to the stream's shards.
//!
//! A consumer that is given by name is registered where there is none of that name; one that is
//! given by its ARN has to be there. None is ever deregistered: the other workers of a fleet, and
//! the ones that come after it, use the same.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::ConsumerStatus;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Kinesis;
use super::pace::Spells;
use crate::health::{Check, Failure};

/// AWS sends an event every few seconds, even if it is empty. After several times that the
/// connection is presumed dead; the service itself would let it hang for minutes.
const SILENCE: Duration = Duration::from_secs(15);

/// Shards that ask for the consumer within so long of a failure are answered with that: AWS grants
/// an account five such requests a second.
const SAME_ANSWER: Duration = Duration::from_secs(1);

/// How a stream is read by subscriptions.
pub struct FanOut {
    consumer: Consumer,
    connect: Connect,
    /// No event for so long: the connection is given up.
    pub(super) silence: Duration,
    pub(super) spells: Spells,
    /// See [`SAME_ANSWER`].
    same_answer: Duration,
    /// Whether shards can be subscribed to. Nothing waits for it: what cannot is polled.
    pub(super) check: Arc<Check>,
    found: Mutex<Found>,
}

/// Makes a client with connections of its own.
pub type Connect = Box<dyn Fn() -> Client + Send + Sync>;

/// Who subscribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// The consumer of this name, which is registered if it is not there.
    Named(String),
    /// The consumer of this ARN.
    Arn(String),
}

/// What is known of the consumer.
#[derive(Default)]
struct Found {
    /// Its ARN, once it may subscribe.
    arn: Option<String>,
    failed: Option<(Instant, Failure)>,
}

impl FanOut {
    /// Subscriptions of a consumer to a stream of that name.
    pub fn new(stream: &str, consumer: Consumer, connect: Connect) -> FanOut {
        let (Consumer::Named(who) | Consumer::Arn(who)) = &consumer;
        FanOut {
            check: Check::alone(format!("stream {stream}, subscriptions of consumer {who}")),
            consumer,
            connect,
            silence: SILENCE,
            spells: Spells::default(),
            same_answer: SAME_ANSWER,
            found: Mutex::default(),
        }
    }

    /// The same with other times: until a silent connection is given up, and until a shard that
    /// could not be subscribed to is tried again.
    #[must_use]
    pub fn with_times(self, silence: Duration, again: Duration) -> FanOut {
        FanOut { silence, spells: Spells::new(again), same_answer: again, ..self }
    }

    /// A client whose connections no other shard uses: one that is full holds up nobody else, and
    /// one that is silent can be left.
    pub(super) fn connect(&self) -> Client {
        (self.connect)()
    }

    /// The ARN of the consumer, once it may subscribe.
    pub(super) async fn arn(&self, stream: &Kinesis) -> Result<String, Failure> {
        let mut found = self.found.lock().await;
        if let Some(arn) = &found.arn {
            return Ok(arn.clone());
        }
        if let Some((at, failure)) = &found.failed
            && at.elapsed() < self.same_answer
        {
            return Err(failure.clone());
        }
        match self.find(stream).await {
            Ok(arn) => {
                found.arn = Some(arn.clone());
                Ok(arn)
            }
            Err(failure) => {
                found.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// The consumer is looked for again: the one that was found is not there.
    pub(super) async fn forget(&self) {
        *self.found.lock().await = Found::default();
    }

    async fn find(&self, stream: &Kinesis) -> Result<String, Failure> {
        let describe = stream.client.describe_stream_consumer();
        let (describe, name) = match &self.consumer {
            Consumer::Arn(arn) => (describe.consumer_arn(arn), None),
            Consumer::Named(name) => {
                let arn = stream.arn().await?;
                (describe.stream_arn(&arn).consumer_name(name), Some((arn, name)))
            }
        };
        let described = match (describe.send().await, name) {
            (Err(error), Some((arn, name))) if error.code() == Some(NOT_FOUND) => {
                return Err(register(stream, arn, name).await);
            }
            (described, _) => described,
        };
        let described = described.map_err(|error| Failure::of(DESCRIBE, &error))?;
        match described.consumer_description {
            Some(it) if *it.consumer_status() == ConsumerStatus::Active => Ok(it.consumer_arn),
            Some(it) => Err(not_yet(DESCRIBE, it.consumer_status())),
            None => Err(not_yet(DESCRIBE, &ConsumerStatus::Creating)),
        }
    }
}

const DESCRIBE: &str = "DescribeStreamConsumer";
const REGISTER: &str = "RegisterStreamConsumer";
const NOT_FOUND: &str = "ResourceNotFoundException";

/// Registers a consumer; answers with why it cannot be used yet. Another worker may be faster.
async fn register(stream: &Kinesis, arn: String, name: &str) -> Failure {
    let register = stream.client.register_stream_consumer().stream_arn(arn).consumer_name(name);
    match register.send().await {
        Ok(_) => {
            tracing::info!(stream = stream.settings.stream, consumer = name, "registered");
            not_yet(REGISTER, &ConsumerStatus::Creating)
        }
        Err(error) if error.code() == Some("ResourceInUseException") => {
            not_yet(REGISTER, &ConsumerStatus::Creating)
        }
        Err(error) => Failure::of(REGISTER, &error),
    }
}

fn not_yet(action: &'static str, status: &ConsumerStatus) -> Failure {
    let message = format!("the consumer is {status}, and may subscribe when it is ACTIVE");
    Failure { action, status: None, code: None, message, passing: true }
}
