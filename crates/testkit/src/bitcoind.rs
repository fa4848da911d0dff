//! A private regtest node: the real bitcoind, with helpers to mine and to reorganise.

use crate::node::{self, Node};
use crate::{free_port, locate};
use anyhow::{Context, Result, bail};
use bitcoin::hashes::Hash;
use bitcoin::{Address, Network, ScriptBuf, WPubkeyHash};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A block hash in the order in which people write it: hexadecimal, leading zeros first.
pub type BlockHash = String;

/// The RPC user of every node.
pub const NODE_USER: &str = "paywatch";
/// The password of that user.
pub const NODE_PASSWORD: &str = "regtest-password-4d1f7c";

/// Options of every node. Nothing leaves the machine, and there is no wallet to need a fee.
const OPTIONS: &[&str] = &[
    "-regtest",
    "-server=1",
    "-rest=1",
    "-txindex=0",
    "-listen=0",
    "-dnsseed=0",
    "-fixedseeds=0",
    "-discover=0",
    "-natpmp=0",
    "-printtoconsole=1",
    "-debuglogfile=0",
    "-rpcworkqueue=256",
    "-rpcthreads=8",
    "-dbcache=16",
    "-par=1",
];

/// A regtest node. Clones are the same node; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct Bitcoind {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Node,
    program: PathBuf,
    arguments: Vec<String>,
    rpc_port: u16,
    client: reqwest::Client,
    /// Makes each throw-away address a new one, see [`Bitcoind::fresh_address`].
    fresh: AtomicU64,
}

impl Bitcoind {
    /// Starts a node on an empty chain and waits until it answers.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a node with further options, such as `-prune=1`.
    pub async fn start_with(arguments: &[&str]) -> Result<Self> {
        let program = program()?;
        let own = |argument: &&str| (*argument).to_owned();
        let make = || {
            let inner = Inner {
                node: Node::new("bitcoind")?,
                program: program.clone(),
                arguments: arguments.iter().map(own).collect(),
                rpc_port: free_port()?,
                client: locate::http_client()?,
                fresh: AtomicU64::new(0),
            };
            let inner = Arc::new(inner);
            Ok(Self { inner })
        };
        node::started(make, Self::launch).await
    }

