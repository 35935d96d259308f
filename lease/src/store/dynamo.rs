//! [`Dynamo`]: a lease table in DynamoDB, in the layout of the Kinesis Client Library (KCL).
//!
//! Every item we write could have been written by a KCL 2.x worker; what is ours alone is in
//! attributes that start with `sx_`, which the KCL leaves as they are. Of the items of others we
//! read what is a lease and leave alone what is not.

mod failure;
mod item;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableDescription, TableStatus,
};

use super::{LeaseStore, Outcome, Pending, Scan};
use crate::error::{Error, Result};
use crate::lease::{Change, Counter, Lease, LeaseKey, Stream, Suspect, Write};
use crate::position::Position;
pub use item::Keys;
use item::{Item, Reading};

/// A new table is usually there within ten seconds.
const TABLE_POLL: Duration = Duration::from_millis(500);
const TABLE_POLLS: usize = 120;

/// A lease table in DynamoDB.
#[derive(Clone, Debug)]
pub struct Dynamo {
    client: Client,
    table: String,
    keys: Keys,
}

impl Dynamo {
    /// The table of that name.
    pub fn new(client: Client, table: &str) -> Dynamo {
        Dynamo { client, table: table.to_owned(), keys: Keys::default() }
    }

    /// The same with other leases.
    #[must_use]
    pub fn with(self, keys: Keys) -> Dynamo {
        Dynamo { keys, ..self }
    }

    async fn make_ready(&self) -> Result<()> {
        let mut created = false;
        for _ in 0..TABLE_POLLS {
            let reply = self.client.describe_table().table_name(&self.table).send().await;
            match reply {
                Ok(reply) => {
                    let table = reply.table.unwrap_or_else(|| TableDescription::builder().build());
                    self.check_key(&table)?;
                    // A table that is being changed, as by a KCL 3 that adds its index, can be
                    // used meanwhile, and that may take an hour.
                    let usable = [TableStatus::Active, TableStatus::Updating];
                    if table.table_status.is_some_and(|status| usable.contains(&status)) {
                        return Ok(());
                    }
                }
                Err(error) if error.code() == Some("ResourceNotFoundException") => {
                    self.create_table().await?;
                    // Some servers have it at once. Where it is not seen for a while, asking
                    // without a pause would not help.
                    if !std::mem::replace(&mut created, true) {
                        continue;
                    }
                }
                Err(error) => return Err(self.failed("DescribeTable", &error)),
            }
            tokio::time::sleep(TABLE_POLL).await;
        }
        let text = format!("DescribeTable of table {}: it does not become active", self.table);
        Err(Error::Unavailable(text.into()))
    }

    /// Refuses a table of another shape before anything is written to it.
    fn check_key(&self, table: &TableDescription) -> Result<()> {
        let (name, key) = (&self.table, item::KEY);
        let mut attributes = table.attribute_definitions().iter();
        let ours = attributes.find(|attribute| attribute.attribute_name == key);
        let kind = ours.map_or(ScalarAttributeType::S, |ours| ours.attribute_type.clone());
        let text = match table.key_schema.as_deref().unwrap_or_default() {
            [only] if only.attribute_name == key && kind != ScalarAttributeType::S => {
                format!("table {name} is no lease table: its key {key} is of type {kind}, not S")
            }
            [only] if only.attribute_name == key => return Ok(()),
            [] => return Ok(()),
            _ => format!("table {name} is no lease table: its key is not {key} alone"),
        };
        Err(Error::Unusable(text.into()))
    }

    async fn create_table(&self) -> Result<()> {
        let key = KeySchemaElement::builder().attribute_name(item::KEY).key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder()
            .attribute_name(item::KEY)
            .attribute_type(ScalarAttributeType::S);
        let reply = self
            .client
            .create_table()
            .table_name(&self.table)
            .key_schema(key.build().expect("name and type are set"))
            .attribute_definitions(attribute.build().expect("name and type are set"))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await;
        match reply {
            Ok(_) => Ok(()),
            // Another worker was faster.
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
            Err(error) => Err(self.failed("CreateTable", &error)),
        }
    }

