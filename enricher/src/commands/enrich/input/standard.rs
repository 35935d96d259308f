//! Standard input, read by someone who can be told to stop: whoever presses Ctrl-C at a terminal or
//! a pipe in which nothing comes must not have to press it twice.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How often it is looked whether anything is wanted: a person does not feel it, a processor
/// neither.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Standard input.
pub(super) struct Standard {
    unwanted: Arc<AtomicBool>,
}

impl Standard {
    /// To be read until `unwanted` is set.
    pub(super) fn new(unwanted: Arc<AtomicBool>) -> Standard {
        Standard { unwanted }
    }
}

impl Read for Standard {
    /// Reads what there is. A descriptor that does not block, as some shells leave it, is waited
    /// for like any other.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input = rustix::stdio::stdin();
        loop {
            if self.unwanted.load(Ordering::Relaxed) {
                return Err(unwanted());
            }
            match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match rustix::io::read(input, &mut *buffer) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                read => return Ok(read?),
            }
        }
    }
}

/// Why nothing more is read.
pub(super) fn unwanted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "nobody wants any more of it")
}
