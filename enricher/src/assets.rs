//! The files that enrichments read beside their configuration, fetched and kept fresh.
//!
//! [`source`] asks where they are published, [`folder`] keeps the last good edition of each. Every
//! period all sources are asked; what is new is opened beside what is not, and only when that
//! succeeded is it renamed into place and the enrichments made of it take over, whole. A broken
//! file is discarded and the last good edition stays, until nobody has confirmed it for longer
//! than it may be kept: then it is deleted, and the enrichments do without it until its source
//! gives another. That is an alarm, a metric and a line in the log, and stops nothing.

pub mod folder;
pub mod source;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enrichments::{Asset, ConfigError, Configuration, Enrichments};
use md5::{Digest, Md5};

use crate::backoff::Backoff;
use crate::clock;
use crate::metrics::{AssetEvent, Metrics};
use folder::{Folder, Note, Stage};
use source::{Edition, Fetched, Fetcher, Source};

/// How often a source is asked at the start before the start is given up; with the delays between
/// them that is about ten seconds.
const ATTEMPTS: u32 = 6;

/// How assets are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the last good edition of each is kept.
    pub folder: PathBuf,
    /// How often sources are asked.
    pub refresh: Duration,
    /// How long an edition is kept that its source no longer confirms; for ever if absent.
    pub max_age: Option<Duration>,
}

/// Why assets cannot be had at the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the configurations say cannot be done: the operator must change them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Configuration(Vec<ConfigError>),
    /// A source gave nothing, and nothing is kept: a later start may succeed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unavailable(Vec<Unfetched>),
    /// The folder cannot be used.
    #[error("the folder of assets cannot be used: {0}")]
    Folder(#[from] io::Error),
}

/// An asset that was not fetched.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} at {}: {} cannot be fetched: {why}",
    .asset.file.display(), .asset.pointer, .asset.database,
)]
pub struct Unfetched {
    /// Which.
    pub asset: Asset,
    /// What its source said last.
    pub why: String,
}

/// The assets of a configuration.
pub struct Assets {
    configuration: Configuration,
    wanted: Vec<Wanted>,
    folder: Folder,
    fetcher: Fetcher,
    settings: Settings,
    metrics: Arc<Metrics>,
}

/// An asset and what is known of it.
struct Wanted {
    asset: Asset,
    source: Source,
    /// The MD5 of the source's URI.
    source_digest: String,
    /// The edition kept; none before the first and after one that grew too old.
    kept: Option<Note>,
}

/// An edition that was fetched and not opened yet.
struct Fresh {
    index: usize,
    edition: Edition,
}

impl Assets {
    /// Fetches what a configuration names, or takes what is kept if it may still be used, and
    /// opens it. All of it must be there.
    pub async fn open(
        configuration: Configuration,
        settings: Settings,
        fetcher: Fetcher,
        metrics: Arc<Metrics>,
    ) -> Result<(Assets, Enrichments), Error> {
        let folder = Folder::open(&settings.folder)?;
        let wanted = wanted(&configuration, &folder).map_err(Error::Configuration)?;
        let mut assets = Assets { configuration, wanted, folder, fetcher, settings, metrics };
        let mut backoff = Backoff::default();
        let enrichments = loop {
            let round = assets.round().await?;
            if assets.wanted.iter().all(|wanted| wanted.kept.is_some()) {
                break match round.enrichments {
                    Some(enrichments) => enrichments,
                    None => assets.reopen().await.map_err(Error::Configuration)?,
                };
            }
            if backoff.failures() + 1 >= ATTEMPTS {
                return Err(match round.broken {
                    broken if broken.is_empty() => assets.unavailable(round.unfetched),
                    broken => Error::Configuration(broken),
                });
            }
            backoff.wait().await;
        };
        Ok((assets, enrichments))
    }

    /// What was not fetched and is not kept either.
    fn unavailable(&self, mut unfetched: Vec<Unfetched>) -> Error {
        let is_kept = |asset: &Asset| {
            self.wanted.iter().any(|wanted| wanted.asset == *asset && wanted.kept.is_some())
        };
        unfetched.retain(|unfetched| !is_kept(&unfetched.asset));
        Error::Unavailable(unfetched)
    }

    /// Asks the sources every period, for ever; what is new is handed over.
    pub async fn keep_fresh(mut self, mut hand_over: impl FnMut(Enrichments)) -> ! {
        loop {
            tokio::time::sleep(self.settings.refresh).await;
            self.refresh(&mut hand_over).await;
        }
    }

