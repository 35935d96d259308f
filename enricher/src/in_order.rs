//! Tasks that run side by side and are joined oldest first. Owns its tasks: dropping it aborts
//! them.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::JoinHandle;

/// A queue of running tasks. `T` is what each yields.
#[derive(Debug)]
pub struct InOrder<T> {
    tasks: VecDeque<JoinHandle<T>>,
    capacity: usize,
}

impl<T: Send + 'static> InOrder<T> {
    /// An empty queue for up to `capacity` tasks.
    pub fn new(capacity: usize) -> InOrder<T> {
        InOrder { tasks: VecDeque::new(), capacity }
    }

    /// Whether one more task may be pushed.
    pub fn has_room(&self) -> bool {
        self.tasks.len() < self.capacity
    }

    /// Starts a task behind all others.
    #[allow(clippy::disallowed_methods, reason = "this queue owns the task and aborts it")]
    pub fn push(&mut self, task: impl Future<Output = T> + Send + 'static) {
        assert!(self.has_room(), "callers ask has_room first");
        self.tasks.push_back(tokio::spawn(task));
    }

    /// Waits for the oldest task; `None` when there is none. Cancel-safe: the task stays the
    /// oldest until its result is in hand. A panic of the task is passed on.
    pub async fn next(&mut self) -> Option<T> {
        let result = self.tasks.front_mut()?.await;
        self.tasks.pop_front();
        match result {
            Ok(value) => Some(value),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl<T> Drop for InOrder<T> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn results_come_in_the_order_of_pushing() {
        let mut queue = InOrder::new(3);
        for (n, millis) in [(1, 30), (2, 10), (3, 20)] {
            queue.push(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                n
            });
        }
        assert!(!queue.has_room());
        let mut seen = Vec::new();
        while let Some(n) = queue.next().await {
            seen.push(n);
        }
        assert_eq!(seen, [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_loses_nothing() {
        let mut queue = InOrder::new(1);
        queue.push(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        });
        let cut = tokio::time::timeout(Duration::from_millis(10), queue.next()).await;
        assert!(cut.is_err());
        assert_eq!(queue.next().await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_aborts() {
        let alive = Arc::new(());
        let mut queue = InOrder::new(1);
        let held = Arc::clone(&alive);
        queue.push(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        drop(queue);
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
