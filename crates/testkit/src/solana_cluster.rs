//! A server that speaks as a validator does, of a Solana cluster that a test makes up: forks, skipped slots and
//! errors, which no real node can be made to show.

use anyhow::Result;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An answer that stands in for the right one: a result, or an error by its number.
pub type SolanaTold = std::result::Result<Value, i64>;
/// Changes the answers to some requests: by method and parameters.
type Lie = Box<dyn Fn(&str, &Value) -> Option<SolanaTold> + Send>;

/// The slot of the first block.
const FIRST_SLOT: u64 = 100;
/// When slot 0 was, in seconds, until a test says otherwise.
const BEGAN_S: u64 = 1_700_000_000;
/// The request is wrong.
const INVALID_PARAMS: i64 = -32602;
/// There is no such method.
const UNKNOWN_METHOD: i64 = -32601;

/// A made-up cluster; its server is gone when it is dropped.
#[derive(Debug)]
pub struct SolanaCluster {
    url: String,
    state: Arc<Mutex<ClusterState>>,
    server: JoinHandle<std::io::Result<()>>,
}

/// What the server knows.
#[derive(Default)]
pub struct ClusterState {
    blocks: BTreeMap<u64, Value>,
    /// Slots that lists leave out.
    pub unlisted: BTreeSet<u64>,
    /// The last slot of each commitment.
    pub confirmed: u64,
    /// As above.
    pub finalized: u64,
    /// The lowest block that it still has.
    pub first: u64,
    /// When slot 0 was, in seconds.
    pub began_s: u64,
    /// The accounts of tokens that an owner has.
    pub token_accounts: BTreeMap<String, Vec<String>>,
    lie: Option<Lie>,
    /// Methods that were asked for, with the first parameter.
    asked: Vec<String>,
}

impl std::fmt::Debug for ClusterState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterState").finish_non_exhaustive()
    }
}

impl SolanaCluster {
    /// Starts a server for a cluster whose blocks begin at slot 100, see [`Self::set`].
    pub async fn start(slots: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(ClusterState {
            began_s: BEGAN_S,
            ..ClusterState::default()
        }));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { reply(&shared, request).await.to_string() }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let cluster = Self { url, state, server };
        cluster.set(slots);
        Ok(cluster)
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, ClusterState> {
        lock(&self.state)
    }

    /// Makes these the slots from 100 on: a letter is a block with this hash, a hyphen a slot that was
    /// skipped. The last block is the last confirmed one, and the first the last finalized one.
    pub fn set(&self, slots: &str) {
        self.set_filled(slots, &[]);
    }

    /// The same with transactions in the blocks of some slots, from one moment to the next.
    pub fn set_filled(&self, slots: &str, filled: &[(u64, Value)]) {
        let mut state = self.state();
        state.blocks.clear();
        let mut parent = (FIRST_SLOT - 1, "z".to_owned());
        for (slot, letter) in (FIRST_SLOT..).zip(slots.chars()) {
            if letter == '-' {
                continue;
            }
            let transactions = filled.iter().find(|(filled, _)| *filled == slot);
            let block = json!({
                "blockhash": letter.to_string(),
                "previousBlockhash": parent.1,
                "parentSlot": parent.0,
                "blockTime": state.began_s + slot,
                "blockHeight": 7,
                "transactions": transactions.map_or(json!([]), |(_, transactions)| transactions.clone()),
            });
            state.blocks.insert(slot, block);
            parent = (slot, letter.to_string());
        }
        state.confirmed = parent.0;
        state.finalized = FIRST_SLOT;
        state.first = FIRST_SLOT;
    }

    /// Puts transactions into the block of a slot.
    pub fn fill(&self, slot: u64, transactions: Value) {
        if let Some(block) = self.state().blocks.get_mut(&slot) {
            block["transactions"] = transactions;
        }
    }

    /// Changes answers from now on.
    pub fn lie(&self, lie: impl Fn(&str, &Value) -> Option<SolanaTold> + Send + 'static) {
        self.state().lie = Some(Box::new(lie));
    }

    /// Says nothing but the truth again.
    pub fn be_honest(&self) {
        self.state().lie = None;
    }

    /// What was asked since this was last asked.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }
}

impl Drop for SolanaCluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<ClusterState>) -> MutexGuard<'_, ClusterState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn reply(state: &Mutex<ClusterState>, request: Request) -> Value {
    let body = to_bytes(request.into_body(), usize::MAX).await;
    let body = body.unwrap_or_default();
    let call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = call["method"].as_str().unwrap_or_default();
    let mut reply = json!({"jsonrpc": "2.0", "id": call["id"]});
    match lock(state).answer(method, &call["params"]) {
        Ok(result) => reply["result"] = result,
        Err(-32005) => {
            let message = "Node is behind by 42 slots";
            reply["error"] = json!({"code": -32005, "message": message});
        }
        Err(code) => reply["error"] = json!({"code": code, "message": "words"}),
    }
    reply
}

