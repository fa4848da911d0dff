//! A server that speaks as a validator does, of a cluster that the test makes up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Result;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An answer that stands in for the right one: a result, or an error by its number.
pub(crate) type Told = std::result::Result<Value, i64>;
/// Changes the answers to some requests: by method and parameters.
type Lie = Box<dyn Fn(&str, &Value) -> Option<Told> + Send>;

/// A made-up cluster; its server is gone when it is dropped.
pub(crate) struct Cluster {
    url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct State {
    blocks: BTreeMap<u64, Value>,
    /// Slots that lists leave out.
    pub(crate) unlisted: BTreeSet<u64>,
    pub(crate) confirmed: u64,
    pub(crate) finalized: u64,
    /// The lowest block that it still has.
    pub(crate) first: u64,
    lie: Option<Lie>,
    /// Methods that were asked for, with the first parameter.
    asked: Vec<String>,
}

impl Cluster {
    /// Starts a server for a cluster whose blocks begin at slot 100, see [`Self::set`].
    pub(crate) async fn start(slots: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move {
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let call: Value = serde_json::from_slice(&body).unwrap();
                let mut state = shared.lock().unwrap();
                let mut reply = json!({"jsonrpc": "2.0", "id": call["id"]});
                match state.answer(call["method"].as_str().unwrap(), &call["params"]) {
                    Ok(result) => reply["result"] = result,
                    Err(-32005) => {
                        let message = "Node is behind by 42 slots";
                        reply["error"] = json!({"code": -32005, "message": message});
                    }
                    Err(code) => reply["error"] = json!({"code": code, "message": "words"}),
                }
                reply.to_string()
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let cluster = Self { url, state, server };
        cluster.set(slots);
        Ok(cluster)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes these the slots from 100 on: a letter is a block with this hash, a hyphen a slot that was
    /// skipped. The last block is the last confirmed one.
    pub(crate) fn set(&self, slots: &str) {
        let mut state = self.state();
        state.blocks.clear();
        let mut parent = (99, "z".to_owned());
        for (slot, letter) in (100..).zip(slots.chars()) {
            if letter == '-' {
                continue;
            }
            let block = json!({
                "blockhash": letter.to_string(),
                "previousBlockhash": parent.1,
                "parentSlot": parent.0,
                "blockTime": 1_700_000_000 + slot,
                "blockHeight": 7,
                "transactions": [],
            });
            state.blocks.insert(slot, block);
            parent = (slot, letter.to_string());
        }
        state.confirmed = parent.0;
        state.finalized = 100;
        state.first = 100;
    }

    /// Puts transactions into the block of a slot.
    pub(crate) fn fill(&self, slot: u64, transactions: Value) {
        self.state().blocks.get_mut(&slot).unwrap()["transactions"] = transactions;
    }

    /// Changes answers from now on.
    pub(crate) fn lie(&self, lie: impl Fn(&str, &Value) -> Option<Told> + Send + 'static) {
        self.state().lie = Some(Box::new(lie));
    }

    pub(crate) fn be_honest(&self) {
        self.state().lie = None;
    }

    /// What was asked since this was last asked.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn answer(&mut self, method: &str, params: &Value) -> Told {
        self.asked.push(format!("{method} {}", params[0]));
        if let Some(told) = self.lie.as_ref().and_then(|lie| lie(method, params)) {
            return told;
        }
        let number = |place: usize| params[place].as_u64().unwrap();
        Ok(match method {
            "getVersion" => json!({"solana-core": "4.1.2", "feature-set": 1}),
            "getGenesisHash" => json!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"),
            "getHealth" => json!("ok"),
            "getFirstAvailableBlock" => json!(self.first),
            "getSlot" => match params[0]["commitment"].as_str().unwrap() {
                "confirmed" => json!(self.confirmed),
                "finalized" => json!(self.finalized),
                other => panic!("{other} is not asked for"),
            },
            "getBlock" => self.block(number(0), &params[1])?,
            "getBlocks" => self.listed(number(0), number(1), usize::MAX),
            "getBlocksWithLimit" => self.listed(number(0), u64::MAX, number(1).try_into().unwrap()),
            other => panic!("{other} is not asked for"),
        })
    }

    fn block(&self, slot: u64, options: &Value) -> Told {
        assert_eq!(options["commitment"], "confirmed");
        if slot < self.first {
            return Err(-32001);
        }
        if self.confirmed < slot {
            return Err(-32004);
        }
        let mut block = self.blocks.get(&slot).cloned().ok_or(-32007)?;
        match options["transactionDetails"].as_str().unwrap() {
            "none" => drop(block["transactions"].take()),
            "accounts" => {}
            other => panic!("{other} is not asked for"),
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
}
