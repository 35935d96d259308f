//! What the tests of the whole system share: emulators of the AWS services on the loopback
//! address, worker processes that can be killed, traffic whose every event is known, and a count
//! of what arrived. It promises that everything it starts ends with the test that started it, and
//! leaves every judgement to the tests.

#![allow(
    clippy::disallowed_methods,
    reason = "a harness reads the environment that tests/run sets, and owns its tasks by JoinSet"
)]

pub mod admin;
pub mod api;
pub mod arrivals;
pub mod databases;
pub mod emulators;
pub mod faults;
pub mod leases;
pub mod metadata;
pub mod repository;
pub mod scratch;
pub mod traffic;
pub mod wait;
pub mod workers;
