//! `paywatch keys`: API keys, made in the database itself.

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use paywatch_api::{ApiKeyText, Scope};
use paywatch_domain::{Clock as _, KeyId, MerchantId, Mode, RequestId, UnixMillis};
use paywatch_engine::master_check::CheckMasterKey;
use paywatch_store::api_keys::{self, ApiKey, NewApiKey};
use paywatch_store::audit::{self, Entry};
use paywatch_store::{MasterKey, Store, StoreError, Tx, Unit, merchants};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::output::Output;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store;

/// Who does what this command line does.
const CLI: &str = "cli";
const NO_MASTER_KEY: &str = "there is no master key, which keys and the audit log are sealed with: `paywatch init` \
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
    request_id: RequestId,
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
        api_keys::insert(tx, &key).await?;
        let row = api_keys::by_id(tx, key.id).await?;
        let entry = Entry {
            merchant: Some(merchant_id),
            actor: CLI.into(),
            request_id: self.request_id.to_string(),
            action: "key.create",
            subject: key.id.to_string(),
            before: None,
            after: row.as_ref().map(audited),
            now: self.now,
        };
        audit::append(tx, &self.master, &entry).await
    }
}

struct RevokeKey {
    master: Arc<MasterKey>,
    id: KeyId,
    request_id: RequestId,
    now: UnixMillis,
}

impl Unit for RevokeKey {
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "revoke_key";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let Some(before) = api_keys::by_id(tx, self.id).await? else {
            return Ok(false);
        };
        if !api_keys::revoke(tx, self.id, self.now).await? {
            return Ok(false);
        }
        let after = api_keys::by_id(tx, self.id).await?;
        let entry = Entry {
            merchant: Some(before.merchant_id),
            actor: CLI.into(),
            request_id: self.request_id.to_string(),
            action: "key.revoke",
            subject: self.id.to_string(),
            before: Some(audited(&before)),
            after: after.as_ref().map(audited),
            now: self.now,
        };
        audit::append(tx, &self.master, &entry).await?;
        Ok(true)
    }
}

/// What the audit log keeps of a key.
fn audited(key: &ApiKey) -> String {
    describe(key).to_string()
}

pub(crate) async fn run(
    output: Output,
    config: &Config,
    arguments: Arguments,
) -> anyhow::Result<()> {
    paywatch_store::migrate(&config.settings.database_url, SystemClock.now()).await?;
    with_store(config, async |store, master| {
        act(output, &store, master, arguments.action).await
    })
    .await
}

/// Works on the database itself, with the master key of the configuration, [unchecked](checked).
pub(crate) async fn with_store(
    config: &Config,
    work: impl AsyncFnOnce(Store, Option<Arc<MasterKey>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (store, writer) = open_store(&config.settings).await?;
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(stop.clone().cancelled_owned()));
    let master = config.settings.master_key.clone().map(Arc::new);
    let result = work(store, master).await;
    stop.cancel();
    writer.await.context("the database writer failed")?;
    result
}

async fn act(
    output: Output,
    store: &Store,
    master: Option<Arc<MasterKey>>,
    action: Action,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let request_id = RequestId::random(&mut SystemEntropy);
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
                request_id,
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
            let revoke = RevokeKey {
                master: checked(store, master).await?,
                id,
                request_id,
                now,
            };
            let revoked = store.write(revoke).await?;
            anyhow::ensure!(revoked, "there is no key {id} that could be revoked");
            output.say(&json!({ "id": id.to_string(), "revoked": true }), || {
                format!("{id} is revoked")
            });
        }
    }
    Ok(())
}

/// The master key, which seals what an API key may do and what was done: the one that the database was
/// made with, or `serve` would refuse the new key.
pub(crate) async fn checked(
    store: &Store,
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

fn state(key: &ApiKey) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else {
        "active"
    }
}

fn describe(key: &ApiKey) -> serde_json::Value {
    json!({
        "id": key.id.to_string(),
        "mode": key.mode.as_str(),
        "label": key.label,
        "scopes": key.scopes,
        "state": state(key),
    })
}

fn row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.to_string(),
        key.mode.as_str().to_owned(),
        key.label.clone(),
        key.scopes.join(" "),
        state(key).to_owned(),
    ]
}