    /// Asks all sources once; what is new is handed over.
    pub async fn refresh(&mut self, mut hand_over: impl FnMut(Enrichments)) {
        match self.round().await {
            Ok(Round { enrichments: Some(enrichments), .. }) => hand_over(enrichments),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "assets were not refreshed"),
        }
    }

    /// Asks all sources once, keeps what is good, deletes what is too old.
    async fn round(&mut self) -> io::Result<Round> {
        let stage = self.folder.stage()?;
        let mut round = Round::default();
        let mut fresh = self.ask(&stage, &mut round).await;
        round.enrichments = self.open_with(&stage, &mut fresh, &mut round.broken).await?;
        self.promote(&stage, fresh)?;
        self.report();
        Ok(round)
    }

    /// Asks every source for an edition newer than the one kept.
    async fn ask(&mut self, stage: &Stage, round: &mut Round) -> Vec<Fresh> {
        let mut fresh = Vec::new();
        for (index, wanted) in self.wanted.iter_mut().enumerate() {
            let name = &wanted.asset.database;
            let known = wanted.kept.as_ref().map(|note| &note.edition);
            match self.fetcher.fetch(&wanted.source, known, &stage.file(name)).await {
                Ok(Fetched::Another(edition)) => fresh.push(Fresh { index, edition }),
                Ok(Fetched::Unchanged) => {
                    self.metrics.asset(AssetEvent::Unchanged);
                    if let Some(note) = &mut wanted.kept {
                        note.confirmed_ms = clock::now_ms();
                        // It only says when this was; the next round writes it again.
                        let _ = self.folder.write(name, note);
                    }
                }
                Err(why) => {
                    self.metrics.asset(AssetEvent::Failed);
                    tracing::warn!(asset = name, why, "an asset was not fetched");
                    round.unfetched.push(Unfetched { asset: wanted.asset.clone(), why });
                }
            }
        }
        fresh
    }

    /// Deletes what may no longer be kept. Answers whether there was any.
    fn expire(&mut self, fresh: &[Fresh]) -> io::Result<bool> {
        let Some(max_age) = self.settings.max_age else { return Ok(false) };
        let oldest = clock::now_ms() - max_age.as_millis() as i64;
        let mut any = false;
        for (index, wanted) in self.wanted.iter_mut().enumerate() {
            let renewed = fresh.iter().any(|fresh| fresh.index == index);
            if renewed || wanted.kept.as_ref().is_none_or(|note| note.confirmed_ms >= oldest) {
                continue;
            }
            let name = &wanted.asset.database;
            self.folder.delete(name)?;
            wanted.kept = None;
            any = true;
            self.metrics.asset(AssetEvent::Expired);
            tracing::error!(
                asset = name,
                days = max_age.as_secs() / 86_400,
                "an asset was deleted: its source has not confirmed it for as long as it may be \
                 kept; enrichments do without it"
            );
        }
        Ok(any)
    }

    /// Opens what is fresh with what is kept; what is broken is discarded from what is fresh.
    async fn open_with(
        &mut self,
        stage: &Stage,
        fresh: &mut Vec<Fresh>,
        broken: &mut Vec<ConfigError>,
    ) -> io::Result<Option<Enrichments>> {
        let mut expired = false;
        loop {
            expired |= self.expire(fresh)?;
            if fresh.is_empty() && !expired {
                return Ok(None);
            }
            for (index, wanted) in self.wanted.iter().enumerate() {
                let is_fresh = fresh.iter().any(|fresh| fresh.index == index);
                if wanted.kept.is_some() && !is_fresh {
                    stage.borrow(&wanted.asset.database)?;
                }
            }
            let fresh_assets: Vec<Asset> =
                fresh.iter().map(|fresh| self.wanted[fresh.index].asset.clone()).collect();
            let left_out = |index| fresh.iter().all(|fresh: &Fresh| fresh.index != index);
            let errors = match self.attempt(stage.path(), fresh_assets, left_out).await {
                Ok(enrichments) => return Ok(Some(enrichments)),
                Err(errors) => errors,
            };
            for error in &errors {
                self.metrics.asset(AssetEvent::Broken);
                tracing::error!(%error, "an asset is broken; the last good one stays");
            }
            let before = fresh.len();
            fresh.retain(|fresh| {
                let asset = &self.wanted[fresh.index].asset;
                !errors.iter().any(|e| e.file == asset.file && e.pointer == asset.pointer)
            });
            *broken = errors;
            match (before, fresh.len()) {
                // What is kept was good once and is not now: there is nothing better to go on with.
                (0, _) => return Ok(None),
                (before, after) if before == after => fresh.clear(),
                _ => {}
            }
        }
    }

    /// Opens the assets of a folder, the fresh ones after reading them whole.
    async fn attempt(
        &self,
        folder: &std::path::Path,
        fresh: Vec<Asset>,
        is_old: impl Fn(usize) -> bool,
    ) -> Result<Enrichments, Vec<ConfigError>> {
        let mut configuration = self.configuration.clone();
        for (index, wanted) in self.wanted.iter().enumerate() {
            if wanted.kept.is_none() && is_old(index) {
                configuration.forget(&wanted.asset.database);
            }
        }
        let folder = folder.to_owned();
        let opening = tokio::task::spawn_blocking(move || {
            let verify = |asset: &Asset| asset.verify(&folder.join(&asset.database)).err();
            let broken: Vec<ConfigError> = fresh.iter().filter_map(verify).collect();
            if !broken.is_empty() {
                return Err(broken);
            }
            Enrichments::open(configuration, Some(&folder))
        });
        opening.await.unwrap_or_else(|_| Err(Vec::new()))
    }

    /// Opens what is kept.
    async fn reopen(&self) -> Result<Enrichments, Vec<ConfigError>> {
        self.attempt(self.folder.path(), Vec::new(), |_| true).await
    }

    /// Makes fresh editions the good ones.
    fn promote(&mut self, stage: &Stage, fresh: Vec<Fresh>) -> io::Result<()> {
        for Fresh { index, edition } in fresh {
            let wanted = &mut self.wanted[index];
            let name = &wanted.asset.database;
            stage.promote(name)?;
            tracing::info!(asset = name, version = edition.version(), "an asset was replaced");
            let (source, now) = (wanted.source_digest.clone(), clock::now_ms());
            let note = Note { edition, source, fetched_ms: now, confirmed_ms: now };
            self.folder.write(name, &note)?;
            wanted.kept = Some(note);
            self.metrics.asset(AssetEvent::Replaced);
        }
        Ok(())
    }

    fn report(&self) {
        let now = clock::now_ms();
        self.metrics.assets(self.wanted.iter().map(|wanted| {
            let age = |note: &Note| Duration::from_millis((now - note.confirmed_ms).max(0) as u64);
            let known = wanted.kept.as_ref().map(|note| (note.edition.version(), age(note)));
            (wanted.asset.database.as_str(), known)
        }));
    }
}

