//! What the look-ups of an event asked, what they were answered, and how long that took.

use std::sync::Arc;

use enrichments::lookup::{Answer, Answers, Lookup, Question, Then};
use event::reason::Words;
use lookups::Told;
use serde_json::{Value, json};

/// What was told in each round of a record.
#[derive(Debug)]
pub(in crate::commands) struct Asked(pub(in crate::commands) Vec<Arc<Told>>);

impl Answers for Asked {
    fn get(&self, question: &Question) -> Option<Answer> {
        let told = self.0.iter().find_map(|told| told.get_with_time(question));
        let told = told.map(|(answer, _)| answer.clone());
        told.or_else(|| self.0.last()?.get(question))
    }
}

impl Asked {
    /// Questions with their answers.
    pub(super) fn shown(&self, lookups: &[Lookup], questions: &[Question]) -> Value {
        let each = questions.iter().map(|question| {
            let asked = lookups[question.lookup].shown(&question.key);
            let told = self.0.iter().find_map(|told| told.get_with_time(question));
            let answer = self.get(question).map_or(json!("none"), |answer| said(&answer));
            match told {
                Some((_, took)) => {
                    let millis = rounded(took.as_secs_f64() * 1e3);
                    json!({"asked": asked, "answer": answer, "milliseconds": millis})
                }
                None => json!({"asked": asked, "answer": answer}),
            }
        });
        each.collect()
    }
}

fn said(answer: &Answer) -> Value {
    let words = |words: &[Words]| -> Value { words.iter().map(|it| json!(it.text())).collect() };
    match answer {
        Answer::Found(found) => found.iter().map(|found| read(found.data())).collect(),
        Answer::Failed(failed) => json!({"failed": words(failed)}),
        Answer::Unavailable(outage) => {
            let then = match outage.then {
                Then::Fail => "the event fails",
                Then::Skip => "the event goes on without",
                Then::Park => "the event is parked",
            };
            json!({"unavailable": words(&outage.words), "then": then})
        }
    }
}

pub(super) fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()))
}

pub(super) fn rounded(micros: f64) -> f64 {
    (micros * 10.0).round() / 10.0
}
