//! What operators meet: services that refuse, hang, throttle and vanish, logs that nobody reads,
//! configurations that cannot work. The binary runs against emulators behind a layer of faults.

#![allow(clippy::print_stdout, reason = "measurements end with what they saw")]
#![allow(clippy::disallowed_methods, reason = "the storm is chosen by the environment")]

mod destinations;
mod iceberg;
mod idle;
mod lag;
mod latest;
mod leases;
mod life;
mod logs;
mod lookups;
mod memory;
mod names;
mod outages;
mod process;
mod several;
mod stage;
mod starts;
mod status;
mod storm;
mod tables;
