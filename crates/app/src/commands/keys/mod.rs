//! `paywatch keys`: API keys, made in the database itself.

mod units;

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use paywatch_api::{ApiKeyText, Scope};
use paywatch_domain::{Clock as _, KeyId, MerchantId, Mode, RequestId, UnixMillis};
use paywatch_engine::api_key::{Bounds, record};
use paywatch_engine::master_check::CheckMasterKey;
use paywatch_store::api_keys::{self, ApiKey};
use paywatch_store::{MasterKey, Store};
use paywatch_wire::ApiKeyRecord;
use paywatch_wire::time::rfc3339;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::output::Output;
use crate::system::{SystemClock, SystemEntropy};
use crate::wiring::open_store;
use units::{AddKey, RevokeKey, RotateKey};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

const NO_MASTER_KEY: &str = "there is no master key, which keys and the audit log are sealed with: `paywatch init` \
                             makes one, or set PAYWATCH_MASTER_KEY";
pub(crate) const OTHER_MASTER_KEY: &str = "this is not the master key that the database was made with; put the \
                                right one into secrets.master_key_file or PAYWATCH_MASTER_KEY; if it takes the place of \
                                that one, name the old one's file in secrets.retired_master_key_files";

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
        /// A network that it may be used from, such as 192.0.2.0/24; may be given several times.
        #[arg(long = "network")]
        networks: Vec<IpNet>,
        /// For how many days it is good; for ever when it is missing.
        #[arg(long)]
        days: Option<u32>,
    },
    /// Make a key that takes the place of another one, and print it; the old one is good for some hours more.
    Rotate {
        /// The old key's id.
        id: KeyId,
        /// For how many hours the old key is still good.
        #[arg(long, default_value_t = 24)]
        overlap_hours: u32,
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
            networks,
            days,
        } => {
            let bounds = Bounds {
                scopes: read_scopes(scopes)?,
                networks: networks.iter().map(ToString::to_string).collect(),
                expires_at: days.map(|days| now.plus_ms(i64::from(days).saturating_mul(DAY_MS))),
                label,
            };
            let key = ApiKeyText::generate(mode.into(), &mut SystemEntropy);
            let add = AddKey {
                master: checked(store, master).await?,
                merchant: MerchantId::random(&mut SystemEntropy),
                key: key.clone(),
                bounds: bounds.clone(),
                request_id,
                now,
            };
            store.write(add).await?;
            reveal(output, &key, &bounds);
        }
        Action::Rotate { id, overlap_hours } => {
            let overlap_ms = i64::from(overlap_hours).saturating_mul(HOUR_MS);
            let generate = |mode| ApiKeyText::generate(mode, &mut SystemEntropy);
            let rotate = RotateKey {
                master: checked(store, master).await?,
                id,
                new: [Mode::Live, Mode::Test].map(generate),
                old_until: now.plus_ms(overlap_ms),
                request_id,
                now,
            };
            let rotated = store.write(rotate).await?;
            let (key, bounds) =
                rotated.with_context(|| format!("there is no key {id} that is good"))?;
            reveal(output, &key, &bounds);
        }
        Action::List => {
            let keys = api_keys::list(&mut store.read().await?).await?;
            list(output, &keys, now);
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
            let value = json!({ "id": id.to_string(), "revoked": true });
            output.say(&value, || format!("{id} is revoked"));
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
        now: SystemClock.now(),
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

fn list(output: Output, keys: &[ApiKey], now: UnixMillis) {
    let value: Vec<_> = keys.iter().map(|key| listed(key, now)).collect();
    let rows = keys.iter().map(|key| row(key, now)).collect();
    let head = [
        "id",
        "mode",
        "label",
        "scopes",
        "networks",
        "state",
        "last used",
    ];
    output.table(&json!({ "data": value }), &head, rows);
}

/// Prints a key, the only time.
fn reveal(output: Output, key: &ApiKeyText, bounds: &Bounds) {
    let value = json!({
        "id": key.id().to_string(),
        "key": key.reveal(),
        "mode": key.mode().as_str(),
        "scopes": bounds.scopes,
        "networks": bounds.networks,
        "expires_at": bounds.expires_at.map(rfc3339),
    });
    output.say(&value, || {
        let (text, id) = (key.reveal(), key.id());
        format!("{text}\nThis is shown once. Its id is {id}.")
    });
}

fn state(key: &ApiKey, now: UnixMillis) -> String {
    let end = [key.expires_at, key.revoked_at].into_iter().flatten().min();
    match end {
        _ if key.revoked_at.is_some_and(|at| at <= now) => "revoked".into(),
        Some(end) if end <= now => "expired".into(),
        Some(end) => format!("good until {}", rfc3339(end)),
        None => "active".into(),
    }
}

/// A key and how it stands.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    record: ApiKeyRecord,
    state: String,
    last_used_at: Option<String>,
}

fn listed(key: &ApiKey, now: UnixMillis) -> Listed {
    Listed {
        record: record(key),
        state: state(key, now),
        last_used_at: key.last_used_at.map(rfc3339),
    }
}

fn row(key: &ApiKey, now: UnixMillis) -> Vec<String> {
    vec![
        key.id.to_string(),
        key.mode.as_str().to_owned(),
        key.label.clone(),
        key.scopes.join(" "),
        key.networks.join(" "),
        state(key, now),
        key.last_used_at.map_or_else(|| "-".into(), rfc3339),
    ]
}