impl ClusterState {
    fn answer(&mut self, method: &str, params: &Value) -> SolanaTold {
        self.asked.push(format!("{method} {}", params[0]));
        if let Some(told) = self.lie.as_ref().and_then(|lie| lie(method, params)) {
            return told;
        }
        let number = |place: usize| params[place].as_u64().ok_or(INVALID_PARAMS);
        Ok(match method {
            "getVersion" => json!({"solana-core": "4.1.2", "feature-set": 1}),
            "getGenesisHash" => json!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"),
            "getHealth" => json!("ok"),
            "getFirstAvailableBlock" => json!(self.first),
            "getSlot" => match params[0]["commitment"].as_str() {
                Some("confirmed") => json!(self.confirmed),
                Some("finalized") => json!(self.finalized),
                _ => return Err(INVALID_PARAMS),
            },
            "getBlock" => self.block(number(0)?, &params[1])?,
            "getBlocks" => self.listed(number(0)?, number(1)?, usize::MAX),
            "getBlocksWithLimit" => {
                let most = usize::try_from(number(1)?).map_err(|_| INVALID_PARAMS)?;
                self.listed(number(0)?, u64::MAX, most)
            }
            "getSignaturesForAddress" => self.signatures(&params[0], &params[1]),
            "getTokenAccountsByOwner" => self.held(&params[0], &params[1]),
            _ => return Err(UNKNOWN_METHOD),
        })
    }

    fn block(&self, slot: u64, options: &Value) -> SolanaTold {
        if options["commitment"] != "confirmed" {
            return Err(INVALID_PARAMS);
        }
        if slot < self.first {
            return Err(-32001);
        }
        if self.confirmed < slot {
            return Err(-32004);
        }
        let mut block = self.blocks.get(&slot).cloned().ok_or(-32007)?;
        // One transaction of a version that was not asked for, and none of the block is given.
        let highest = options["maxSupportedTransactionVersion"].as_u64();
        let mut versions = block["transactions"].as_array().into_iter().flatten();
        if versions.any(|one| highest < one["version"].as_u64()) {
            return Err(-32015);
        }
        match options["transactionDetails"].as_str() {
            Some("none") => drop(block["transactions"].take()),
            Some("accounts") => {}
            _ => return Err(INVALID_PARAMS),
        }
        Ok(block)
    }

    fn listed(&self, from: u64, to: u64, most: usize) -> Value {
        let from = from.max(self.first);
        let to = to.min(self.confirmed);
        let slots = self.blocks.keys().copied();
        let slots =
            slots.filter(|slot| (from..=to).contains(slot) && !self.unlisted.contains(slot));
        slots.take(most).collect()
    }

    /// Newest first, below a signature where one is named, as many as are asked for.
    fn signatures(&self, account: &Value, options: &Value) -> Value {
        let mut signed = Vec::new();
        for (slot, block) in self.blocks.iter().rev() {
            let transactions = block["transactions"].as_array().into_iter().flatten();
            for transaction in transactions.rev() {
                let keys = transaction["transaction"]["accountKeys"].as_array();
                if keys.is_some_and(|keys| keys.iter().any(|key| key["pubkey"] == *account)) {
                    signed.push(json!({
                        "signature": transaction["transaction"]["signatures"][0],
                        "slot": slot,
                        "err": transaction["meta"]["err"],
                        "memo": null,
                        "blockTime": block["blockTime"],
                        "confirmationStatus": "confirmed",
                    }));
                }
            }
        }
        let before = options.get("before");
        let from =
            before.and_then(|before| signed.iter().position(|one| one["signature"] == *before));
        let limit = options["limit"]
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(1_000);
        let rest = signed.into_iter().skip(from.map_or(0, |place| place + 1));
        rest.take(limit).collect()
    }

    fn held(&self, owner: &Value, program: &Value) -> Value {
        let is_usual = program["programId"] == "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
        let owner = owner.as_str().filter(|_| is_usual).unwrap_or_default();
        let accounts = self.token_accounts.get(owner).cloned().unwrap_or_default();
        let accounts = accounts
            .iter()
            .map(|account| json!({"pubkey": account, "account": {}}));
        json!({"context": {"slot": self.confirmed}, "value": accounts.collect::<Vec<_>>()})
    }
}
