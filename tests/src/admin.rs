//! The smallest client of a worker's admin port: one GET on a fresh connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A status code and a body.
#[derive(Debug)]
pub struct Answer {
    /// 200, 503 …
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

/// Asks for `path`.
pub async fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    let asked = ask(address, path, "*/*");
    tokio::time::timeout(ANSWER_WITHIN, asked).await.context("no answer in time")?
}

/// Asks for `path` as a browser does.
pub async fn browse(address: SocketAddr, path: &str) -> Result<Answer> {
    let asked = ask(address, path, "text/html,*/*;q=0.8");
    tokio::time::timeout(ANSWER_WITHIN, asked).await.context("no answer in time")?
}

async fn ask(address: SocketAddr, path: &str, accept: &str) -> Result<Answer> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("no HTTP: {answer:?}") };
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The sum of all samples of a metric, over its labels; `None` where there is no such metric.
pub fn metric(page: &str, name: &str) -> Option<f64> {
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next())??.parse::<f64>().ok()
    });
    samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
}

#[cfg(test)]
mod tests {
    use super::metric;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let page = "# TYPE a counter\na{shard=\"1\"} 2\na{shard=\"2\"} 3.5\nab 7\nb 1\n";
        assert_eq!(metric(page, "a"), Some(5.5));
        assert_eq!(metric(page, "b"), Some(1.0));
        assert_eq!(metric(page, "c"), None);
    }
}
