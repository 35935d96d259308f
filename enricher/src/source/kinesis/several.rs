//! Several streams, read as one source: the shards of each are called by
//! `account:stream:created:shard`, as the KCL calls them, so one lease table and one plan serve
//! all.
//!
//! Nothing is read before every stream has said who it is and which shards it has. Later, one that
//! cannot be listed keeps the shards it had, and the others go on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lease::{Position, Shard, ShardId, Stream};

use super::{Kinesis, failed};
use crate::health::{Failure, Unfit};
use crate::seam::{Pending, join};
use crate::source::{Error, Outlet, Reading, Source};

/// The streams.
pub struct Several(Vec<Member>);

struct Member {
    stream: Kinesis,
    known: Mutex<Known>,
}

/// What a stream has said.
#[derive(Clone, Debug, Default)]
struct Known {
    /// How the names of its shards begin.
    identity: Option<String>,
    /// Its shards, when it was last asked.
    listing: Option<Vec<Shard>>,
    /// It could not be listed lately: perhaps it is being deleted, and made anew.
    doubtful: bool,
}

impl Several {
    /// Streams that exist.
    pub fn new(streams: impl IntoIterator<Item = Kinesis>) -> Several {
        let member = |stream| Member { stream, known: Mutex::default() };
        Several(streams.into_iter().map(member).collect())
    }

    /// All streams that have said who they are, once each was asked that has to be.
    async fn identities(&self) -> Stream {
        let asked = self.0.iter().map(|member| -> Pending<'_, ()> {
            Box::pin(async {
                // Its check tells of a failure.
                let _ = member.identify().await;
            })
        });
        join(asked.collect()).await;
        let identities = self.0.iter().filter_map(|member| member.lock().identity.clone());
        Stream { several: identities.collect(), ..Stream::default() }
    }

    async fn list(&self) -> Result<Vec<Shard>, Error> {
        let listings = self
            .0
            .iter()
            .map(|member| -> Pending<'_, Result<Vec<Shard>, Error>> { Box::pin(member.list()) });
        let mut shards = Vec::new();
        for listing in join(listings.collect()).await {
            shards.extend(listing?);
        }
        Ok(shards)
    }
}

impl Member {
    /// Asks the stream who it is, unless that is known and not in doubt.
    async fn identify(&self) -> Result<(), Failure> {
        let known = self.lock().clone();
        if known.identity.is_some() && !known.doubtful {
            return Ok(());
        }
        let described = self.stream.describe().await;
        match &described {
            Ok(_) => self.stream.describing.succeeded(),
            Err(failure) => self.stream.describing.failed(failure),
        }
        let summary = described?;
        let created = summary.stream_creation_timestamp.secs();
        // arn:aws:kinesis:region:account:stream/name
        let account = summary.stream_arn.split(':').nth(4).unwrap_or_default();
        let identity = Some(format!("{account}:{}:{created}", summary.stream_name));
        let mut known = self.lock();
        if known.identity != identity {
            *known = Known { identity, ..Known::default() };
        }
        known.doubtful = false;
        Ok(())
    }

    /// The shards as they are called here; those of the last time, if the stream does not answer.
    async fn list(&self) -> Result<Vec<Shard>, Error> {
        let before = self.lock().clone();
        if before.doubtful && self.identify().await.is_err() {
            return before.listing.ok_or_else(|| self.unlisted("it does not answer"));
        }
        let Some(identity) = self.lock().identity.clone() else {
            return Err(self.unlisted("it has not said who it is"));
        };
        if before.identity.as_ref() != Some(&identity) {
            return Err(self.unlisted("it was created anew"));
        }
        match self.stream.shards().await {
            Ok(mut shards) => {
                for shard in &mut shards {
                    shard.id = ShardId::within(&identity, shard.id.as_str());
                    for parent in &mut shard.parents {
                        *parent = ShardId::within(&identity, parent.as_str());
                    }
                }
                self.lock().listing = Some(shards.clone());
                Ok(shards)
            }
            Err(error) => {
                self.lock().doubtful = true;
                before.listing.ok_or(error)
            }
        }
    }

    fn unlisted(&self, why: &'static str) -> Error {
        let doing = format!("listing the shards of stream {}", self.stream.settings.stream);
        Error { doing, source: why.into() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Several {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        Box::pin(self.list())
    }

    fn stream(&self) -> Pending<'_, Stream> {
        Box::pin(self.identities())
    }

    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(async {
            for member in &self.0 {
                member.stream.look().await?;
                // Without it a shard has no name.
                let what = format!("stream {}", member.stream.settings.stream);
                member.identify().await.map_err(|failure| Unfit { what, failure })?;
            }
            Ok(())
        })
    }

    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading {
        let named = shard.of_several().and_then(|(identity, name)| {
            let is_it = |member: &&Member| member.lock().identity.as_deref() == Some(identity);
            self.0.iter().find(is_it).map(|member| (member, ShardId::new(name)))
        });
        match named {
            Some((member, name)) => member.stream.read_as(name, shard, from, outlet),
            None => Box::pin(std::future::ready(Err(unknown(&shard)))),
        }
    }
}

/// Leases of other streams are left alone, so nobody asks for such a shard.
fn unknown(shard: &ShardId) -> Error {
    let message = "it is of a stream that is not read".to_owned();
    let failure = Failure { action: "read", status: None, code: None, message, passing: false };
    failed(format!("reading {shard}"), failure)
}
