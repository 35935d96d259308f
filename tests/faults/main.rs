//! What operators meet: services that refuse, hang, throttle and vanish, logs that nobody reads,
//! configurations that cannot work. The binary runs against emulators behind a layer of faults.

mod logs;
mod names;
mod outages;
mod stage;
