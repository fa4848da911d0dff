//! A private EVM node: the real anvil, whose accounts pay without keys, with helpers to mine and to
//! reorganise.

use crate::contracts::{Argument, Contract};
use crate::node::{self, Node};
use crate::{eventually, free_port, locate};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long a transaction may take to have a receipt.
const RECEIPT_LIMIT: Duration = Duration::from_mins(1);
/// Enough for whatever tests send. Estimates would refuse a transaction that is to fail.
const GAS: u64 = 2_000_000;

/// What kind of node is started.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// The number of its chain.
    pub chain_id: u64,
    /// Seconds between two blocks; `None` for blocks on demand, see [`Anvil::mine`].
    pub block_seconds: Option<u64>,
    /// The tag `safe` is this many blocks behind the tip, `finalized` twice as many.
    pub slots_in_epoch: u64,
    /// Further arguments, such as `--hardfork=prague`.
    pub arguments: Vec<String>,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            chain_id: 31_337,
            block_seconds: None,
            slots_in_epoch: 32,
            arguments: Vec::new(),
        }
    }
}

/// A node of a private chain. Clones are the same node; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct Anvil {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Node,
    program: PathBuf,
    options: AnvilOptions,
    port: u16,
    client: reqwest::Client,
}

impl Anvil {
    /// Starts a node that makes blocks on demand, and waits until it answers.
    pub async fn start() -> Result<Self> {
        Self::start_with(AnvilOptions::default()).await
    }

    /// Starts a node with other options.
    pub async fn start_with(options: AnvilOptions) -> Result<Self> {
        let program = program()?;
        let make = || {
            let inner = Inner {
                node: Node::new("anvil")?,
                program: program.clone(),
                options: options.clone(),
                port: free_port()?,
                client: locate::http_client()?,
            };
            let inner = Arc::new(inner);
            Ok(Self { inner })
        };
        node::started(make, Self::launch).await
    }

