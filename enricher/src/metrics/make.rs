//! How metrics are made: each registered under `snowmelt_`, with its help and labels, and listed
//! for the page that explains them.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::SECONDS;

/// What a metric is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name in a scrape.
    pub name: String,
    /// As Prometheus has it.
    pub kind: &'static str,
    /// What its series are told apart by.
    pub labels: Vec<String>,
    /// What it counts.
    pub help: String,
}

/// Makes the metrics of one worker.
#[derive(Debug, Default)]
pub(super) struct Maker {
    registry: Registry,
    described: RefCell<Vec<Described>>,
}

impl Maker {
    /// What was made.
    pub(super) fn done(self) -> (Registry, Vec<Described>) {
        (self.registry, self.described.into_inner())
    }

    fn register<C: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        made: prometheus::Result<C>,
    ) -> C {
        let metric = made.expect("names and labels of this module are valid");
        for desc in metric.desc() {
            self.described.borrow_mut().push(Described {
                name: desc.fq_name.clone(),
                kind,
                labels: desc.variable_labels.clone(),
                help: desc.help.clone(),
            });
        }
        let registered = self.registry.register(Box::new(metric.clone()));
        registered.expect("each name stands once in this module");
        metric
    }
}

pub(super) fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("snowmelt_{name}"), help)
}

pub(super) fn counter(maker: &Maker, name: &str, help: &str) -> IntCounter {
    maker.register("counter", IntCounter::with_opts(options(name, help)))
}

pub(super) fn counters(maker: &Maker, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    maker.register("counter", IntCounterVec::new(options(name, help), labels))
}

pub(super) fn gauge(maker: &Maker, name: &str, help: &str) -> IntGauge {
    maker.register("gauge", IntGauge::with_opts(options(name, help)))
}

pub(super) fn gauges(maker: &Maker, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    maker.register("gauge", IntGaugeVec::new(options(name, help), labels))
}

/// A gauge of what is no whole number.
pub(super) fn level(maker: &Maker, name: &str, help: &str) -> Gauge {
    maker.register("gauge", Gauge::with_opts(options(name, help)))
}

/// Gauges of what is no whole number.
pub(super) fn levels(maker: &Maker, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    maker.register("gauge", GaugeVec::new(options(name, help), labels))
}

pub(super) fn seconds(maker: &Maker, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::from(options(name, help)).buckets(SECONDS.to_vec());
    maker.register("histogram", HistogramVec::new(options, labels))
}

/// A counter of the process under a name that is common to all programs.
pub(super) fn of_process(maker: &Maker, name: &str, help: &str) -> Counter {
    maker.register("counter", Counter::with_opts(Opts::new(format!("process_{name}"), help)))
}

/// A gauge of the process under a name that is common to all programs.
pub(super) fn now_of_process(maker: &Maker, name: &str, help: &str) -> IntGauge {
    maker.register("gauge", IntGauge::with_opts(Opts::new(format!("process_{name}"), help)))
}
