//! A chain that pays invoices. No worker runs here: what the chain says is applied as a worker does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Block, Credit};
use paywatch_chain_bitcoin::Network;
use paywatch_domain::{
    Amount, AssetName, BlockHash, BlockRef, ChainName, ChainSpec, Position, TxId, UnixMillis,
};
use paywatch_engine::apply::{ApplyBlocks, ApplyPoll};
use paywatch_engine::follower::ChainEvent;
use paywatch_store::{MasterKey, StoreError, Tx, Unit, chains};
use paywatch_testkit::bitcoin::Address;
use paywatch_testkit::bitcoin::address::NetworkUnchecked;
use serde_json::Value;

use crate::world::{FOLLOWED, World};

/// Takes the chain's lease.
struct Claim(UnixMillis);

impl Unit for Claim {
    type Output = i64;
    type Error = StoreError;
    const NAME: &'static str = "claim";

    async fn run(&self, tx: &mut Tx) -> Result<i64, StoreError> {
        let lease = chains::claim(tx, &chain(), "test", self.0, 60_000).await?;
        Ok(lease.expect("nobody else follows").fence)
    }
}

fn followed() -> Arc<ChainSpec> {
    Arc::new(crate::world::chain(FOLLOWED, Network::Regtest))
}

fn chain() -> ChainName {
    FOLLOWED.parse().expect("a name")
}

/// The chain from the block on that the world has read.
pub(crate) struct Bank {
    tip: BlockRef,
    /// Units so far: no two draw the same numbers.
    seeds: u8,
    payments: u32,
}

impl Bank {
    pub(crate) fn new() -> Self {
        let tip = BlockRef {
            height: 812,
            hash: BlockHash::new("00aa"),
        };
        Self {
            tip,
            seeds: 100,
            payments: 0,
        }
    }

    fn seed(&mut self) -> [u8; 32] {
        self.seeds += 1;
        [self.seeds; 32]
    }

    /// Makes a payment of an amount in satoshi to an invoice.
    fn credit(&mut self, invoice: &Value, sat: u64) -> Credit {
        self.payments += 1;
        let address = invoice["options"][0]["address"].as_str().expect("text");
        let address: Address<NetworkUnchecked> = address.parse().expect("an address");
        let script = address.assume_checked().script_pubkey();
        Credit {
            key: script.as_bytes().into(),
            asset: format!("btc@{FOLLOWED}").parse().expect("a name"),
            amount: Amount::from_atomic(sat),
            tx_id: TxId::new(&format!("{:064x}", self.payments)),
            position: Position::new("vout:0"),
            maturity: 0,
            spends: [].into(),
        }
    }

    /// Mines a block with payments to invoices, which is read at once.
    pub(crate) async fn mine(&mut self, world: &World, payments: &[(&Value, u64)]) {
        let credits = payments
            .iter()
            .map(|(invoice, sat)| self.credit(invoice, *sat));
        let credits = credits.collect();
        self.connect(world, credits).await;
    }

    /// Mines a block in which somebody pays an invoice with a token that is not configured.
    pub(crate) async fn mine_token(&mut self, world: &World, invoice: &Value, amount: u64) {
        let credit = Credit {
            asset: AssetName::unlisted("EPjFWdd5", chain()).expect("a name"),
            ..self.credit(invoice, amount)
        };
        self.connect(world, vec![credit]).await;
    }

    async fn connect(&mut self, world: &World, credits: Vec<Credit>) {
        let now = world.now();
        let height = self.tip.height + 1;
        let at = BlockRef {
            height,
            hash: BlockHash::new(&format!("{height:04x}")),
        };
        let block = Block {
            at: at.clone(),
            parent: self.tip.hash.clone(),
            time: now,
            bytes: 0,
            credits,
            spent: Vec::new(),
            outflows: Vec::new(),
            unseen: None,
        };
        let event = ChainEvent {
            fork: Some(self.tip.clone()),
            from: Some(self.tip.clone()),
            blocks: vec![block],
        };
        let unit = ApplyBlocks {
            chain: chain(),
            spec: followed(),
            fence: world.store.write(Claim(now)).await.expect("claimed"),
            event,
            all_seen_at: now,
            thinned: 0..0,
            now,
            seed: self.seed(),
            master: Arc::new(MasterKey::from_bytes([7; 32])),
        };
        world.store.write(unit).await.expect("applied");
        self.tip = at;
        self.poll(world).await;
    }

    /// Finds everything read up to now, and no mempool.
    pub(crate) async fn poll(&mut self, world: &World) {
        let now = world.now();
        let unit = ApplyPoll {
            gap_ms: paywatch_domain::limits::GAP_MS_MIN,
            chain: chain(),
            spec: followed(),
            fence: world.store.write(Claim(now)).await.expect("claimed"),
            tip_height: self.tip.height,
            begun_at: now,
            pool: None,
            marks: BTreeMap::new(),
            problem: None,
            now,
            seed: self.seed(),
            master: Arc::new(MasterKey::from_bytes([7; 32])),
        };
        world.store.write(unit).await.expect("applied");
    }

    /// A new invoice of 100,000 satoshi, with further fields of the request.
    pub(crate) async fn invoice(&self, world: &World, further: &Value) -> Value {
        let mut body = serde_json::json!({
            "options": [{ "asset": format!("btc@{FOLLOWED}"), "amount": "0.001" }],
        });
        if let (Some(body), Some(further)) = (body.as_object_mut(), further.as_object()) {
            body.extend(further.clone());
        }
        world.post("/v1/invoices", &body.to_string()).await.is(201)
    }

    /// A new invoice of 100,000 satoshi that got an amount, final by now; gives it as it is shown then.
    pub(crate) async fn paid(&mut self, world: &World, sat: u64) -> Value {
        let invoice = self.invoice(world, &Value::Null).await;
        self.mine(world, &[(&invoice, sat)]).await;
        self.mine(world, &[]).await;
        let id = invoice["id"].as_str().expect("an id");
        world.get(&format!("/v1/invoices/{id}")).await.is(200)
    }
}
