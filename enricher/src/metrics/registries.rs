//! Whether schema registries answer, told from what the resolver has counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use resolver::RegistryFigures;

use crate::health::{Check, Failure, Health, Need};

/// The registries of the configuration, as they were counted last.
#[derive(Debug, Default)]
pub(super) struct Registries(Mutex<BTreeMap<String, Registry>>);

#[derive(Debug)]
struct Registry {
    check: Arc<Check>,
    answered: u64,
    failed: u64,
}

impl Registries {
    /// Takes note of what came since the last time.
    pub(super) fn note(&self, figures: &[RegistryFigures], health: &Health) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for figures in figures {
            let registry = known.entry(figures.name.clone()).or_insert_with(|| {
                let check = health.check(format!("registry {}", figures.name), Need::WhenUsed);
                Registry { check, answered: 0, failed: 0 }
            });
            let answered = figures.found + figures.unchanged + figures.missing;
            if answered > registry.answered {
                registry.check.succeeded();
            } else if figures.failed > registry.failed {
                let times = figures.failed - registry.failed;
                registry.check.failed(&Failure {
                    action: "look-up",
                    status: None,
                    code: None,
                    message: format!("{times} requests in a second without a verdict"),
                    passing: true,
                });
            }
            (registry.answered, registry.failed) = (answered, figures.failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_a_reason() {
        let (registries, health) = (Registries::default(), Health::default());
        let figures = |found, failed| {
            let name = "Acme".to_owned();
            [RegistryFigures { name, found, failed, ..RegistryFigures::default() }]
        };
        registries.note(&figures(0, 0), &health);
        assert!(health.reasons().is_empty(), "it was not used yet");
        registries.note(&figures(0, 3), &health);
        assert_eq!(health.reasons().len(), 1);
        registries.note(&figures(0, 3), &health);
        assert_eq!(health.reasons().len(), 1, "nothing has changed");
        registries.note(&figures(1, 3), &health);
        assert!(health.reasons().is_empty());
    }
}
