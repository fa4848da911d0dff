//! A merchant with a wallet, a webhook endpoint and open invoices, in a real SQLite file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bitcoin::{Address, ScriptBuf};
use paywatch_chain::Derivation;
use paywatch_chain_bitcoin::{BitcoinDerivation, Network};
use paywatch_domain::{
    Amount, Asset, AssetKind, AssetName, BlockHash, BlockRef, Catalogue, ChainName, ChainSpec,
    Family, Finality, MerchantId, Mode,
};
use paywatch_engine::commands::{Answered, Caller, CommandParts, Commands};
use paywatch_engine::high_water::HighWaterFolder;
use paywatch_store::chains::{self, Lease};
use paywatch_store::{MasterKey, MerchantKey, Options, Store, StoreError, Tx, Unit, merchants};
use paywatch_testkit::WalletKey;
use paywatch_wire::request::{NamedPolicies, Request, decode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::numbers::{Numbers, now};

/// Blocks that make a payment final.
pub(crate) const DEPTH: u32 = 2;

/// The asset that is paid.
pub(crate) const ASSET: &str = "btc@bitcoin-regtest";

/// The same, read.
pub(crate) fn asset() -> Result<AssetName> {
    Ok(ASSET.parse()?)
}

/// The chain, as the configuration that is shipped describes it.
pub(crate) fn chain() -> Result<ChainSpec> {
    let name = asset()?;
    let caip2 = Network::Regtest.caip2();
    Ok(ChainSpec {
        name: name.chain().clone(),
        caip2: caip2.as_str().into(),
        family: Family::Bitcoin,
        mode: Mode::Test,
        enabled: true,
        finality: Finality::Depth(DEPTH),
        reorg_depth_max: 100,
        lag_ms_max: 600_000,
        assets: vec![Asset {
            name,
            kind: AssetKind::Native,
            decimals: 8,
            dust: Amount::from_atomic(546),
            caip19: format!("{caip2}/slip44:1").into(),
        }],
    })
}

/// On which chain a shop is paid, and with which wallet.
pub(crate) struct Trade {
    pub(crate) spec: ChainSpec,
    pub(crate) derivation: Arc<dyn Derivation>,
    /// The public key as the merchant gives it.
    pub(crate) key: String,
}

impl Trade {
    /// On Bitcoin.
    pub(crate) fn bitcoin() -> Result<Self> {
        let spec = chain()?;
        let networks = [(spec.name.clone(), Network::Regtest)];
        Ok(Self {
            spec,
            derivation: Arc::new(BitcoinDerivation::new(networks)),
            key: WalletKey::new(1)?.vpub(),
        })
    }
}

/// Where webhooks go that nobody sends.
pub(crate) const NOWHERE: &str = "https://shop.example/webhooks";

/// The height up to which [`Cover`] says that the chain was read.
pub(crate) const COVERED_HEIGHT: u64 = 100;

/// Says that the chain was read up to a block.
pub(crate) struct Cover(pub(crate) ChainName);

impl Unit for Cover {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "cover";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let height = COVERED_HEIGHT;
        let hash = BlockHash::new(&"0".repeat(64));
        let Lease { chain, fence, .. } = Claim(self.0.clone()).run(tx).await?;
        chains::advance(tx, &chain, fence, None, &BlockRef { height, hash }, now()).await?;
        chains::cover(tx, &chain, fence, now(), height).await
    }
}

/// Takes the lease of the chain.
pub(crate) struct Claim(pub(crate) ChainName);

impl Unit for Claim {
    type Output = Lease;
    type Error = StoreError;
    const NAME: &'static str = "claim";

    async fn run(&self, tx: &mut Tx) -> Result<Lease, StoreError> {
        let lease = chains::claim(tx, &self.0, "bench", now(), 3_600_000).await?;
        lease.ok_or(StoreError::LeaseLost)
    }
}

/// The key that seals everything here.
pub(crate) fn master() -> Arc<MasterKey> {
    Arc::new(MasterKey::from_bytes([7; 32]))
}

/// The descriptor of every shop's wallet.
pub(crate) fn descriptor() -> Result<String> {
    let derivation = BitcoinDerivation::new([(asset()?.chain().clone(), Network::Regtest)]);
    Ok(derivation
        .parse(&WalletKey::new(1)?.vpub(), true)?
        .canonical)
}

/// A store with its writer at work.
pub(crate) struct Opened {
    pub(crate) store: Store,
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Opened {
    /// Opens a SQLite file; what is missing of its schema is made.
    pub(crate) async fn open(file: &Path) -> Result<Self> {
        Self::open_url(&format!("sqlite:{}", file.display())).await
    }

    /// Opens a database; what is missing of its schema is made.
    pub(crate) async fn open_url(url: &str) -> Result<Self> {
        paywatch_store::migrate(url, now()).await?;
        let (store, writer) = Store::open(url, Options::default()).await?;
        let (stop, stopped) = oneshot::channel();
        let writer = tokio::spawn(writer.run(async move { drop(stopped.await) }));
        Ok(Self {
            store,
            stop,
            writer,
        })
    }

    /// Closes the file, so that it can be copied.
    pub(crate) async fn close(self) -> Result<()> {
        self.store.close().await;
        drop(self.stop);
        self.writer.await.context("the writer broke off")
    }
}

struct AddMerchant(MerchantId);

impl Unit for AddMerchant {
    type Output = MerchantKey;
    type Error = StoreError;
    const NAME: &'static str = "add_merchant";

