//! Connections that each send one request after the other, with as little work as there can be: the client
//! must not be what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// The bytes of a request.
pub(super) fn request(method: &str, path: &str, key: &str, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\n{header}content-length: {length}\r\n\r\n{body}"
    );
    text.into_bytes()
}

/// One request on a connection of its own.
pub(super) async fn once(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut connection = Connection::to(address).await?;
    connection.ask(request).await
}

/// Several connections.
pub(super) struct Crowd(Vec<Connection>);

impl Crowd {
    pub(super) async fn at(address: SocketAddr, count: usize) -> Result<Self> {
        let connections = (0..count).map(|_| Connection::to(address));
        Ok(Self(try_join_all(connections).await?))
    }

    /// Sends so many requests, as many at a time as there are connections; how long each took. All of them must
    /// be answered with this status.
    pub(super) async fn ask(
        self,
        count: u32,
        request: impl Fn(u32) -> Vec<u8>,
        status: u16,
    ) -> Result<Vec<Duration>> {
        let requests: Arc<[Vec<u8>]> = (0..count).map(request).collect();
        let next = Arc::new(AtomicU32::new(0));
        let tasks = self.0.into_iter().map(|mut connection| {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let number = usize::try_from(next.fetch_add(1, Ordering::Relaxed))?;
                    let Some(request) = requests.get(number) else {
                        return anyhow::Ok(took);
                    };
                    let began = Instant::now();
                    let answer = connection.ask(request).await?;
                    took.push(began.elapsed());
                    let text = String::from_utf8_lossy(&answer.body);
                    ensure!(answer.status == status, "{}: {text}", answer.status);
                }
            })
        });
        let mut all = Vec::new();
        for took in try_join_all(tasks).await? {
            all.extend(took?);
        }
        Ok(all)
    }
}

struct Connection {
    stream: TcpStream,
    /// What was read and not used.
    buffer: Vec<u8>,
}

impl Connection {
    async fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let head_end = loop {
            match self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at.saturating_add(4),
                None => self.read_more().await?,
            }
        };
        let head: Vec<u8> = self.buffer.drain(..head_end).collect();
        let head = String::from_utf8(head)?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("a length")?.trim().parse()?;
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        let body = self.buffer.drain(..length).collect();
        Ok(Answer { status, body })
    }

    async fn read_more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read != 0, "the server closed the connection");
        Ok(())
    }
}
