//! Threads for work that computes: the asynchronous threads never hold any of it for long.
//!
//! Jobs run in the order in which they were given. Their number is bounded by those who give them:
//! every batch holds its bytes of the budget while it waits here.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads. Dropping the last handle ends them after the jobs given so far.
#[derive(Debug)]
pub struct Pool {
    jobs: Mutex<mpsc::Sender<Job>>,
    threads: usize,
}

/// The job panicked; the thread lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a computation panicked")]
pub struct Panicked;

impl Pool {
    /// Starts the threads.
    pub fn new(threads: usize) -> std::io::Result<Pool> {
        let threads = threads.max(1);
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for n in 0..threads {
            let receiver = Arc::clone(&receiver);
            let name = format!("compute-{n}");
            std::thread::Builder::new().name(name).spawn(move || work(&receiver))?;
        }
        Ok(Pool { jobs: Mutex::new(sender), threads })
    }

    /// How many jobs run at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a job on one of the threads.
    pub async fn run<T, F>(&self, job: F) -> Result<T, Panicked>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.give(job).await.map_err(|_| Panicked)
    }

    /// Runs jobs side by side; their results stand in the jobs' order.
    pub async fn run_all<T, F>(&self, jobs: Vec<F>) -> Result<Vec<T>, Panicked>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let given: Vec<_> = jobs.into_iter().map(|job| self.give(job)).collect();
        let mut results = Vec::with_capacity(given.len());
        for result in given {
            results.push(result.await.map_err(|_| Panicked)?);
        }
        Ok(results)
    }

    fn give<T, F>(&self, job: F) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more when the shard was lost meanwhile.
            let _ = reply.send(job());
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // A refused job drops its reply, which the waiter sees.
        let _ = jobs.send(job);
        result
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The job dropped its reply while unwinding, so its waiter knows.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_stand_in_the_order_of_jobs() {
        let pool = Pool::new(3).expect("threads start");
        let jobs = (0..50).map(|n| move || n * n).collect();
        let squares: Vec<i32> = (0..50).map(|n| n * n).collect();
        assert_eq!(pool.run_all(jobs).await, Ok(squares));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_thread_lives_on() {
        let pool = Pool::new(1).expect("a thread starts");
        assert_eq!(pool.run(|| -> u8 { panic!("as the test wants") }).await, Err(Panicked));
        assert_eq!(pool.run(|| 5).await, Ok(5));
    }
}
