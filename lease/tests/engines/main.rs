//! The stores and the keepers on real engines: SQLite files, and DynamoDB as an emulator answers
//! it over HTTP, in good order or through a network that fails.
#![allow(clippy::print_stdout, reason = "figures are for whoever runs the tests")]

mod engine;
mod faults;
mod handover;
mod layout;
mod network;
mod processes;
mod stores;