    async fn run(&self, tx: &mut Tx) -> Result<MerchantKey, StoreError> {
        merchants::ensure(tx, self.0, "shop", now()).await
    }
}

/// Somebody who makes invoices.
pub(crate) struct Shop {
    commands: Commands,
    caller: Caller,
    numbers: Numbers,
    /// What is paid: the first asset of the chain.
    sold: Asset,
}

impl Shop {
    /// A merchant who is paid on Bitcoin.
    pub(crate) async fn open(store: &Store, folder: &Path, webhooks: &str) -> Result<Self> {
        Self::open_for(Trade::bitcoin()?, store, folder, webhooks).await
    }

    /// A merchant whose wallet was confirmed and who wants webhooks. `folder` keeps what stands
    /// outside the database.
    pub(crate) async fn open_for(
        trade: Trade,
        store: &Store,
        folder: &Path,
        webhooks: &str,
    ) -> Result<Self> {
        let Trade {
            spec,
            derivation,
            key,
        } = trade;
        let family = spec.family;
        let sold = spec.assets.first().context("a chain has assets")?.clone();
        let commands = Commands::new(CommandParts {
            store: store.clone(),
            catalogue: Arc::new(Catalogue::new([spec])),
            derivations: BTreeMap::from([(derivation.family(), derivation)]),
            policies: NamedPolicies::default(),
            rates: Arc::default(),
            master: master(),
            high_water: Arc::new(HighWaterFolder::open(folder)?),
            url_check: Arc::new(|_| Ok(())),
        });
        let merchant_id = MerchantId::from_bits(1);
        let caller = Caller {
            merchant: store.write(AddMerchant(merchant_id)).await?,
            merchant_id,
            mode: Mode::Test,
            actor: "bench".into(),
            request_id: "bench".into(),
        };
        let mut shop = Self {
            commands,
            caller,
            numbers: Numbers(2),
            sold,
        };
        shop.open_wallet(family, &key).await?;
        shop.open_endpoint(webhooks).await?;
        Ok(shop)
    }

    /// What carries out requests.
    pub(crate) fn commands(&self) -> Commands {
        self.commands.clone()
    }

    /// The merchant.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Wants webhooks at a further address.
    pub(crate) async fn open_endpoint(&mut self, url: &str) -> Result<()> {
        let request = request(&json!({ "url": url }))?;
        let (commands, caller) = (&self.commands, &self.caller);
        commands
            .create_endpoint(caller, request, None, now(), &mut self.numbers)
            .await?;
        Ok(())
    }

    async fn open_wallet(&mut self, family: Family, key: &str) -> Result<()> {
        let request = request(&json!({ "chain_family": family.as_str(), "key": key }))?;
        let (commands, caller) = (&self.commands, &self.caller);
        let made = commands
            .create_wallet(caller, request, None, now(), &mut self.numbers)
            .await?;
        let id = answer(&made)?["id"].as_str().map(str::parse);
        let id = id.context("a wallet has an id")??;
        commands
            .confirm_wallet(caller, id, None, now(), &mut self.numbers)
            .await?;
        Ok(())
    }

    /// Makes an invoice over an amount of Bitcoin; gives the script of its address.
    pub(crate) async fn invoice(&mut self, satoshi: u64) -> Result<ScriptBuf> {
        let address = self.address_to_pay(satoshi).await?;
        let address: Address<_> = address.parse()?;
        let address = address.require_network(bitcoin::Network::Regtest)?;
        Ok(address.script_pubkey())
    }

    /// Makes an invoice over an amount in atomic units; gives its address.
    pub(crate) async fn address_to_pay(&mut self, atomic: u64) -> Result<String> {
        let amount = Amount::from_atomic(atomic).decimal(self.sold.decimals);
        let request = request(&json!({
            "options": [{ "asset": self.sold.name.to_string(), "amount": amount }],
        }))?;
        let made = self
            .commands
            .create_invoice(&self.caller, request, None, now(), &mut self.numbers)
            .await?;
        let invoice = answer(&made)?;
        let address = invoice["options"][0]["address"].as_str();
        Ok(address.context("an option has an address")?.to_owned())
    }
}

fn request<R: Request>(body: &Value) -> Result<R> {
    Ok(decode(body.to_string().as_bytes())?)
}

fn answer(answered: &Answered) -> Result<Value> {
    let (Answered::Fresh(answer) | Answered::Replayed(answer)) = answered;
    Ok(serde_json::from_str(&answer.body)?)
}