/// What came of asking all sources.
#[derive(Default)]
struct Round {
    /// What to go on with, if anything changed.
    enrichments: Option<Enrichments>,
    /// What was fetched and cannot be opened.
    broken: Vec<ConfigError>,
    /// What could not be fetched.
    unfetched: Vec<Unfetched>,
}

/// The assets of a configuration, each with its source.
fn wanted(configuration: &Configuration, folder: &Folder) -> Result<Vec<Wanted>, Vec<ConfigError>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut errors = Vec::new();
    for asset in configuration.assets() {
        let uri = asset.source();
        let source_digest: String =
            Md5::digest(uri.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let Some(source) = Source::parse(&uri) else {
            let scheme = uri.split("://").next().unwrap_or_default().to_owned();
            errors.push(ConfigError {
                file: asset.file.clone(),
                pointer: asset.pointer.replace("/database", "/uri"),
                expected: "a URI that begins with https://, http://, s3:// or file:///".to_owned(),
                found: format!("{scheme}…"),
            });
            continue;
        };
        match wanted.iter().find(|other| other.asset.database == asset.database) {
            Some(other) if other.source_digest == source_digest => {}
            Some(other) => errors.push(ConfigError {
                file: asset.file.clone(),
                pointer: asset.pointer.clone(),
                expected: "one source for each name".to_owned(),
                found: format!("another than in {}", other.asset.file.display()),
            }),
            None => {
                let kept = folder.note(&asset.database, &source_digest);
                wanted.push(Wanted { asset: asset.clone(), source, source_digest, kept });
            }
        }
    }
    if errors.is_empty() { Ok(wanted) } else { Err(errors) }
}

#[cfg(test)]
mod tests;
