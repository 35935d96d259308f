//! The counts of a worker under the names that OpenSnowcat's Enrich has for them, sent to a StatsD
//! server, so that graphs and alarms of before go on.
//!
//! Once in a period each metric is a datagram, with tags in DogStatsD's form: counters what was
//! added since the last period, gauges what was measured in it, if anything. Nothing waits for the
//! server: what cannot be sent at once is lost, as datagrams are.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::Mutex;

use crate::health::{Check, Failure};
use crate::metrics::{Figures, Metrics};

/// A name that is not found in that time is asked for again in the next period.
const LOOKING_UP: Duration = Duration::from_secs(2);

/// Who is told, how often, and under which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Host and port.
    pub to: String,
    /// What names begin with.
    pub prefix: String,
    /// Stand on every metric.
    pub tags: Vec<(String, String)>,
    /// Between two reports.
    pub period: Duration,
}

/// Tells a server of a worker.
#[derive(Debug)]
pub struct Statsd {
    settings: Settings,
    metrics: Arc<Metrics>,
    told: Mutex<Figures>,
    check: Arc<Check>,
}

impl Statsd {
    /// Nothing is sent yet.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Statsd {
        let check = Check::alone(format!("statsd {}", settings.to));
        Statsd { settings, metrics, told: Mutex::default(), check }
    }

    /// Tells for ever.
    pub async fn tell(&self) -> ! {
        loop {
            tokio::time::sleep(self.settings.period).await;
            self.report().await;
        }
    }

    /// Tells what was not told yet.
    pub async fn report(&self) {
        let mut told = self.told.lock().await;
        let figures = self.metrics.figures();
        let lines = lines(&self.settings, &told, &figures);
        *told = figures;
        match self.send(&lines).await {
            Ok(()) => self.check.succeeded(),
            Err(error) => self.check.failed(&Failure {
                action: "Send",
                status: None,
                code: None,
                message: error.to_string(),
                passing: true,
            }),
        }
    }

    /// The name is looked up each time, since a server that is started anew may be elsewhere.
    async fn send(&self, lines: &[String]) -> std::io::Result<()> {
        let found = tokio::time::timeout(LOOKING_UP, lookup_host(&self.settings.to)).await;
        let found = found.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??.next();
        let to = found.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        let from: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from).await?;
        socket.writable().await?;
        lines.iter().try_for_each(|line| socket.try_send_to(line.as_bytes(), to).map(drop))
    }
}

/// A report, a datagram a line.
fn lines(settings: &Settings, told: &Figures, now: &Figures) -> Vec<String> {
    let tags: Vec<String> =
        settings.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("|#{}", tags.join(",")) };
    // As there, a prefix may end with a dot, and may be none.
    let prefix = settings.prefix.trim_end_matches('.');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
    let counters = [
        ("raw", told.raw, now.raw),
        ("good", told.good, now.good),
        ("good_bytes", told.good_bytes, now.good_bytes),
        ("failed", told.failed, now.failed),
        ("bad", told.bad, now.bad),
        ("dropped", told.dropped, now.dropped),
        ("invalid_enriched", told.invalid, now.invalid),
    ];
    let counters =
        counters.map(|(name, before, now)| (name, Some(now.saturating_sub(before) as i64), 'c'));
    let gauges = [
        // One measure, under the name of 3.9 and under the later one.
        ("latency", now.from_collector, 'g'),
        ("e2e_latency_millis", now.from_collector, 'g'),
        ("latency_millis", now.in_stream, 'g'),
    ];
    let all = counters.into_iter().chain(gauges);
    let told = all.filter_map(|(name, value, kind)| Some((name, value?, kind)));
    // A gauge with a sign would change the one before: clocks differ.
    told.map(|(name, value, kind)| format!("{prefix}{name}:{}|{kind}{tags}", value.max(0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(to: String) -> Settings {
        let tags =
            vec![("app".to_owned(), "enrich".to_owned()), ("env".to_owned(), "prod".to_owned())];
        Settings { to, prefix: "snowplow.enrich".to_owned(), tags, period: Duration::from_secs(10) }
    }

    #[test]
    fn counters_are_differences_and_gauges_what_was_measured() {
        let told = Figures { raw: 5, good: 10, ..Figures::default() };
        let now = Figures {
            raw: 7,
            good: 14,
            good_bytes: 4_000,
            bad: 1,
            from_collector: Some(830),
            in_stream: Some(-3),
            ..Figures::default()
        };
        let mut settings = settings("127.0.0.1:8125".to_owned());
        let all = [
            "snowplow.enrich.raw:2|c|#app:enrich,env:prod",
            "snowplow.enrich.good:4|c|#app:enrich,env:prod",
            "snowplow.enrich.good_bytes:4000|c|#app:enrich,env:prod",
            "snowplow.enrich.failed:0|c|#app:enrich,env:prod",
            "snowplow.enrich.bad:1|c|#app:enrich,env:prod",
            "snowplow.enrich.dropped:0|c|#app:enrich,env:prod",
            "snowplow.enrich.invalid_enriched:0|c|#app:enrich,env:prod",
            "snowplow.enrich.latency:830|g|#app:enrich,env:prod",
            "snowplow.enrich.e2e_latency_millis:830|g|#app:enrich,env:prod",
            "snowplow.enrich.latency_millis:0|g|#app:enrich,env:prod",
        ];
        assert_eq!(lines(&settings, &told, &now), all);
        settings.tags.clear();
        for (prefix, first) in [("acme.", "acme.raw:0|c"), ("", "raw:0|c"), ("a.b", "a.b.raw:0|c")]
        {
            settings.prefix = prefix.to_owned();
            let lines = lines(
                &settings,
                &now,
                &Figures { from_collector: None, in_stream: None, ..now.clone() },
            );
            assert_eq!((lines[0].as_str(), lines.len()), (first, 7));
        }
    }

    #[tokio::test]
    async fn a_server_hears_each_metric_in_a_datagram() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let to = server.local_addr().expect("it is bound").to_string();
        let metrics = Arc::new(Metrics::new());
        let statsd = Statsd::new(settings(to), Arc::clone(&metrics));
        for (good_bytes, expected) in [(&b"four"[..], 5), (b"", 0)] {
            let mut output = pipeline::Output::default();
            if !good_bytes.is_empty() {
                output.enriched.push_with(|out| out.extend_from_slice(good_bytes));
            }
            metrics.processed(&output, Duration::ZERO);
            statsd.report().await;
            let mut heard = Vec::new();
            for _ in 0..7 {
                let mut datagram = [0; 512];
                let length = server.recv(&mut datagram).await.expect("it was sent");
                heard.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
            }
            let line = format!("snowplow.enrich.good_bytes:{expected}|c|#app:enrich,env:prod");
            assert!(heard.contains(&line), "{heard:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_holds_nobody_up() {
        let metrics = Arc::new(Metrics::new());
        for to in ["127.0.0.1:1", "nowhere.invalid:8125"] {
            Statsd::new(settings(to.to_owned()), Arc::clone(&metrics)).report().await;
        }
    }
}