    async fn read_all(&self) -> Result<Scan> {
        let mut scan = Scan::default();
        let mut start: Option<Item> = None;
        loop {
            let request = self.client.scan().table_name(&self.table);
            let reply = request.set_exclusive_start_key(start).send().await;
            let reply = reply.map_err(|error| self.failed("Scan", &error))?;
            for item in reply.items.unwrap_or_default() {
                match item::read(&item, self.keys) {
                    Reading::Lease(lease) => scan.leases.push(*lease),
                    Reading::Unreadable => scan.unreadable += 1,
                    Reading::NoLease => {}
                }
            }
            start = reply.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(scan);
            }
        }
    }

    async fn read_one(&self, key: &LeaseKey) -> Result<Option<Reading>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key(item::KEY, AttributeValue::S(key.as_str().to_owned()));
        let reply = request.send().await.map_err(|error| self.failed("GetItem", &error))?;
        Ok(reply.item.as_ref().map(|item| item::read(item, self.keys)))
    }

    async fn look_up(&self, key: LeaseKey) -> Result<Option<Lease>> {
        match self.read_one(&key).await? {
            Some(Reading::Lease(lease)) => Ok(Some(*lease)),
            // Not one that does not exist.
            Some(Reading::Unreadable) => Err(Error::unreadable(&key)),
            Some(Reading::NoLease) | None => Ok(None),
        }
    }

    async fn put_new(&self, lease: Lease) -> Result<bool> {
        let reply = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::new(&lease)))
            .condition_expression("attribute_not_exists(leaseKey)")
            .send()
            .await;
        self.fitted("PutItem", reply)
    }

    async fn update(&self, write: Write) -> Result<Outcome> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::KEY, AttributeValue::S(write.key.as_str().to_owned()))
            .condition_expression("leaseCounter = :expected")
            .expression_attribute_values(":expected", number(write.expected.0))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let key = write.key.clone();
        match Update::of(&write).put_into(request).send().await {
            Ok(reply) => {
                let lease = reply.attributes.and_then(|item| item::read(&item, self.keys).lease());
                lease.map(Outcome::Applied).ok_or_else(|| Error::unreadable(&key))
            }
            Err(SdkError::ServiceError(error)) if is_refusal(error.err().code()) => {
                let current = match error.err() {
                    UpdateItemError::ConditionalCheckFailedException(refusal) => {
                        refusal.item.as_ref().and_then(|item| item::read(item, self.keys).lease())
                    }
                    _ => None,
                };
                // Not every server sends the item along.
                match current {
                    Some(lease) => Ok(Outcome::Refused(Some(lease))),
                    None => {
                        let current = self.read_one(&key).await?;
                        Ok(Outcome::Refused(current.and_then(Reading::lease)))
                    }
                }
            }
            Err(error) => Err(self.failed("UpdateItem", &error)),
        }
    }

    async fn remove(&self, key: LeaseKey, counter: Counter) -> Result<bool> {
        let (end, _) = Position::ShardEnd.to_checkpoint();
        let reply = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(item::KEY, AttributeValue::S(key.as_str().to_owned()))
            .condition_expression("leaseCounter = :expected AND checkpoint = :end")
            .expression_attribute_values(":expected", number(counter.0))
            .expression_attribute_values(":end", AttributeValue::S(end.to_owned()))
            .send()
            .await;
        self.fitted("DeleteItem", reply)
    }

    /// Whether a conditional request went through.
    fn fitted<T, E>(&self, action: &str, reply: std::result::Result<T, SdkError<E>>) -> Result<bool>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match reply {
            Ok(_) => Ok(true),
            Err(error) if is_refusal(error.code()) => Ok(false),
            Err(error) => Err(self.failed(action, &error)),
        }
    }

    fn failed<E>(&self, action: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        failure::of(action, &self.table, error)
    }
}

impl LeaseStore for Dynamo {
    fn open(&self) -> Pending<'_, ()> {
        Box::pin(self.make_ready())
    }

    fn scan(&self) -> Pending<'_, Scan> {
        Box::pin(self.read_all())
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        Box::pin(self.look_up(key.clone()))
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        Box::pin(self.put_new(lease))
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        Box::pin(self.update(write))
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        Box::pin(self.remove(key.clone(), counter))
    }
}

/// An update expression: what [`Lease::apply`] does, in DynamoDB's words.
#[derive(Debug, Default)]
struct Update {
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
    /// What counts up by one.
    add: Vec<&'static str>,
}

