//! [`Chain`]: what becomes of a shard, in links of which each continues exactly one other, until
//! tables have it.
//!
//! A worker does not append to tables. It writes data files, and then a [link](link::Link): a small
//! file that says from where to where the shard was worked, and which files of which tables have
//! what became of that. With the link all of it is durable, at once and for all tables. A
//! [`Committer`](crate::Committer) appends what links tell of to each table, and the table says how
//! far along the chain it is; so commits do not grow with workers, and a catalog that is away holds
//! up nobody.
//!
//! A link is named by the mark that it continues, and a name is given once. So whoever takes a
//! shard follows its chain to the end and puts a link of its own there, which has no files and
//! begins an epoch: from then on the former owner's next link is refused, and what it wrote before
//! is in the chain, be it in tables or not. What a link says is never made again: it is where the
//! next owner goes on, whatever its lease's checkpoint says.

mod link;
mod path;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use iceberg::Catalog;

use crate::error::{Error, Result};
use crate::files::Files;
use crate::lake::Lake;
use crate::mark::{Mark, Shard};
pub use link::Appended;
pub(crate) use link::{Ends, Link};
pub(crate) use path::{Known, chain, due, spent};

/// An empty file that shows whether links can be written.
const PROBE: &str = "writable";

/// How often a shard is taken anew, while others take it or old links are removed.
const TRIES: usize = 16;

/// Tables of one namespace that are filled together, and where their links are.
#[derive(Clone, Debug)]
pub struct Lakes {
    catalog: Arc<dyn Catalog>,
    namespace: String,
    tables: BTreeMap<String, Lake>,
    links: Links,
    #[cfg(test)]
    pub(crate) bug: Option<crate::simulation::Bug>,
}

/// Where links are: in folders by shard, below a location.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) at: String,
}

/// The end of a shard's chain, in its owner's hands.
#[derive(Debug)]
pub struct Chain {
    links: Links,
    shard: Shard,
    by: String,
    at: Mark,
}

/// A link that is to be added to a chain.
#[derive(Clone, Debug)]
pub struct Next {
    location: String,
    bytes: Bytes,
    to: Mark,
}

/// The links that are written down, of some shards or of all.
pub(crate) type Written = BTreeMap<Shard, Known<(String, Arc<Link>)>>;

impl Lakes {
    /// These tables, whose links are below a location.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        namespace: &str,
        tables: impl IntoIterator<Item = (String, Lake)>,
        files: Arc<dyn Files>,
        links: &str,
    ) -> Lakes {
        let links = Links { files, at: links.trim_end_matches('/').to_owned() };
        Lakes {
            catalog,
            namespace: namespace.to_owned(),
            tables: tables.into_iter().collect(),
            links,
            #[cfg(test)]
            bug: None,
        }
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Lake> {
        self.tables.get(name)
    }

    /// The names of the tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    pub(crate) fn tables(&self) -> &BTreeMap<String, Lake> {
        &self.tables
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// A table that links name, and that we do not fill; nothing if it is not there any more.
    pub(crate) async fn other(&self, name: &str) -> Result<Option<Lake>> {
        Lake::find(Arc::clone(&self.catalog), &self.namespace, name).await
    }

    /// Whether links can be written and listed where they are to be, and whether a name is given
    /// once there, which everything stands on.
    pub async fn look(&self) -> Result<()> {
        let Links { files, at } = &self.links;
        let location = format!("{at}/{PROBE}");
        let failed = |source: std::io::Error| Error::Unavailable {
            doing: format!("trying {location}"),
            source: source.into(),
        };
        files.create(&location, Bytes::new()).await.map_err(failed)?;
        if files.create(&location, Bytes::new()).await.map_err(failed)? {
            let why =
                format!("{location} was created twice: the storage gives a name more than once");
            return Err(Error::Unusable(why));
        }
        files.list(&format!("{at}/{PROBE}s")).await.map(drop).map_err(failed)
    }

    /// Takes a shard: from here on no link of whoever had it before becomes part of its chain.
    ///
    /// Only who holds the shard's lease may do so. An error says that it is not known whether it
    /// was done; it may be done again.
    pub async fn take(&self, shard: &Shard, by: &str, now_ms: i64) -> Result<Chain> {
        for _ in 0..TRIES {
            let end = self.end(shard).await?;
            let to = match &end {
                Some(end) => end.in_epoch(end.epoch + 1),
                None => Mark { epoch: 1, place: String::new() },
            };
            let mut chain = Chain {
                links: self.links.clone(),
                shard: shard.clone(),
                by: by.to_owned(),
                at: to.clone(),
            };
            let next = chain.next(end.as_ref(), to.clone(), Appended::none(self.names()), now_ms);
            match chain.add(&next).await {
                Ok(()) => {}
                Err(Error::Lost { .. }) => continue,
                Err(error) => return Err(error),
            }
            #[cfg(test)]
            if self.bug == Some(crate::simulation::Bug::TakenUnseen) {
                return Ok(chain);
            }
            // The link that stood there may have been removed meanwhile, with those that followed.
            if self.end(shard).await?.as_ref() == Some(&chain.at) {
                return Ok(chain);
            }
        }
        let why = format!("others took {shard} {TRIES} times meanwhile");
        Err(Error::Unavailable { doing: format!("taking {shard}"), source: why.into() })
    }

    /// Where the chain of a shard ends, by all tables that its links are for: one that is no longer
    /// filled may be the one that is furthest.
    async fn end(&self, shard: &Shard) -> Result<Option<Mark>> {
        let mut read = HashMap::new();
        let mut others: BTreeMap<String, Option<Lake>> = BTreeMap::new();
        loop {
            let mut marks = Vec::new();
            for lake in self.tables.values().chain(others.values().flatten()) {
                marks.push(lake.position(shard).await?);
            }
            let written = self.links.of(Some(shard), &mut read).await?;
            let none = Known::new();
            let known = written.get(shard).unwrap_or(&none);
            let mut named = known.values().flat_map(|((_, link), _)| link.tables());
            let unknown =
                |name: &&str| !self.tables.contains_key(*name) && !others.contains_key(*name);
            let Some(name) = named.find(unknown).map(str::to_owned) else {
                return Ok(path::end(known, marks.iter().map(Option::as_ref)));
            };
            let other = self.other(&name).await?;
            others.insert(name, other);
        }
    }
}

