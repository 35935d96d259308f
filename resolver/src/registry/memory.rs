//! A registry that is told what to say, for tests.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use event::SchemaKey;

use crate::registry::{Answer, Asking, Registry};

/// Answers by Iglu URI; [`Answer::NotFound`] for all others.
#[derive(Default)]
pub(crate) struct Memory {
    answers: Mutex<HashMap<String, Answer>>,
    /// What it says to everything, if set.
    outage: Mutex<Option<Answer>>,
    asked: AtomicUsize,
}

impl Memory {
    /// Sets what is said of a schema.
    pub(crate) fn say(&self, uri: &str, answer: Answer) {
        self.answers.lock().expect("no test panics here").insert(uri.to_owned(), answer);
    }

    /// Sets what is said to everything.
    pub(crate) fn fail(&self, answer: Option<Answer>) {
        *self.outage.lock().expect("no test panics here") = answer;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Registry for Memory {
    fn get<'a>(&'a self, key: &'a SchemaKey, _: Option<&'a str>) -> Asking<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            // Others get their turn, as with a real registry.
            tokio::task::yield_now().await;
            let outage = self.outage.lock().expect("no test panics here").clone();
            let answers = self.answers.lock().expect("no test panics here");
            outage.unwrap_or_else(|| {
                answers.get(&key.to_string()).cloned().unwrap_or(Answer::NotFound)
            })
        })
    }
}
