//! A private Solana node: the real surfpool, with somebody who pays, and pays in every way.
//!
//! Its slots pass when something is sent, one for each transaction, and none is skipped. It makes no forks and
//! knows few of the errors of a validator; what needs those is tested with a server that was told what to say.

use crate::{Process, eventually, locate};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// A node starts in a second; a busy machine needs more.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// The node, and what pays, in one program for Node.
const PROGRAM: &str = include_str!("node.js");

/// A node of a private cluster. Clones are the same node; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct Surfnet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    process: Mutex<Process>,
    /// Holds what the process writes.
    _folder: TempDir,
    ready: Ready,
    client: reqwest::Client,
}

/// What the program says once it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    rpc: String,
    websocket: String,
    actions: String,
    payer: String,
}

/// A transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Landed {
    /// Its first signature.
    pub signature: String,
    /// The slot of its block.
    pub slot: u64,
    /// Why it failed; `null` when it did not.
    pub error: Value,
}

impl Surfnet {
    /// Starts a node and waits until it answers and has a few slots.
    pub async fn start() -> Result<Self> {
        let modules = locate::provided(
            "Node's libraries",
            "PAYWATCH_NODE_MODULES",
            "node/node_modules",
        )?;
        let folder = tempfile::Builder::new()
            .prefix("paywatch-surfpool-")
            .tempdir()?;
        let (program, ready) = (
            folder.path().join("node.js"),
            folder.path().join("ready.json"),
        );
        std::fs::write(&program, PROGRAM)?;
        let mut command = Command::new("node");
        command
            .arg(&program)
            .arg(&ready)
            .env("NODE_PATH", modules)
            .env("PAYWATCH_SURFPOOL", module()?)
            .current_dir(folder.path());
        let log = folder.path().join("output.log");
        let mut process = Process::spawn("surfpool", &mut command, &log)?;
        let text = eventually("surfpool to answer", READY_LIMIT, async || {
            if process.status()?.is_some() {
                return Ok(Some(None));
            }
            Ok(std::fs::read_to_string(&ready).ok().map(Some))
        });
        let Some(text) = text.await? else {
            process.expect_running()?;
            bail!("surfpool ended");
        };
        let ready = serde_json::from_str(&text).context("read what surfpool said")?;
        Ok(Self {
            inner: Arc::new(Inner {
                process: Mutex::new(process),
                _folder: folder,
                ready,
                client: locate::http_client()?,
            }),
        })
    }

    /// The address for JSON-RPC.
    pub fn url(&self) -> String {
        self.inner.ready.rpc.clone()
    }

    /// The address for JSON-RPC over WebSocket.
    pub fn websocket_url(&self) -> String {
        self.inner.ready.websocket.clone()
    }

    /// Who pays.
    pub fn payer(&self) -> &str {
        &self.inner.ready.payer
    }

    /// Calls a method of the node. An error holds the code and the message of the node.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut body = self.post(&self.inner.ready.rpc, &request).await?;
        match body.get("error") {
            None | Some(Value::Null) => Ok(body["result"].take()),
            Some(error) => bail!("{method}: {} (code {})", error["message"], error["code"]),
        }
    }

    /// The last slot that two thirds of the stake have voted for.
    pub async fn slot(&self) -> Result<u64> {
        let slot = self
            .rpc("getSlot", json!([{"commitment": "confirmed"}]))
            .await?;
        slot.as_u64().context("getSlot gives a number")
    }

    /// Somebody new, whose key the node keeps; their address.
    pub async fn person(&self) -> Result<String> {
        self.act("person", json!({})).await
    }

    /// Lets slots pass; the last one.
    pub async fn pass(&self, slots: u64) -> Result<u64> {
        self.act("pass", json!({ "slots": slots })).await
    }

    /// Pays lamports, whether that works or not.
    pub async fn pay(&self, to: &str, lamports: u64) -> Result<Landed> {
        self.act("pay", json!({ "to": to, "lamports": lamports }))
            .await
    }

    /// Makes a mint, of which the payer has plenty; its address.
    pub async fn mint(&self, decimals: u8) -> Result<String> {
        self.act("mint", json!({ "decimals": decimals })).await
    }

    /// The same with extensions, by their names in `node.js`.
    pub async fn mint_with(&self, decimals: u8, extensions: &[&str]) -> Result<String> {
        let work =
            json!({ "decimals": decimals, "program": "token_2022", "extensions": extensions });
        self.act("mint", work).await
    }

    /// Pays tokens; makes the account for them where it is missing.
    pub async fn send_tokens(&self, mint: &str, to: &str, amount: u64) -> Result<Landed> {
        let work = json!({ "mint": mint, "to": to, "amount": amount });
        self.act("send_tokens", work).await
    }

    /// Sends what was signed elsewhere, in base64.
    pub async fn submit(&self, transaction: &str) -> Result<Landed> {
        self.act("submit", json!({ "transaction": transaction }))
            .await
    }

    /// Carries out one of the actions of `node.js`, which says what each does.
    pub async fn act<T: for<'de> Deserialize<'de>>(&self, action: &str, work: Value) -> Result<T> {
        let mut request = work;
        request["action"] = json!(action);
        let mut reply = self.post(&self.inner.ready.actions, &request).await?;
        if let Some(error) = reply.get("error") {
            bail!("{action}: {error}");
        }
        let result = reply["result"].take();
        serde_json::from_value(result).with_context(|| format!("read the result of {action}"))
    }

    /// Kills the node with no warning. Its chain is gone with it.
    pub fn kill(&self) -> Result<()> {
        self.process().kill().map(drop)
    }

    async fn post(&self, url: &str, body: &Value) -> Result<Value> {
        let request = self.inner.client.post(url);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await;
        let answer = answer.with_context(|| format!("ask surfpool {body}"))?;
        let bytes = answer.bytes().await.context("read surfpool's answer")?;
        serde_json::from_slice(&bytes).context("surfpool answered without JSON")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        let process = &self.inner.process;
        process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The module that `cargo xtask setup` installs.
fn module() -> Result<PathBuf> {
    if let Some(given) = locate::variable("PAYWATCH_SURFPOOL") {
        return Ok(given);
    }
    let published = locate::cache()?.join("surfpool/node_modules/@solana");
    let packages = std::fs::read_dir(&published);
    let mut packages = packages.into_iter().flatten().flatten();
    let module = packages.next().map(|package| package.path());
    module.context("there is no surfpool; run: cargo xtask setup")
}