    /// The base address for RPC and REST: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner.rpc_port)
    }

    /// The RPC user.
    pub fn user(&self) -> &'static str {
        NODE_USER
    }

    /// The RPC password.
    pub fn password(&self) -> &'static str {
        NODE_PASSWORD
    }

    /// The folder with the node's data.
    pub fn folder(&self) -> &Path {
        self.inner.node.folder()
    }

    /// The process id, while the node runs.
    pub fn process_id(&self) -> Option<u32> {
        self.inner.node.process_id()
    }

    /// Calls a method of the node. An error holds the code and the message of the node.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let request =
            json!({"jsonrpc": "2.0", "id": "testkit", "method": method, "params": params});
        let answer = self
            .inner
            .client
            .post(self.url())
            .basic_auth(NODE_USER, Some(NODE_PASSWORD))
            .header("content-type", "application/json")
            .body(request.to_string())
            .send()
            .await
            .with_context(|| format!("call {method}"))?;
        let status = answer.status();
        let bytes = answer
            .bytes()
            .await
            .with_context(|| format!("read the answer of {method}"))?;
        let mut body: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{method} answered {status} without JSON"))?;
        match body.get("error") {
            None | Some(Value::Null) => Ok(body["result"].take()),
            Some(error) => bail!("{method}: {} (code {})", error["message"], error["code"]),
        }
    }

    /// Mines blocks with everything that is in the mempool, to throw-away addresses.
    pub async fn mine(&self, count: u32) -> Result<Vec<BlockHash>> {
        self.mine_to(&self.fresh_address()?, count).await
    }

    /// Mines blocks with everything that is in the mempool; their subsidy goes to `address`.
    pub async fn mine_to(&self, address: &str, count: u32) -> Result<Vec<BlockHash>> {
        strings(
            &self
                .rpc("generatetoaddress", json!([count, address]))
                .await?,
        )
    }

    /// Mines blocks that hold nothing, and leaves the mempool as it is.
    pub async fn mine_empty(&self, count: u32) -> Result<Vec<BlockHash>> {
        let mut hashes = Vec::new();
        for _ in 0..count {
            hashes.push(self.mine_with(&[]).await?);
        }
        Ok(hashes)
    }

    /// Mines one block with exactly these transactions, in this order: ids of the mempool or whole
    /// transactions in hexadecimal.
    pub async fn mine_with(&self, transactions: &[String]) -> Result<BlockHash> {
        let address = self.fresh_address()?;
        let answer = self
            .rpc("generateblock", json!([address, transactions]))
            .await?;
        string(&answer["hash"])
    }

    /// Makes the node refuse a block and all that follow it, as if a better branch had won. The
    /// transactions go back to the mempool.
    pub async fn invalidate(&self, hash: &str) -> Result<()> {
        self.rpc("invalidateblock", json!([hash])).await.map(|_| ())
    }

    /// Takes back [`Bitcoind::invalidate`]. The branch wins again if it has more work.
    pub async fn reconsider(&self, hash: &str) -> Result<()> {
        self.rpc("reconsiderblock", json!([hash])).await.map(|_| ())
    }

    /// Removes the last `depth` blocks; gives the hash of the lowest of them.
    pub async fn invalidate_last(&self, depth: u32) -> Result<BlockHash> {
        let height = self.height().await?;
        let lowest = height
            .checked_sub(u64::from(depth))
            .context("more blocks than there are")?
            + 1;
        let hash = self.hash_at(lowest).await?;
        self.invalidate(&hash).await?;
        Ok(hash)
    }

    /// The height of the tip; the genesis block has height 0.
    pub async fn height(&self) -> Result<u64> {
        let answer = self.rpc("getblockcount", json!([])).await?;
        answer.as_u64().context("getblockcount answers a number")
    }

    /// The hash of the tip.
    pub async fn best_hash(&self) -> Result<BlockHash> {
        string(&self.rpc("getbestblockhash", json!([])).await?)
    }

    /// The hash at a height of the best chain.
    pub async fn hash_at(&self, height: u64) -> Result<BlockHash> {
        string(&self.rpc("getblockhash", json!([height])).await?)
    }

    /// The ids of the transactions in the mempool.
    pub async fn mempool(&self) -> Result<Vec<String>> {
        strings(&self.rpc("getrawmempool", json!([])).await?)
    }

    /// How often a transaction of the best chain is confirmed; 0 in the mempool. An error when the
    /// node does not know it. `block` is the block that holds it, which a node without an index of
    /// transactions must be told.
    pub async fn confirmations(&self, txid: &str, block: Option<&str>) -> Result<u64> {
        let answer = self
            .rpc("getrawtransaction", json!([txid, 1, block]))
            .await?;
        Ok(answer["confirmations"].as_u64().unwrap_or(0))
    }

    /// An address of nobody, a new one at each call. Blocks that are mined again after an
    /// invalidation pay another address, else they could be the very block that was refused.
    pub fn fresh_address(&self) -> Result<String> {
        let number = self.inner.fresh.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0x77; 20];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        let script = ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(bytes));
        Ok(Address::from_script(&script, Network::Regtest)?.to_string())
    }

    /// Kills the node with no warning, as a power cut does.
    pub fn kill(&self) -> Result<()> {
        self.inner.node.kill()
    }

    /// Asks the node to end and waits for it. Nothing happens when it does not run. A node waits
    /// for idle connections of its clients, which can take half a minute; [`Bitcoind::kill`] is
    /// quick.
    pub async fn stop(&self) -> Result<()> {
        self.inner.node.stop().await
    }

    /// Stops the node if it runs and starts it again: same folder, same port.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    async fn launch(&self) -> Result<()> {
        let mut command = Command::new(&self.inner.program);
        command
            .args(OPTIONS)
            .arg(format!("-datadir={}", self.folder().display()))
            .arg(format!("-rpcport={}", self.inner.rpc_port))
            .arg(format!("-rpcuser={NODE_USER}"))
            .arg(format!("-rpcpassword={NODE_PASSWORD}"))
            .args(&self.inner.arguments);
        let answers = async || self.height().await.map(drop);
        self.inner.node.launch(&mut command, answers).await
    }
}

/// The node that `cargo xtask setup` found or built.
fn program() -> Result<PathBuf> {
    if let Some(given) = locate::variable("BITCOIND_EXE") {
        return Ok(given);
    }
    let built = locate::cache()?.join("bitcoind-31/bitcoind");
    if built.is_file() {
        return Ok(built);
    }
    locate::on_path("bitcoind").context("there is no bitcoind; run: cargo xtask setup")
}

fn string(value: &Value) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("{value} is not a string"))
}

fn strings(value: &Value) -> Result<Vec<String>> {
    value
        .as_array()
        .with_context(|| format!("{value} is not a list"))?
        .iter()
        .map(string)
        .collect()
}
