//! `paywatch wallet`: public keys that addresses are derived from.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Connection;
use crate::output::{Output, data, text};

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
    Add {
        /// xpub, zpub, tpub, vpub, … (a plain xpub makes bc1q addresses), or a descriptor for any
        /// other form: tr(xpub/0/*), pkh(xpub/0/*), sh(wpkh(xpub/0/*)),
        /// wsh(sortedmulti(2,xpub/0/*,xpub/0/*)). Never a private key.
        key: String,
        /// Which chains it is for.
        #[arg(long, default_value = "bitcoin")]
        family: String,
        /// A name for people.
        #[arg(long)]
        label: Option<String>,
        /// First index to hand out, for a key that was used elsewhere.
        #[arg(long)]
        start_index: Option<u32>,
    },
    /// Confirm that the first addresses are those of your own wallet.
    Confirm {
        /// The wallet's id.
        id: String,
    },
    /// List the wallets.
    List,
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::Add {
            key,
            family,
            label,
            start_index,
        } => {
            let mut body = json!({ "chain_family": family, "key": key });
            if let Some(label) = label {
                body["label"] = json!(label);
            }
            if let Some(index) = start_index {
                body["start_index"] = json!(index);
            }
            let wallet = client.post("/v1/wallets", &body).await?;
            output.say(&wallet, || registered(&wallet));
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
            let head = [
                "id",
                "family",
                "kind",
                "fingerprint",
                "label",
                "state",
                "default",
                "next index",
            ];
            output.table(&page, &head, rows);
        }
    }
    Ok(())
}

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
    for address in wallet["first_addresses"].as_array().into_iter().flatten() {
        let (path, address) = (text(address, "/derivation_path"), text(address, "/address"));
        lines.push(format!("  {path}  {address}"));
    }
    lines.push(format!(
        "Compare these addresses with your own wallet. If they are the same: paywatch wallet confirm {}",
        text(wallet, "/id")
    ));
    lines.join("\n")
}
