//! `paywatch keys`: API keys, made in the database itself.

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use paywatch_api::{ApiKeyText, Scope};
use paywatch_domain::{Clock as _, KeyId, MerchantId, Mode, UnixMillis};
use paywatch_engine::master_check::CheckMasterKey;
use paywatch_store::api_keys::{self, NewApiKey};
use paywatch_store::{MasterKey, StoreError, Tx, Unit, merchants};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::output::Output;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store;

const NO_MASTER_KEY: &str = "there is no master key, which API keys are sealed with: `paywatch init` \
                             makes one, or set PAYWATCH_MASTER_KEY";
const OTHER_MASTER_KEY: &str = "this is not the master key that the database was made with; put the \
                                right one into secrets.master_key_file or PAYWATCH_MASTER_KEY";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a key and print it; it is shown once and never stored.
    Create {
        /// Which chains the key sees.
        #[arg(long)]
        mode: ModeName,
        /// A name for people.
        #[arg(long, default_value = "")]
        label: String,
        /// What the key may do; everything when it is missing.
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// List the keys, without their secrets.
    List,
    /// Make a key useless from now on.
    Revoke {
        /// The key's id.
        id: KeyId,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    Live,
    Test,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Live => Self::Live,
            ModeName::Test => Self::Test,
        }
    }
}

/// Adds a key to the first merchant, who is made when there is none.
struct AddKey {
    master: Arc<MasterKey>,
    merchant: MerchantId,
    key: ApiKeyText,
    scopes: Vec<String>,
    label: String,
    now: UnixMillis,
}

impl Unit for AddKey {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "add_key";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (merchant, merchant_id) = match merchants::default(tx).await? {
            Some(merchant) => (merchant.key, merchant.id),
            None => {
                let key = merchants::ensure(tx, self.merchant, "default", self.now).await?;
                (key, self.merchant)
            }
        };
        let key = NewApiKey {
            id: self.key.id(),
            merchant,
            mode: self.key.mode(),
            seal: self.key.seal(&self.master, merchant_id, &self.scopes),
            scopes: self.scopes.clone(),
            label: self.label.clone(),
            now: self.now,
        };
        api_keys::insert(tx, &key).await
    }
}

struct RevokeKey {
    id: KeyId,
    now: UnixMillis,
}

impl Unit for RevokeKey {
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "revoke_key";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        api_keys::revoke(tx, self.id, self.now).await
    }
}

pub(crate) async fn run(
    output: Output,
    config: &Config,
    arguments: Arguments,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    paywatch_store::migrate(&config.settings.database_url, now).await?;
    let (store, writer) = open_store(&config.settings).await?;
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(stop.clone().cancelled_owned()));
    let master = config.settings.master_key.clone().map(Arc::new);
    let result = act(output, &store, master, arguments.action, now).await;
    stop.cancel();
    writer.await.context("the database writer failed")?;
    result
}

async fn act(
    output: Output,
    store: &paywatch_store::Store,
    master: Option<Arc<MasterKey>>,
    action: Action,
    now: UnixMillis,
) -> anyhow::Result<()> {
    match action {
        Action::Create {
            mode,
            label,
            scopes,
        } => {
            let scopes = read_scopes(scopes)?;
            let master = checked(store, master).await?;
            let key = ApiKeyText::generate(mode.into(), &mut SystemEntropy);
            let merchant = MerchantId::random(&mut SystemEntropy);
            let add = AddKey {
                master,
                merchant,
                key: key.clone(),
                scopes: scopes.clone(),
                label,
                now,
            };
            store.write(add).await?;
            let value = json!({
                "id": key.id().to_string(),
                "key": key.reveal(),
                "mode": key.mode().as_str(),
                "scopes": scopes,
            });
            output.say(&value, || {
                format!(
                    "{}\nThis is shown once. Its id is {}.",
                    key.reveal(),
                    key.id()
                )
            });
        }
        Action::List => {
            let keys = api_keys::list(&mut store.read().await?).await?;
            let value: Vec<_> = keys.iter().map(describe).collect();
            let rows = keys.iter().map(row).collect();
            output.table(
                &json!({ "data": value }),
                &["id", "mode", "label", "scopes", "state"],
                rows,
            );
        }
        Action::Revoke { id } => {
            let revoked = store.write(RevokeKey { id, now }).await?;
            anyhow::ensure!(revoked, "there is no key {id} that could be revoked");
            output.say(&json!({ "id": id.to_string(), "revoked": true }), || {
                format!("{id} is revoked")
            });
        }
    }
    Ok(())
}

/// The master key, which seals what an API key may do: the one that the database was made with, or
/// `serve` would refuse the new key.
async fn checked(
    store: &paywatch_store::Store,
    master: Option<Arc<MasterKey>>,
) -> anyhow::Result<Arc<MasterKey>> {
    let master = master.context(NO_MASTER_KEY)?;
    let check = CheckMasterKey {
        master: Arc::clone(&master),
    };
    anyhow::ensure!(store.write(check).await?, OTHER_MASTER_KEY);
    Ok(master)
}

fn read_scopes(named: Vec<String>) -> anyhow::Result<Vec<String>> {
    let all = || Scope::ALL.iter().map(|scope| scope.as_str().to_owned());
    if named.is_empty() {
        return Ok(all().collect());
    }
    for scope in &named {
        let known = all().collect::<Vec<_>>();
        anyhow::ensure!(
            known.contains(scope),
            "{scope} is no scope; known are {}",
            known.join(", ")
        );
    }
    Ok(named)
}

fn state(key: &api_keys::ApiKey) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else {
        "active"
    }
}

fn describe(key: &api_keys::ApiKey) -> serde_json::Value {
    json!({
        "id": key.id.to_string(),
        "mode": key.mode.as_str(),
        "label": key.label,
        "scopes": key.scopes,
        "state": state(key),
    })
}

fn row(key: &api_keys::ApiKey) -> Vec<String> {
    vec![
        key.id.to_string(),
        key.mode.as_str().to_owned(),
        key.label.clone(),
        key.scopes.join(" "),
        state(key).to_owned(),
    ]
}
