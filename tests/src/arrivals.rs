//! What arrived: the events of ours in the downstream streams and in the bucket, each with how
//! often. Reads formats only as far as it must: a line is an enriched event or a bad row.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::types::ShardIteratorType;

use crate::traffic;

// The canonical event: 131 columns, the event's id in the seventh.
const COLUMNS: usize = 131;
const EVENT_ID: usize = 6;

/// How often each event arrived.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Enriched events by id.
    pub enriched: BTreeMap<String, u32>,
    /// Bad rows by the id of their event.
    pub bad: BTreeMap<String, u32>,
    /// Bad rows in which no event of ours was found.
    pub strange: Vec<String>,
}

impl Arrivals {
    /// Events that arrived more than once.
    pub fn duplicates(&self) -> impl Iterator<Item = (&String, u32)> {
        let all = self.enriched.iter().chain(&self.bad);
        all.filter(|(_, times)| **times > 1).map(|(id, times)| (id, *times))
    }

    /// Counts one line: an enriched event, or a bad row.
    pub fn count(&mut self, line: &str) -> Result<()> {
        if line.starts_with('{') {
            match traffic::bad_id_in(line) {
                Some(id) => *self.bad.entry(id.to_owned()).or_default() += 1,
                None => self.strange.push(line.to_owned()),
            }
            return Ok(());
        }
        let columns: Vec<&str> = line.split('\t').collect();
        ensure!(columns.len() == COLUMNS, "{} columns: {line}", columns.len());
        *self.enriched.entry(columns[EVENT_ID].to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Reads streams, from the beginning of every shard to its tip.
pub async fn in_streams(kinesis: &aws_sdk_kinesis::Client, streams: &[&str]) -> Result<Arrivals> {
    let mut arrivals = Arrivals::default();
    for stream in streams {
        let shards = kinesis.list_shards().stream_name(*stream).send().await?;
        for shard in shards.shards() {
            let iterator = kinesis
                .get_shard_iterator()
                .stream_name(*stream)
                .shard_id(shard.shard_id())
                .shard_iterator_type(ShardIteratorType::TrimHorizon);
            let mut next = iterator.send().await?.shard_iterator;
            while let Some(iterator) = next.take() {
                let answer = kinesis.get_records().shard_iterator(iterator).send().await?;
                for record in answer.records() {
                    arrivals.count(std::str::from_utf8(record.data().as_ref())?)?;
                }
                if !answer.records.is_empty() {
                    next = answer.next_shard_iterator;
                }
            }
        }
    }
    Ok(arrivals)
}

/// What a bucket holds.
#[derive(Debug, Default)]
pub struct Bucket {
    /// The events in its objects.
    pub arrivals: Arrivals,
    /// How many objects there are, manifests not counted.
    pub objects: usize,
    /// How many lines they have.
    pub lines: u64,
    /// How many lines the manifests promise.
    pub lines_in_manifests: u64,
}

/// Reads every object of a bucket.
pub async fn in_bucket(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<Bucket> {
    let mut found = Bucket::default();
    for key in objects(s3, bucket).await? {
        let answer = s3.get_object().bucket(bucket).key(&key).send().await?;
        let bytes = answer.body.collect().await?.into_bytes();
        found.add(&key, &bytes).with_context(|| format!("object {key}"))?;
    }
    Ok(found)
}

/// The lines of all objects of a bucket, each with the name of its object. What readers pass over
/// is left out.
pub async fn lines(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<Vec<(String, String)>> {
    let mut lines = Vec::new();
    for key in objects(s3, bucket).await?.into_iter().filter(|key| !is_hidden(key)) {
        let answer = s3.get_object().bucket(bucket).key(&key).send().await?;
        let text = decompressed(&key, &answer.body.collect().await?.into_bytes())?;
        lines.extend(text.lines().map(|line| (key.clone(), line.to_owned())));
    }
    Ok(lines)
}

/// The names of all objects of a bucket.
pub async fn objects(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(bucket).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page?.contents() {
            names.push(object.key().context("an object without a key")?.to_owned());
        }
    }
    Ok(names)
}

/// Whether the usual readers of a bucket pass an object over: it, or a folder of it, begins with an
/// underscore.
pub fn is_hidden(key: &str) -> bool {
    key.split('/').any(|part| part.starts_with('_'))
}

impl Bucket {
    fn add(&mut self, key: &str, bytes: &[u8]) -> Result<()> {
        if key.contains("/_manifests/") {
            let manifest: serde_json::Value = serde_json::from_slice(bytes)?;
            self.lines_in_manifests += manifest["lines"].as_u64().context("no lines")?;
            return Ok(());
        }
        if is_hidden(key) {
            return Ok(());
        }
        self.objects += 1;
        for line in decompressed(key, bytes)?.lines() {
            self.lines += 1;
            self.arrivals.count(line)?;
        }
        Ok(())
    }
}

fn decompressed(key: &str, bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    if key.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text)?;
    } else if key.ends_with(".zst") {
        zstd::Decoder::new(bytes)?.read_to_string(&mut text)?;
    } else {
        text.push_str(std::str::from_utf8(bytes)?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_event() -> Result<()> {
        let mut arrivals = Arrivals::default();
        let mut columns = vec![""; COLUMNS];
        let id = traffic::event_id(1);
        columns[EVENT_ID] = &id;
        arrivals.count(&columns.join("\t"))?;
        arrivals.count(&columns.join("\t"))?;
        arrivals.count(&format!("{{\"eid\":\"{}\"}}", traffic::event_id(19)))?;
        arrivals.count("{}")?;
        assert_eq!(arrivals.duplicates().collect::<Vec<_>>(), [(&id, 2)]);
        assert_eq!(arrivals.bad.len(), 1);
        assert_eq!(arrivals.strange, ["{}"]);
        assert!(arrivals.count("too\tfew").is_err());
        Ok(())
    }
}
