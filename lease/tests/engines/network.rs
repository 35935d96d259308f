//! A network between a client and DynamoDB that fails in the ways a network and a service do: it
//! refuses, throttles, cuts the line before the request or after it was carried out, and delivers
//! twice. What happens to the n-th request follows from the seed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// It is carried out and answered.
    Answered,
    /// `InternalServerError`, and nothing happened.
    Failed,
    /// `ProvisionedThroughputExceededException`.
    Throttled,
    /// `ThrottlingException`.
    Slowed,
    /// The connection ends before the request arrives.
    Lost,
    /// It is carried out, and the connection ends before the answer arrives.
    Unanswered,
    /// It is carried out twice, and the second answer arrives.
    Doubled,
    /// It is refused by this name.
    Refused(&'static str),
    /// It is carried out, and a table that is ready is said to be in this state.
    Table(&'static str),
}

const FAULTS: [Fate; 6] =
    [Fate::Failed, Fate::Throttled, Fate::Slowed, Fate::Lost, Fate::Unanswered, Fate::Doubled];

/// The network. It ends when it is dropped.
pub(crate) struct Network {
    pub(crate) address: SocketAddr,
    weather: Arc<Weather>,
    _lines: JoinSet<()>,
}

struct Weather {
    plan: Mutex<Plan>,
    met: Mutex<Vec<Fate>>,
}

/// What the requests meet with.
enum Plan {
    /// Of a hundred, so many meet with a fault.
    Faults(fastrand::Rng, u32),
    /// One after the other with these, and all that follow with the last.
    Listed(VecDeque<Fate>),
}

impl Weather {
    fn next(&self) -> Fate {
        let fate = match &mut *self.plan.lock().expect("nobody panics") {
            Plan::Faults(rng, faults) => match rng.u32(0..100) < *faults {
                true => FAULTS[rng.usize(0..FAULTS.len())],
                false => Fate::Answered,
            },
            Plan::Listed(fates) if fates.len() > 1 => fates.pop_front().expect("there are some"),
            Plan::Listed(fates) => *fates.front().expect("at least one is listed"),
        };
        self.met.lock().expect("nobody panics").push(fate);
        fate
    }
}

impl Network {
    /// A network in front of `back`.
    pub(crate) async fn start(back: SocketAddr, seed: u64, faults: u32) -> Network {
        Network::with(back, Plan::Faults(fastrand::Rng::with_seed(seed), faults)).await
    }

    /// One in which the requests meet with these fates, the last of them for ever.
    pub(crate) async fn listed(back: SocketAddr, fates: &[Fate]) -> Network {
        Network::with(back, Plan::Listed(fates.iter().copied().collect())).await
    }

    async fn with(back: SocketAddr, plan: Plan) -> Network {
        let front = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = front.local_addr().expect("the port is bound");
        let weather = Arc::new(Weather { plan: Mutex::new(plan), met: Mutex::default() });
        let mut lines = JoinSet::new();
        lines.spawn(serve(front, back, weather.clone()));
        Network { address, weather, _lines: lines }
    }

    /// How many requests met with each fate.
    pub(crate) fn met(&self, fate: Fate) -> usize {
        let met = self.weather.met.lock().expect("nobody panics");
        met.iter().filter(|met| **met == fate).count()
    }
}

async fn serve(front: TcpListener, back: SocketAddr, weather: Arc<Weather>) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = front.accept().await {
        // A line that breaks is what this is about.
        lines.spawn(line(client, back, weather.clone()));
        while lines.try_join_next().is_some() {}
    }
}

/// One connection of a client, with one of its own to the server.
async fn line(client: TcpStream, back: SocketAddr, weather: Arc<Weather>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(back).await?);
    while let Some(request) = message(&mut client).await? {
        let fate = weather.next();
        let refusal = match fate {
            Fate::Lost => return Ok(()),
            Fate::Failed => Some((500, "InternalServerError")),
            Fate::Throttled => Some((400, "ProvisionedThroughputExceededException")),
            Fate::Slowed => Some((400, "ThrottlingException")),
            Fate::Refused(name) => Some((400, name)),
            Fate::Answered | Fate::Unanswered | Fate::Doubled | Fate::Table(_) => None,
        };
        let answer = match refusal {
            Some((status, name)) => refuse(status, name),
            None => {
                if fate == Fate::Doubled {
                    carry(&mut server, &request).await?;
                }
                let answer = carry(&mut server, &request).await?;
                match fate {
                    Fate::Table(state) => restate(&answer, state),
                    _ => answer,
                }
            }
        };
        if fate == Fate::Unanswered {
            return Ok(());
        }
        client.get_mut().write_all(&answer).await?;
    }
    Ok(())
}

async fn carry(server: &mut BufReader<TcpStream>, request: &[u8]) -> std::io::Result<Vec<u8>> {
    server.get_mut().write_all(request).await?;
    message(server).await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// One request or answer, as it came; `None` at the end of the connection.
async fn message(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let (mut whole, mut length) = (Vec::new(), 0);
    loop {
        let start = whole.len();
        if from.read_until(b'\n', &mut whole).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&whole[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let head = whole.len();
    whole.resize(head + length, 0);
    from.read_exact(&mut whole[head..]).await?;
    Ok(Some(whole))
}

fn refuse(status: u16, name: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{name}","message":"by the weather"}}"#
    );
    answer(status, &text)
}

/// An answer in which a table that is ready is in another state.
fn restate(whole: &[u8], state: &str) -> Vec<u8> {
    let text = String::from_utf8(whole.to_vec()).expect("the server speaks JSON");
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => {
            answer(200, &body.replace("\"ACTIVE\"", &format!("{state:?}")))
        }
        _ => whole.to_vec(),
    }
}

fn answer(status: u16, text: &str) -> Vec<u8> {
    let length = text.len();
    format!(
        "HTTP/1.1 {status} Weather\r\ncontent-type: application/x-amz-json-1.0\r\n\
         content-length: {length}\r\n\r\n{text}"
    )
    .into_bytes()
}