    /// The address for JSON-RPC: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner.port)
    }

    /// The number of its chain.
    pub fn chain_id(&self) -> u64 {
        self.inner.options.chain_id
    }

    /// The address for JSON-RPC over WebSocket.
    pub fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.inner.port)
    }

    /// The process id, while the node runs.
    pub fn process_id(&self) -> Option<u32> {
        self.inner.node.process_id()
    }

    /// Calls a method of the node. An error holds the code and the message of the node.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self
            .inner
            .client
            .post(self.url())
            .header("content-type", "application/json")
            .body(request.to_string())
            .send()
            .await
            .with_context(|| format!("call {method}"))?;
        let bytes = answer
            .bytes()
            .await
            .with_context(|| format!("read the answer of {method}"))?;
        let mut body: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{method} answered without JSON"))?;
        match body.get("error") {
            None | Some(Value::Null) => Ok(body["result"].take()),
            Some(error) => bail!("{method}: {} (code {})", error["message"], error["code"]),
        }
    }

    /// Makes blocks; the first one holds everything that was sent.
    pub async fn mine(&self, count: u64) -> Result<()> {
        self.rpc("anvil_mine", json!([quantity(count.into())]))
            .await
            .map(drop)
    }

    /// The height of the tip.
    pub async fn height(&self) -> Result<u64> {
        number(&self.rpc("eth_blockNumber", json!([])).await?)
    }

    /// The hash at a height.
    pub async fn hash_at(&self, height: u64) -> Result<String> {
        let params = json!([quantity(height.into()), false]);
        text(&self.rpc("eth_getBlockByNumber", params).await?["hash"])
    }

    /// What an account has, in wei.
    pub async fn balance(&self, account: &str) -> Result<u128> {
        let balance = self.rpc("eth_getBalance", json!([account, "latest"]));
        let balance = text(&balance.await?)?;
        u128::from_str_radix(balance.trim_start_matches("0x"), 16).context("read a balance")
    }

    /// The accounts that pay without keys. Unless a transaction names another, the first one pays.
    pub async fn accounts(&self) -> Result<Vec<String>> {
        let accounts = self.rpc("eth_accounts", json!([])).await?;
        let accounts = accounts.as_array().context("eth_accounts gives a list")?;
        accounts.iter().map(text).collect()
    }

    /// Sends a transaction, given as the node takes it; gives its hash.
    pub async fn send(&self, mut transaction: Value) -> Result<String> {
        if transaction["from"].is_null() {
            transaction["from"] = json!(self.accounts().await?[0]);
        }
        if transaction["gas"].is_null() {
            transaction["gas"] = json!(quantity(GAS.into()));
        }
        text(
            &self
                .rpc("eth_sendTransaction", json!([transaction]))
                .await?,
        )
    }

    /// Pays wei to an account; gives the hash of the transaction.
    pub async fn pay(&self, to: &str, wei: u128) -> Result<String> {
        self.send(json!({"to": to, "value": quantity(wei)})).await
    }

    /// Puts a contract onto the chain, in a block of its own; gives its address.
    pub async fn deploy(
        &self,
        contract: &Contract,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<String> {
        let code = contract.creation(arguments);
        let sent = self.send(json!({"data": code, "value": quantity(wei)}));
        let receipt = self.receipt(&sent.await?).await?;
        if receipt["status"] != "0x1" {
            bail!("the contract was not created: {receipt}");
        }
        text(&receipt["contractAddress"])
    }

    /// Calls a method of a contract in a transaction, with wei; gives the hash of the transaction.
    pub async fn call(
        &self,
        (contract, address): (&Contract, &str),
        method: &str,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<String> {
        let data = contract.call(method, arguments)?;
        self.send(json!({"to": address, "data": data, "value": quantity(wei)}))
            .await
    }

    /// Mines until a transaction has a receipt, and gives that.
    async fn receipt(&self, transaction: &str) -> Result<Value> {
        eventually("a receipt", RECEIPT_LIMIT, async || {
            if self.inner.options.block_seconds.is_none() {
                self.mine(1).await?;
            }
            let receipt = self.rpc("eth_getTransactionReceipt", json!([transaction]));
            Ok(Some(receipt.await?).filter(|receipt| !receipt.is_null()))
        })
        .await
    }

    /// Replaces the last blocks by as many others, which hold nothing. What was in them is not sent
    /// again.
    pub async fn reorg(&self, depth: u64) -> Result<()> {
        self.rpc("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Remembers the state of the chain; gives the name of what is remembered.
    pub async fn snapshot(&self) -> Result<String> {
        text(&self.rpc("evm_snapshot", json!([])).await?)
    }

    /// Goes back to a remembered state: the chain is shorter then, and the name is used up.
    pub async fn revert(&self, snapshot: &str) -> Result<()> {
        let done = self.rpc("evm_revert", json!([snapshot])).await?;
        if done == json!(true) {
            return Ok(());
        }
        bail!("there is no snapshot {snapshot}")
    }

    /// Kills the node with no warning. Its chain is gone with it.
    pub fn kill(&self) -> Result<()> {
        self.inner.node.kill()
    }

    /// Asks the node to end and waits for it; it writes its chain to its folder. Nothing happens when
    /// it does not run.
    pub async fn stop(&self) -> Result<()> {
        self.inner.node.stop().await
    }

    /// Stops the node if it runs and starts it again on the same port, with the chain that it wrote
    /// when it was stopped.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    async fn launch(&self) -> Result<()> {
        let options = &self.inner.options;
        let folder = self.inner.node.folder();
        let mut command = Command::new(&self.inner.program);
        command
            .arg(format!("--port={}", self.inner.port))
            .arg(format!("--chain-id={}", options.chain_id))
            .arg(format!("--slots-in-an-epoch={}", options.slots_in_epoch))
            .arg(format!("--state={}", folder.join("chain.json").display()))
            .args(["--preserve-historical-states", "--order=fifo"])
            .args(&options.arguments);
        match options.block_seconds {
            Some(seconds) => command.arg(format!("--block-time={seconds}")),
            None => command.arg("--no-mining"),
        };
        let answers = async || self.height().await.map(drop);
        self.inner.node.launch(&mut command, answers).await
    }
}

/// The node that `cargo xtask setup` found or installed.
fn program() -> Result<PathBuf> {
    if let Some(given) = locate::variable("ANVIL_EXE") {
        return Ok(given);
    }
    if let Some(found) = locate::on_path("anvil") {
        return Ok(found);
    }
    let published = locate::cache()?.join("anvil/node_modules/@foundry-rs");
    let packages = std::fs::read_dir(&published)
        .into_iter()
        .flatten()
        .flatten();
    packages
        .map(|package| package.path().join("bin/anvil"))
        .find(|program| program.is_file())
        .context("there is no anvil; run: cargo xtask setup")
}

/// A number as nodes take it.
fn quantity(number: u128) -> String {
    format!("{number:#x}")
}

fn number(value: &Value) -> Result<u64> {
    let digits = text(value)?;
    u64::from_str_radix(digits.trim_start_matches("0x"), 16)
        .with_context(|| format!("{digits} is not a number"))
}

fn text(value: &Value) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("{value} is not a string"))
}
