//! A line to a server that can go dead: connections stay open, and nothing passes any more.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A line to a port of this host.
pub struct Line {
    /// Where it is taken up.
    pub port: u16,
    dead: watch::Sender<bool>,
    _carriers: JoinSet<()>,
}

impl Line {
    /// A line that carries.
    pub async fn to(port: u16) -> Result<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let taken_up = listener.local_addr()?.port();
        let (dead, is_dead) = watch::channel(false);
        let mut carriers = JoinSet::new();
        carriers.spawn(async move {
            let mut calls = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let is_dead = is_dead.clone();
                calls.spawn(async move {
                    let _ = call(near, SocketAddr::from(([127, 0, 0, 1], port)), is_dead).await;
                });
            }
        });
        Ok(Line { port: taken_up, dead, _carriers: carriers })
    }

    /// Swallows everything from here on, or carries again, calls under way included.
    pub fn set_dead(&self, dead: bool) {
        self.dead.send_replace(dead);
    }
}

async fn call(near: TcpStream, far: SocketAddr, is_dead: watch::Receiver<bool>) -> Result<()> {
    let far = TcpStream::connect(far).await?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        _ = carry(near_read, far_write, is_dead.clone()) => {}
        _ = carry(far_read, near_write, is_dead) => {}
    }
    Ok(())
}

async fn carry(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    is_dead: watch::Receiver<bool>,
) -> Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            _ if *is_dead.borrow() => {}
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}
