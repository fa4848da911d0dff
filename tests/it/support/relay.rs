//! A cable between the watcher and its node that can be cut and mended.

use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Passes connections on to a node. While it is cut it takes none and breaks those there are.
#[derive(Debug)]
pub(crate) struct Relay {
    port: u16,
    target: String,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Relay {
    /// A relay on a free port to an address such as `http://127.0.0.1:18443`.
    pub(crate) async fn start(url: &str) -> Result<Self> {
        let target = url
            .strip_prefix("http://")
            .context("a node's address is http")?;
        let mut relay = Self {
            port: 0,
            target: target.to_owned(),
            tasks: Arc::default(),
        };
        relay.mend().await?;
        Ok(relay)
    }

    /// The address that stands for the node.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection; new ones are refused.
    pub(crate) async fn cut(&self) {
        let mut tasks = {
            let mut shared = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *shared)
        };
        tasks.shutdown().await;
    }

    /// Passes connections on again, at the same port.
    pub(crate) async fn mend(&mut self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .context("bind the relay")?;
        self.port = listener.local_addr()?.port();
        let (target, tasks) = (self.target.clone(), Arc::clone(&self.tasks));
        let accepting = async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                let passing = async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        // However it ends, both ends are closed then.
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                };
                let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.spawn(passing);
            }
        };
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(accepting);
        Ok(())
    }
}
