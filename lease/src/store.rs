//! [`LeaseStore`]: where leases are stored, and what a store promises.
//!
//! A store is a table of [`Lease`]s. Writes to one item happen one after the other and each is
//! conditional on the item's counter; that is all the protocol needs. Scans may be stale and need
//! not be a snapshot; `get` must not be stale.

pub mod dynamo;
pub mod memory;
pub mod sqlite;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
use crate::lease::{Counter, Lease, LeaseKey, Write};

/// What a store's operations return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A lease table.
pub trait LeaseStore: Debug + Send + Sync {
    /// Makes the table ready, creating it if need be.
    fn open(&self) -> Pending<'_, ()>;

    /// Every lease in the table, possibly a little out of date.
    fn scan(&self) -> Pending<'_, Scan>;

    /// The lease as it is now; a failure if it is there and cannot be read as one.
    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>>;

    /// Stores a new lease, unless there is one of that key. Says whether there was none.
    fn create(&self, lease: Lease) -> Pending<'_, bool>;

    /// Changes a lease if its counter is still the expected one. A store that repeats requests by
    /// itself may refuse a write that it stored a moment ago; the caller sees by the write's id in
    /// the item that it was its own.
    fn write(&self, write: Write) -> Pending<'_, Outcome>;

    /// Removes a lease that is at its shard's end, if its counter is still this one. Says whether
    /// it did.
    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool>;
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is stored; the lease as it is now.
    Applied(Lease),
    /// It no longer fitted; the lease as it is now, if it still exists.
    Refused(Option<Lease>),
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// All that could be read, in no order.
    pub leases: Vec<Lease>,
    /// Items that call themselves leases and cannot be read as one. They are left alone.
    pub unreadable: usize,
}
