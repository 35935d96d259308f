//! What the pipeline is given: records of one shard, with as much of their places in the stream as
//! the ids of events are made of. A view of what a reader holds; whoever reads streams has more.

/// Consecutive records of one shard.
#[derive(Clone, Debug)]
pub struct Batch<'r> {
    /// The name of the shard.
    pub shard: &'r str,
    /// The records, oldest first.
    pub records: Vec<Record<'r>>,
}

/// One record of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Record<'r> {
    /// Its sequence number.
    pub sequence: &'r str,
    /// Its index inside an aggregated record; 0 for any other.
    pub sub_sequence: u64,
    /// What a collector wrote: the payload, encoded.
    pub data: &'r [u8],
}

/// Where a record comes from, as far as the ids of its events tell.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The stream that it was read from, by name.
    pub stream: &'a str,
    /// Its shard of that stream.
    pub shard: &'a str,
    /// The sequence number.
    pub sequence: &'a str,
    /// The index inside an aggregated record.
    pub sub_sequence: u64,
}

impl Batch<'_> {
    /// The payload bytes of all records.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }
}

/// The stream of a shard, and the shard's name in it. Where several streams are read a shard is
/// called by `account:stream:created:shard`; where one is, by the name that this stream gives it.
pub fn home<'a>(stream: &'a str, shard: &'a str) -> (&'a str, &'a str) {
    let mut parts = shard.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(stream), Some(_), Some(shard)) => (stream, shard),
        _ => (stream, shard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_of_several_streams_says_which_it_is_of() {
        assert_eq!(home("raw", "shardId-7"), ("raw", "shardId-7"));
        assert_eq!(home("x", "1:raw:9:shardId-7"), ("raw", "shardId-7"));
    }
}
