//! This process: its name, and what it has used so far.

use std::time::Duration;

use event::bad_row::Processor;

/// This program, as bad rows and events name what processed them.
pub fn this_program() -> Processor {
    Processor { artifact: "snowmelt".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// User and system time of all threads.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The largest resident size, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// The resident size now, in bytes; `None` where the system does not tell.
pub fn memory() -> Option<u64> {
    status("VmRSS:")
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The size of its address space, in bytes; `None` where the system does not tell.
pub fn address_space() -> Option<u64> {
    status("VmSize:")
}

/// How many threads it has; `None` where the system does not tell.
pub fn threads() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

/// How many files it has open; `None` where the system does not tell.
pub fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is the folder that is read.
    Some(open.saturating_sub(1))
}

/// How many files it may have open; `None` where the system does not tell.
pub fn most_files() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
