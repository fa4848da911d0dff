//! `paywatch wallet`: public keys that addresses are derived from.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::request;
use crate::client::{Client, Connection};
use crate::output::{Output, data, text};
use crate::progress;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Register an extended public key or a public descriptor. Compare the addresses it prints with
    /// your own wallet, then confirm it.
    Add(New),
    /// Add the addresses of another file to a wallet's pool.
    TopUp {
        /// The wallet's id.
        id: String,
        /// The file; as for `add`.
        #[arg(long, value_name = "FILE")]
        pool: PathBuf,
    },
    /// Find the addresses of a wallet that were used elsewhere, so that none is handed out again.
    Scan {
        /// The wallet's id.
        id: String,
        /// The lowest block in which the key may have been paid.
        #[arg(long, value_name = "HEIGHT")]
        from_height: u64,
        /// On which chain; needed where several of the wallet's family are followed.
        #[arg(long)]
        chain: Option<String>,
        /// Return at once instead of waiting until the blocks were read.
        #[arg(long)]
        no_wait: bool,
    },
    /// Confirm that the first addresses are those of your own wallet.
    Confirm {
        /// The wallet's id.
        id: String,
    },
    /// List the wallets.
    List,
    /// Show a wallet: its first addresses, and how far your own wallet has to look ahead.
    Show {
        /// The wallet's id.
        id: String,
    },
    /// Write what the wallet handed out, for other programs.
    Export {
        /// The wallet's id.
        id: String,
        /// A descriptor with its range for Bitcoin Core, a table, or labels (BIP329).
        #[arg(long, value_parser = ["descriptor", "csv", "bip329"], default_value = "descriptor")]
        form: String,
    },
}

/// What a wallet is made of.
#[derive(Args)]
struct New {
    /// xpub, zpub, tpub, vpub, … (a plain xpub makes bc1q addresses), or a descriptor for any
    /// other form: tr(xpub/0/*), pkh(xpub/0/*), sh(wpkh(xpub/0/*)),
    /// wsh(sortedmulti(2,xpub/0/*,xpub/0/*)). For Solana the `acct_xvk` of paywatch-offline, or the
    /// address of one wallet that is paid by Solana Pay. Never a private key.
    #[arg(required_unless_present = "pool")]
    key: Option<String>,
    /// A file of addresses that your own wallet made, instead of a key: one a line, and a last line
    /// `# sha256:` with the hash over the lines before it.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pool: Option<PathBuf>,
    /// Which chains it is for.
    #[arg(long, default_value = "bitcoin")]
    family: String,
    /// A name for people.
    #[arg(long)]
    label: Option<String>,
    /// First index to hand out, for a key that was used elsewhere.
    #[arg(long)]
    start_index: Option<u32>,
    /// Read the blocks from this height on for addresses of the key that were used elsewhere, so
    /// that none of them is handed out again.
    #[arg(long, value_name = "HEIGHT")]
    scan_from: Option<u64>,
}

