//! Which requests are harmed, how often, and how.

use std::time::Duration;

use super::Api;

/// What happens to a request in place of its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The service refuses it with this status, code and message, in its own form.
    Refuse(u16, &'static str, &'static str),
    /// The service has had enough requests, in its own words.
    Throttle,
    /// Another answer: status, content type, body.
    Answer(u16, &'static str, &'static str),
    /// It arrives later.
    Delay(Duration),
    /// There is no answer, and the connection stays open.
    Hang,
    /// A subscription brings so many frames, and then nothing, on an open connection.
    Silence(usize),
    /// The connection closes; nothing has arrived.
    Reset,
    /// It is done, and the connection closes before an answer.
    LoseAnswer,
    /// It is done, and the connection closes in the middle of the answer.
    CutAnswer,
    /// The JSON of the request is changed.
    Ask(fn(&mut serde_json::Value)),
    /// The JSON of a good answer is changed.
    Rewrite(fn(&mut serde_json::Value)),
}

impl Fault {
    /// Without permission, as Kinesis and DynamoDB say it.
    pub const DENIED: Fault = Fault::Refuse(400, "AccessDeniedException", "not authorized");
    /// Without permission, as S3 says it.
    pub const DENIED_BY_S3: Fault = Fault::Refuse(403, "AccessDenied", "Access Denied");
    /// The service is broken for a while.
    pub const BROKEN: Fault = Fault::Refuse(500, "InternalFailure", "Internal service failure");
}

/// Harms some requests.
#[derive(Clone, Debug)]
pub struct Rule {
    service: Option<Api>,
    action: Option<String>,
    containing: Option<String>,
    probability: f64,
    spared: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    fn new(fault: Fault) -> Rule {
        Rule {
            service: None,
            action: None,
            containing: None,
            probability: 1.0,
            spared: 0,
            times: u64::MAX,
            fault,
        }
    }

    /// Harms every request for an action.
    pub fn of(action: &str, fault: Fault) -> Rule {
        Rule { action: Some(action.to_owned()), ..Rule::new(fault) }
    }

    /// Harms every request to a service.
    pub fn all(service: Api, fault: Fault) -> Rule {
        Rule { service: Some(service), ..Rule::new(fault) }
    }

    /// Only requests whose path or body contains this text. A request for records counts as one
    /// that contains the name of its shard.
    #[must_use]
    pub fn containing(self, text: &str) -> Rule {
        Rule { containing: Some(text.to_owned()), ..self }
    }

    /// Only this part of them, drawn for each.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Rule {
        Rule { probability, ..self }
    }

    /// Not the first few.
    #[must_use]
    pub fn sparing(self, spared: u64) -> Rule {
        Rule { spared, ..self }
    }

    /// So many and no more.
    #[must_use]
    pub fn times(self, times: u64) -> Rule {
        Rule { times, ..self }
    }

    /// The harm that this rule does to a request.
    pub(super) fn harm(
        &mut self,
        service: Api,
        action: &str,
        subject: &str,
        chance: &mut fastrand::Rng,
    ) -> Option<Fault> {
        let meant = self.service.is_none_or(|of| of == service)
            && self.action.as_ref().is_none_or(|of| of == action)
            && self.containing.as_ref().is_none_or(|text| subject.contains(text.as_str()));
        if !meant || self.times == 0 || chance.f64() >= self.probability {
            return None;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmed(rule: &mut Rule, seed: u64) -> Vec<bool> {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut harm = || rule.harm(Api::S3, "PutObject", "/b/a", &mut chance).is_some();
        (0..20).map(|_| harm()).collect()
    }

    #[test]
    fn a_rule_spares_the_first_and_ends_after_some() {
        let mut rule = Rule::of("PutObject", Fault::Reset).sparing(2).times(3);
        let expected: Vec<bool> = (0..20).map(|n| (2..5).contains(&n)).collect();
        assert_eq!(harmed(&mut rule, 1), expected);
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let rule = Rule::all(Api::S3, Fault::Reset).with_probability(0.5);
        let first = harmed(&mut rule.clone(), 7);
        assert_eq!(harmed(&mut rule.clone(), 7), first);
        assert_ne!(harmed(&mut rule.clone(), 8), first);
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[test]
    fn other_requests_pass() {
        for rule in [
            Rule::of("GetRecords", Fault::Reset),
            Rule::all(Api::Kinesis, Fault::Reset),
            Rule::of("PutObject", Fault::Reset).containing("other"),
        ] {
            assert!(!harmed(&mut rule.clone(), 1).contains(&true), "{rule:?}");
        }
    }
}
