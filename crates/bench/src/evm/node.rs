//! A real node with contracts, transactions of every usual kind, and its answers as bytes.

use anyhow::{Context, Result, ensure};
use paywatch_domain::{BlockHash, BlockRef};
use paywatch_testkit::{Anvil, AnvilOptions, Argument, Contract};
use reqwest::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Account, text};

/// Blocks may be this large, in gas: far more than any is.
const GAS_LIMIT: &str = "--gas-limit=1000000000";
/// Wei that a payment brings.
pub(super) const WEI: u64 = 1_000;
/// Atomic units that a transfer of the token brings.
const UNITS: u128 = 5_000_000;

/// A node and who pays on it.
pub(super) struct Node {
    pub(super) anvil: Anvil,
    payer: String,
    token: Deployed,
    batch: Deployed,
}

struct Deployed {
    contract: Contract,
    address: String,
}

impl Node {
    /// Starts a node with a token and a contract that pays many at once.
    pub(super) async fn start() -> Result<Self> {
        let anvil = Anvil::start_with(AnvilOptions {
            arguments: vec![GAS_LIMIT.to_owned()],
            ..AnvilOptions::default()
        })
        .await?;
        let accounts = anvil.accounts().await?;
        Ok(Self {
            payer: accounts.into_iter().next().context("anvil has accounts")?,
            token: Deployed::on(&anvil, "Token").await?,
            batch: Deployed::on(&anvil, "BatchPayer").await?,
            anvil,
        })
    }

    /// The address of the token.
    pub(super) fn token(&self) -> &str {
        &self.token.address
    }

    /// Pays an account by a plain transaction.
    pub(super) async fn pay(&self, to: &Account) -> Result<()> {
        self.send(json!({"to": text(to), "value": format!("{WEI:#x}")}))
            .await
    }

    /// Pays accounts by one transaction of a contract, which no log tells of.
    pub(super) async fn pay_all(&self, to: &[Account]) -> Result<()> {
        let amounts = vec![u128::from(WEI); to.len()];
        let all: u128 = amounts.iter().sum();
        let arguments = [accounts(to), Argument::Numbers(amounts)];
        self.call(&self.batch, "pay", &arguments, all).await
    }

    /// Sends the token to an account: one log.
    pub(super) async fn mint(&self, to: &Account) -> Result<()> {
        let arguments = [Argument::Account(text(to)), Argument::Number(UNITS)];
        self.call(&self.token, "mint", &arguments, 0).await
    }

    /// Sends the token to accounts in one transaction: a log for each.
    pub(super) async fn mint_all(&self, to: &[Account]) -> Result<()> {
        let arguments = [accounts(to), Argument::Number(UNITS)];
        self.call(&self.token, "mintAll", &arguments, 0).await
    }

    /// Puts everything that was sent into a block.
    pub(super) async fn mine(&self) -> Result<BlockRef> {
        self.anvil.mine(1).await?;
        self.tip().await
    }

    /// The last block.
    pub(super) async fn tip(&self) -> Result<BlockRef> {
        let height = self.anvil.height().await?;
        let hash = BlockHash::new(&self.anvil.hash_at(height).await?);
        Ok(BlockRef { height, hash })
    }

    async fn call(
        &self,
        to: &Deployed,
        method: &str,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<()> {
        let data = to.contract.call(method, arguments)?;
        let value = format!("{wei:#x}");
        self.send(json!({"to": to.address, "data": data, "value": value}))
            .await
    }

    async fn send(&self, mut transaction: Value) -> Result<()> {
        transaction["from"] = json!(self.payer);
        self.anvil.send(transaction).await.map(drop)
    }
}

impl Deployed {
    async fn on(anvil: &Anvil, name: &str) -> Result<Self> {
        let contract = Contract::named(name).await?;
        let address = anvil.deploy(&contract, &[], 0).await?;
        Ok(Self { contract, address })
    }
}

fn accounts(to: &[Account]) -> Argument {
    Argument::Accounts(to.iter().map(text).collect())
}

/// Everything that a proof of a block needs, in one request, as the watcher asks for it.
pub(super) fn calls(block: &BlockRef) -> [(&'static str, Value); 3] {
    let hash = block.hash.as_str();
    [
        ("eth_getBlockByHash", json!([hash, true])),
        ("eth_getBlockReceipts", json!([{ "blockHash": hash }])),
        ("trace_block", json!([format!("{:#x}", block.height)])),
    ]
}

/// Asks in one request; gives the bytes of the answer.
pub(super) async fn ask(client: &Client, url: &str, calls: &[(&str, Value)]) -> Result<Vec<u8>> {
    let requests = (1..).zip(calls).map(|(id, (method, params))| {
        let id: u32 = id;
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    });
    let body = Value::Array(requests.collect()).to_string();
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let answer = answer.send().await?.error_for_status()?;
    Ok(answer.bytes().await?.to_vec())
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// The results in an answer to [`calls`].
pub(super) fn results(answer: &[u8]) -> Result<[&[u8]; 3]> {
    let answers: Vec<Answer<'_>> = serde_json::from_slice(answer).context("read an answer")?;
    let results: Vec<&[u8]> = answers
        .into_iter()
        .filter_map(|answer| Some(answer.result?.get().as_bytes()))
        .collect();
    ensure!(results.len() == 3, "an error among the answers");
    <[&[u8]; 3]>::try_from(results).map_err(|_| anyhow::anyhow!("three results"))
}
