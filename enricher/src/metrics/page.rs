//! The page that explains every metric, made of the metrics themselves.

use std::fmt::Write;

use super::Metrics;

/// `docs/metrics.md`.
pub fn page() -> String {
    let metrics = Metrics::new();
    let mut described = metrics.described().to_vec();
    described.sort_by(|a, b| a.name.cmp(&b.name));
    let mut page = String::from(HEAD);
    for metric in &described {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (&metric.name, metric.kind, metric.help.replace('|', "\\|"));
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    page
}

const HEAD: &str = "# Metrics

What a worker tells at `/metrics` of its admin port (`[admin] listen`), in the text format of
Prometheus. What to raise an alarm on, and what to do then, is in [operations.md](operations.md).

Counters begin at zero when a process starts. Names end in their unit: `_seconds`, `_milliseconds`,
`_bytes`; `_total` is a count. A metric with labels has no series until there is something to tell.
The number of series is bounded: labels come from the configuration, from closed sets and from the
shards of the stream; what events bring in is bounded where it says so.

This page is made of the code; `SNOWMELT_WRITE=1 cargo test --workspace --lib metrics::page`
writes it.

| metric | type | labels | what it tells |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("SNOWMELT_WRITE").is_some() {
            std::fs::write(path, page()).expect("it can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "docs/metrics.md is not what the metrics say: see its head");
    }

    #[test]
    fn every_metric_has_its_unit_and_says_what_it_tells() {
        for metric in Metrics::new().described() {
            assert!(
                metric.help.ends_with('.') || metric.name.starts_with("process_"),
                "{metric:?}"
            );
            let counts = metric.name.ends_with("_total");
            assert_eq!(counts, metric.kind == "counter", "{metric:?}");
        }
    }
}