impl Update {
    fn of(write: &Write) -> Update {
        let mut update = Update::default();
        let counter = write.expected.next();
        match &write.change {
            Change::Ask { next } => {
                update.set(item::NEXT, text(next.as_str()));
                return update;
            }
            Change::Note { children } => {
                update.set(item::CHILDREN, item::names(children));
                return update;
            }
            Change::Take { owner, switched, capacity, duration_ms, stream, start } => {
                update.set(item::OWNER, text(owner.as_str()));
                update.set(item::TAKEN, number(counter.0));
                update.set(item::CAPACITY, number(u64::from(*capacity)));
                update.set(item::DURATION, number(*duration_ms));
                update.add.extend(switched.then_some(item::SWITCHES));
                update.stream(stream);
                if let Some(start) = start {
                    update.position(start);
                }
                // A hand-over in the KCL's manner ends with the take as well.
                update.remove.extend([item::NEXT, item::CHECKPOINT_OWNER]);
            }
            Change::Renew { checkpoint, weight, lag_ms, offer, suspect } => {
                update.checkpoint(checkpoint);
                update.suspect(suspect);
                update.set(item::WEIGHT, number(*weight));
                match lag_ms {
                    Some(lag_ms) => update.set(item::LAG, number(*lag_ms)),
                    None => update.remove.push(item::LAG),
                }
                if let Some(next) = offer {
                    update.set(item::NEXT, text(next.as_str()));
                }
            }
            Change::Release { checkpoint, next, suspect, failed } => {
                update.progress(checkpoint);
                update.suspect(suspect);
                match (failed, checkpoint) {
                    (true, Some(_)) => update.set(item::FAILURES, number(1)),
                    (true, None) => update.add.push(item::FAILURES),
                    (false, _) => update.remove.push(item::FAILURES),
                }
                update.remove.extend([item::OWNER, item::CHECKPOINT_OWNER]);
                match next {
                    Some(next) => update.set(item::NEXT, text(next.as_str())),
                    None => update.remove.push(item::NEXT),
                }
            }
        }
        update.set(item::COUNTER, number(counter.0));
        update.set(item::WRITTEN, AttributeValue::S(item::written(counter, write.id)));
        update
    }

    fn set(&mut self, name: &'static str, value: AttributeValue) {
        self.set.push((name, value));
    }

    fn checkpoint(&mut self, to: &Option<Position>) {
        self.progress(to);
        self.remove.extend(to.is_some().then_some(item::FAILURES));
    }

    fn progress(&mut self, to: &Option<Position>) {
        let Some(to) = to else { return };
        self.position(to);
        self.set(item::SWITCHES, number(0));
    }

    fn position(&mut self, to: &Position) {
        let (checkpoint, sub_sequence) = to.to_checkpoint();
        self.set(item::CHECKPOINT, text(checkpoint));
        self.set(item::SUB_SEQUENCE, number(sub_sequence));
        self.remove.extend(item::PENDING);
        match to {
            Position::AtTimestamp(Some(ms)) => {
                self.set(item::AT, AttributeValue::N(ms.to_string()));
            }
            _ => self.remove.push(item::AT),
        }
    }

    fn stream(&mut self, stream: &Stream) {
        if let Some(name) = &stream.name {
            self.set(item::STREAM, text(name));
        }
        if let Some(created) = stream.created {
            self.set(item::CREATED, number(created));
        }
    }

    fn suspect(&mut self, suspect: &Option<Suspect>) {
        match suspect {
            Some(suspect) => self.set(item::SUSPECT, text(&suspect.to_string())),
            None => self.remove.push(item::SUSPECT),
        }
    }

    fn put_into(self, mut request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let mut sets = Vec::new();
        for (n, (name, value)) in self.set.into_iter().enumerate() {
            sets.push(format!("{name} = :v{n}"));
            request = request.expression_attribute_values(format!(":v{n}"), value);
        }
        let mut expression = format!("SET {}", sets.join(", "));
        if !self.remove.is_empty() {
            expression += &format!(" REMOVE {}", self.remove.join(", "));
        }
        if !self.add.is_empty() {
            let adds: Vec<String> = self.add.iter().map(|name| format!("{name} :one")).collect();
            expression += &format!(" ADD {}", adds.join(", "));
            request = request.expression_attribute_values(":one", number(1));
        }
        request.update_expression(expression)
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn is_refusal(code: Option<&str>) -> bool {
    code == Some("ConditionalCheckFailedException")
}
