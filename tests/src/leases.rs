//! The lease table as it is stored, read without the code that writes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;

/// The checkpoint of a shard that is closed and done.
pub const SHARD_END: &str = "SHARD_END";

/// One item of the table.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The worker that holds it.
    pub owner: Option<String>,
    /// A sequence number, or a word such as `TRIM_HORIZON`.
    pub checkpoint: String,
}

impl Lease {
    /// Whether the record with this sequence number is behind the checkpoint.
    pub fn covers(&self, sequence: &str) -> bool {
        match (number(&self.checkpoint), number(sequence)) {
            (Some(checkpoint), Some(sequence)) => sequence <= checkpoint,
            _ => self.checkpoint == SHARD_END,
        }
    }
}

/// Reads all leases, by shard.
pub async fn read(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
) -> Result<BTreeMap<String, Lease>> {
    let page = dynamodb.scan().table_name(table).consistent_read(true).send().await?;
    let mut leases = BTreeMap::new();
    for item in page.items() {
        let text = |name: &str| match item.get(name) {
            Some(AttributeValue::S(text)) => Some(text.clone()),
            _ => None,
        };
        let key = text("leaseKey").context("an item without a key")?;
        let checkpoint = text("checkpoint").context("a lease without a checkpoint")?;
        leases.insert(key, Lease { owner: text("leaseOwner"), checkpoint });
    }
    Ok(leases)
}

/// One attribute of all leases that have it, texts and numbers alike.
pub async fn attribute(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    name: &str,
) -> Result<Vec<String>> {
    let page = dynamodb.scan().table_name(table).consistent_read(true).send().await?;
    let values = page.items().iter().filter_map(|item| match item.get(name)? {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        _ => None,
    });
    Ok(values.collect())
}

/// Sequence numbers compare by value: fewer digits are a smaller number.
fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.trim_start_matches('0');
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some((digits.len(), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_covers_what_is_before_it() {
        let at = |checkpoint: &str| Lease { owner: None, checkpoint: checkpoint.to_owned() };
        assert!(at("10").covers("9") && at("10").covers("10"));
        assert!(!at("9").covers("10"));
        assert!(!at("TRIM_HORIZON").covers("1"));
        assert!(at(SHARD_END).covers("1"));
    }
}
