//! A database with a merchant and wallets, made once and copied for each world.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use paywatch_domain::{Family, MerchantId, Mode, UnixMillis, WalletId};
use paywatch_engine::commands::{Answered, Caller};
use paywatch_store::{MasterKey, MerchantKey, StoreError, Tx, Unit, merchants};
use paywatch_wire::request::{Request, decode};
use serde_json::{Value, json};

use crate::clock::START;
use crate::crash::Crashes;
use crate::process::{self, Marks};
use crate::random::Random;

struct AddMerchant(MerchantId);

impl Unit for AddMerchant {
    type Output = MerchantKey;
    type Error = StoreError;
    const NAME: &'static str = "add_merchant";

    async fn run(&self, tx: &mut Tx) -> Result<MerchantKey, StoreError> {
        merchants::ensure(tx, self.0, "shop", START).await
    }
}

/// What every world begins with.
#[derive(Clone, Debug)]
pub struct Template {
    /// The database file.
    pub database: Arc<Vec<u8>>,
    /// The merchant.
    pub caller: Caller,
}

/// The key that seals everything.
pub fn master() -> Arc<MasterKey> {
    Arc::new(MasterKey::from_bytes([7; 32]))
}

/// Reads a request.
pub fn request<R: Request>(body: &str) -> Result<R> {
    decode(body.as_bytes()).map_err(|error| anyhow!("{error:?}"))
}

/// What a command answered, as JSON.
pub fn answer(answered: &Answered) -> Result<Value> {
    let (Answered::Fresh(answer) | Answered::Replayed(answer)) = answered;
    Ok(serde_json::from_str(&answer.body)?)
}

impl Template {
    /// Makes the database in a folder.
    pub async fn make(folder: &Path) -> Result<Self> {
        let file = folder.join("template.sqlite");
        let before = UnixMillis(START.0.saturating_sub(1_000));
        paywatch_store::migrate(&format!("sqlite:{}", file.display()), before).await?;
        let crashes = Arc::new(Crashes::new(0, 0));
        let (store, mut writing) = process::open(&file, &crashes).await?;
        let merchant_id = MerchantId::from_bits(1);
        let ended = |_| anyhow!("the process has ended");
        let added = writing.during(store.write(AddMerchant(merchant_id))).await;
        let caller = Caller {
            merchant: added.map_err(ended)??,
            merchant_id,
            mode: Mode::Test,
            actor: "simulator".into(),
            request_id: "simulated".into(),
        };
        let marks = Arc::new(Marks::new(Arc::clone(&crashes)));
        let commands = process::commands(&store, &crate::world::specs_of_all(), &master(), &marks);
        let mut entropy = Random::new(1);
        for family in Family::ALL {
            let body = json!({ "chain_family": family.as_str(), "key": format!("key-{}", family.as_str()) });
            let wallet = request(&body.to_string())?;
            let made = commands.create_wallet(&caller, wallet, None, before, &mut entropy);
            let made = answer(&writing.during(made).await.map_err(ended)??)?;
            let id: WalletId = made["id"].as_str().context("a wallet has an id")?.parse()?;
            let confirmed = commands.confirm_wallet(&caller, id, None, before, &mut entropy);
            writing.during(confirmed).await.map_err(ended)??;
        }
        let clean = folder.join("clean.sqlite");
        std::fs::copy(&file, &clean)?;
        std::fs::copy(log_of(&file), log_of(&clean))?;
        // Opened and closed once more by one connection, the log is folded in.
        paywatch_store::migrate(&format!("sqlite:{}", clean.display()), before).await?;
        let database = Arc::new(std::fs::read(&clean)?);
        Ok(Self { database, caller })
    }
}

/// The log of a database.
pub fn log_of(file: &Path) -> PathBuf {
    file.with_extension("sqlite-wal")
}