impl Chain {
    /// Where the chain ends: records up to there are durable for the tables. Empty at the
    /// beginning.
    pub fn place(&self) -> &str {
        &self.at.place
    }

    /// The link that brings the shard to that place, which is further than where it is.
    pub fn link(&self, place: &str, files: Appended, now_ms: i64) -> Next {
        let to = Mark { epoch: self.at.epoch, place: place.to_owned() };
        assert!(to > self.at, "{} goes from {} to {to}", self.shard, self.at);
        self.next(Some(&self.at), to, files, now_ms)
    }

    fn next(&self, from: Option<&Mark>, to: Mark, files: Appended, now_ms: i64) -> Next {
        let location = format!("{}/{}", self.links.at, link::name(&self.shard, from));
        let link = Link::new(&self.shard, from, &to, &self.by, now_ms, files);
        Next { location, bytes: link.write(), to }
    }

    /// Adds a link. When this returns, what it tells of is durable.
    ///
    /// [`Error::Lost`] says that the shard is another owner's. Any other error says that it is not
    /// known whether it was added: the same link may be added again.
    pub async fn add(&mut self, next: &Next) -> Result<()> {
        let Next { location, bytes, to } = next;
        let failed = |source: std::io::Error| Error::Unavailable {
            doing: format!("writing {location}"),
            source: source.into(),
        };
        let files = &self.links.files;
        if !files.create(location, bytes.clone()).await.map_err(failed)? {
            // Ours from an attempt of which no answer came, or another's.
            let found = files.read(location, None).await.map_err(failed)?;
            if found != bytes {
                let expected = self.at.to_string();
                let found = format!("{location}, which is another's");
                return Err(Error::Lost { shard: self.shard.clone(), expected, found });
            }
        }
        self.at = to.clone();
        Ok(())
    }
}

impl Links {
    /// The links that are written down: of one shard, or of all. What was read before is in `read`.
    pub(crate) async fn of(
        &self,
        shard: Option<&Shard>,
        read: &mut HashMap<String, (Shard, Arc<Link>, Ends)>,
    ) -> Result<Written> {
        let folder = match shard {
            Some(shard) => format!("{}/{shard}", self.at),
            None => self.at.clone(),
        };
        let failed = |doing: String| {
            |source: std::io::Error| Error::Unavailable { doing, source: source.into() }
        };
        let listed = self.files.list(&folder).await;
        let listed = listed.map_err(failed(format!("listing the links in {folder}")))?;
        let listed: BTreeSet<String> = listed.into_iter().filter(|at| self.is_link(at)).collect();
        if shard.is_none() {
            read.retain(|location, _| listed.contains(location));
        }
        let mut written = Written::new();
        for location in listed {
            if !read.contains_key(&location) {
                let bytes = match self.files.read(&location, None).await {
                    // Somebody removed it since the list was made.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    bytes => bytes.map_err(failed(format!("reading {location}")))?,
                };
                let (link, ends) = Link::read(&self.at, &location, &bytes)?;
                read.insert(location.clone(), (link.shard(), link, ends));
            }
            let (shard, link, ends) = &read[&location];
            let known = written.entry(shard.clone()).or_default();
            known.insert(ends.from.clone(), ((location, Arc::clone(link)), ends.clone()));
        }
        Ok(written)
    }

    /// Links are in the folders of shards; what else there is, is not.
    fn is_link(&self, location: &str) -> bool {
        let below = location.strip_prefix(&self.at).and_then(|rest| rest.strip_prefix('/'));
        let parts = below.and_then(|below| below.split_once('/'));
        parts.is_some_and(|(folder, name)| {
            !folder.starts_with('_') && !name.contains('/') && name.ends_with(".json")
        })
    }
}

#[cfg(test)]
mod tests;
