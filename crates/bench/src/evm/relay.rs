//! Stands between a program and its node, and counts what it asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How a request over HTTP begins, and what each call in it has.
const REQUEST: &[u8] = b"POST /";
const CALL: &[u8] = b"\"method\":";

/// A relay on a free port; it ends when it is dropped.
pub(super) struct Relay {
    port: u16,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU32,
    calls: AtomicU32,
}

impl Relay {
    /// A relay to an address such as `http://127.0.0.1:8545`.
    pub(super) async fn start(url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://");
        let target = target.context("a node's address is http")?.to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, counts) = (target.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    // A connection that breaks is made again by whoever asks.
                    let _ended = pass_on(near, &target, &counts).await;
                });
            }
        });
        Ok(Self {
            port,
            counts,
            accepting,
        })
    }

    /// The address that stands for the node.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests and how many calls passed.
    pub(super) fn counts(&self) -> (u32, u32) {
        let Counts { requests, calls } = &*self.counts;
        (
            requests.load(Ordering::Relaxed),
            calls.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(near: TcpStream, target: &str, counts: &Counts) -> std::io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut answers, asked) = far.into_split();
    let (asking, mut answered) = near.into_split();
    let back = async move {
        tokio::io::copy(&mut answers, &mut answered).await?;
        answered.shutdown().await
    };
    let (there, back) = tokio::join!(count(asking, asked, counts), back);
    there.and(back)
}

async fn count(
    mut asking: OwnedReadHalf,
    mut asked: OwnedWriteHalf,
    counts: &Counts,
) -> std::io::Result<()> {
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        if asking.read_buf(&mut seen).await? == 0 {
            return asked.shutdown().await;
        }
        asked
            .write_all(seen.get(before..).unwrap_or_default())
            .await?;
        counts
            .requests
            .fetch_add(found(&seen, REQUEST), Ordering::Relaxed);
        counts
            .calls
            .fetch_add(found(&seen, CALL), Ordering::Relaxed);
        // What was cut in the middle is found with the next bytes; nothing is found twice.
        let kept = REQUEST.len().max(CALL.len()).saturating_sub(1);
        seen.drain(..seen.len().saturating_sub(kept));
    }
}

fn found(bytes: &[u8], wanted: &[u8]) -> u32 {
    let places = bytes.windows(wanted.len());
    let count = places.filter(|place| *place == wanted).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
