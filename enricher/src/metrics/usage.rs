//! What the process uses, under the names that Prometheus' clients have in common.

use prometheus::{Counter, IntGauge};

use super::make::{Maker, now_of_process, of_process};
use crate::{clock, process};

/// The metrics of the process.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    cpu: Counter,
    resident: IntGauge,
    space: IntGauge,
    files: IntGauge,
    most_files: IntGauge,
    threads: IntGauge,
}

impl Usage {
    pub(super) fn new(maker: &Maker) -> Usage {
        let now = |name, help| now_of_process(maker, name, help);
        let started = now("start_time_seconds", "When it started, in seconds since 1970.");
        started.set(clock::now_ms() / 1000);
        Usage {
            cpu: of_process(maker, "cpu_seconds_total", "User and system time, in seconds."),
            resident: now("resident_memory_bytes", "Resident memory."),
            space: now("virtual_memory_bytes", "The size of the address space."),
            files: now("open_fds", "Open files and connections."),
            most_files: now("max_fds", "How many there may be."),
            threads: now("threads", "Threads."),
        }
    }

    /// Looks at the process; what the system does not tell stays 0.
    pub(super) fn tell(&self) {
        let used = process::cpu_time().as_secs_f64();
        self.cpu.inc_by((used - self.cpu.get()).max(0.0));
        for (gauge, told) in [
            (&self.resident, process::memory()),
            (&self.space, process::address_space()),
            (&self.files, process::open_files()),
            (&self.most_files, process::most_files()),
            (&self.threads, process::threads()),
        ] {
            gauge.set(told.unwrap_or_default() as i64);
        }
    }
}