impl New {
    /// The request.
    fn body(self) -> anyhow::Result<Value> {
        let mut body = json!({ "chain_family": self.family });
        if let Some(key) = self.key {
            body["key"] = json!(key);
        }
        if let Some(file) = self.pool {
            body["pool"] = json!(read(&file)?);
        }
        if let Some(label) = self.label {
            body["label"] = json!(label);
        }
        if let Some(index) = self.start_index {
            body["start_index"] = json!(index);
        }
        Ok(body)
    }
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::Add(new) => {
            let scan_from = new.scan_from;
            let mut wallet = client.post("/v1/wallets", &new.body()?).await?;
            if let Some(from_height) = scan_from {
                wallet = scanned(&client, &wallet, from_height).await?;
            }
            output.say(&wallet, || registered(&wallet));
        }
        Action::TopUp { id, pool } => {
            let body = json!({ "pool": read(&pool)? });
            let path = format!("/v1/wallets/{id}/addresses");
            let wallet = client.post(&path, &body).await?;
            output.say(&wallet, || shown(&wallet));
        }
        Action::Scan {
            id,
            from_height,
            chain,
            no_wait,
        } => {
            let mut body = json!({ "from_height": from_height });
            if let Some(chain) = chain {
                body["chain"] = json!(chain);
            }
            let path = format!("/v1/wallets/{id}/scan");
            request::ask(output, &client, &path, &body, no_wait).await?;
        }
        Action::Confirm { id } => {
            let wallet = client
                .post(&format!("/v1/wallets/{id}/confirm"), &json!({}))
                .await?;
            output.say(&wallet, || format!("{id} is {}", text(&wallet, "/state")));
        }
        Action::List => {
            let page = client.get("/v1/wallets?limit=100").await?;
            let rows = data(&page)?.iter().map(row).collect();
            output.table(&page, &HEAD, rows);
            for warning in data(&page)?.iter().flat_map(warnings) {
                output.note(&warning);
            }
        }
        Action::Show { id } => {
            let wallet = client.get(&format!("/v1/wallets/{id}")).await?;
            output.say(&wallet, || shown(&wallet));
        }
        Action::Export { id, form } => {
            let path = format!("/v1/wallets/{id}/export?form={form}");
            client.copy(&path, &mut std::io::stdout().lock()).await?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Waits until a new wallet was scanned; answers it as it is then.
async fn scanned(client: &Client, wallet: &Value, from_height: u64) -> anyhow::Result<Value> {
    let path = format!("/v1/wallets/{}", text(wallet, "/id"));
    let body = json!({ "from_height": from_height });
    let asked = client.post(&format!("{path}/scan"), &body).await;
    let asked = asked.context("the wallet is registered, and was not scanned")?;
    progress::wait(client, asked).await?;
    client.get(&path).await
}

/// What stands above the columns of [`row`].
const HEAD: [&str; 9] = [
    "id",
    "family",
    "kind",
    "fingerprint",
    "label",
    "state",
    "default",
    "next index",
    "unused gap",
];

fn row(wallet: &Value) -> Vec<String> {
    let fields = [
        "/id",
        "/chain_family",
        "/kind",
        "/fingerprint",
        "/label",
        "/state",
        "/default",
        "/next_index",
        "/unused_gap",
    ];
    fields.iter().map(|field| text(wallet, field)).collect()
}

fn registered(wallet: &Value) -> String {
    let mut lines = vec![format!(
        "registered {} ({}, fingerprint {})",
        text(wallet, "/id"),
        text(wallet, "/kind"),
        text(wallet, "/fingerprint")
    )];
    if wallet["next_index"] != wallet["start_index"] {
        lines.push(format!(
            "Addresses below index {} are in use and are not handed out again.",
            text(wallet, "/next_index")
        ));
    }
    lines.extend(first_addresses(wallet));
    let compared = if text(wallet, "/kind") == "solana_pay" {
        "Compare the address before `?reference=` with that of your own wallet; each invoice has another \
         reference."
    } else {
        "Compare these addresses with your own wallet."
    };
    lines.push(format!(
        "{compared} If they are the same: paywatch wallet confirm {}",
        text(wallet, "/id")
    ));
    if text(wallet, "/chain_family") == "bitcoin" {
        let advice = "If they are not, your wallet uses another form of the key; give that as a \
                      descriptor: paywatch wallet add 'tr(KEY/0/*)', or pkh, sh(wpkh()), \
                      wsh(sortedmulti())";
        lines.push(advice.to_owned());
    }
    lines.join("\n")
}

fn first_addresses(wallet: &Value) -> impl Iterator<Item = String> {
    let addresses = wallet["first_addresses"].as_array().into_iter().flatten();
    addresses.map(|address| {
        let (path, address) = (text(address, "/derivation_path"), text(address, "/address"));
        format!("  {path}  {address}")
    })
}

fn shown(wallet: &Value) -> String {
    let line = |name: &str, field: &str| format!("{name:<22}{}", text(wallet, field));
    let mut lines = vec![
        line("wallet", "/id"),
        line("label", "/label"),
        line("state", "/state"),
        line("kind", "/kind"),
        line("fingerprint", "/fingerprint"),
        line("default", "/default"),
        line("start index", "/start_index"),
        line("next index", "/next_index"),
        line("highest used index", "/highest_used_index"),
        line("unused gap", "/unused_gap"),
        line("gap limit to set", "/recommended_gap_limit"),
    ];
    if !wallet["pool"].is_null() {
        lines.push(line("addresses in the pool", "/pool/size"));
        lines.push(line("addresses left", "/pool/remaining"));
    }
    lines.extend(first_addresses(wallet));
    lines.extend(warnings(wallet));
    lines.join("\n")
}

fn warnings(wallet: &Value) -> impl Iterator<Item = String> {
    gap_warning(wallet).into_iter().chain(pool_warning(wallet))
}

/// What to do before a pool is empty and invoices are refused.
fn pool_warning(wallet: &Value) -> Option<String> {
    let is_low = wallet["pool"]["low"].as_bool() == Some(true);
    is_low.then(|| {
        let (id, left) = (text(wallet, "/id"), text(wallet, "/pool/remaining"));
        format!(
            "warning: the pool of {id} has {left} addresses left. Without one no invoice can be made: \
             paywatch wallet top-up {id} --pool FILE"
        )
    })
}

/// From which gap on a wallet with the usual limit of 20 misses payments.
const GAP_WARNED: u64 = 20;

/// What to do when the merchant's own wallet does not look far enough ahead.
fn gap_warning(wallet: &Value) -> Option<String> {
    let gap = wallet["unused_gap"]
        .as_u64()
        .filter(|gap| GAP_WARNED <= *gap)?;
    Some(format!(
        "warning: {gap} addresses of {} in a row were never paid. A wallet that looks 20 ahead, as \
         most do, does not find what is paid behind them: set its gap limit to {}.",
        text(wallet, "/id"),
        text(wallet, "/recommended_gap_limit")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_solana_pool_is_warned_of() {
        for (pool, warned) in [
            (json!(null), false),
            (json!({"remaining": 501, "low": false}), false),
            (json!({"remaining": 7, "low": true}), true),
        ] {
            let wallet = json!({"id": "wal_1", "pool": pool});
            let warning = pool_warning(&wallet);
            assert_eq!(warning.is_some(), warned, "{wallet}");
            assert!(warning.is_none_or(|text| text.contains("wal_1 has 7")));
        }
    }

    #[test]
    fn a_gap_is_warned_of_when_usual_wallets_stop_before_its_end() {
        for (gap, warned) in [(0, false), (19, false), (20, true), (21, true), (900, true)] {
            let wallet = json!({"id": "wal_1", "unused_gap": gap, "recommended_gap_limit": 77});
            let warning = gap_warning(&wallet);
            assert_eq!(warning.is_some(), warned, "{gap}");
            assert!(warning.is_none_or(|text| text.contains("wal_1") && text.contains("to 77")));
        }
    }
}
