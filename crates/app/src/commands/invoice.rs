//! `paywatch invoice`: made, shown, listed, watched, checked, and with notes kept.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::request;
use crate::client::{Client, Connection};
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
    /// Make an invoice.
    Create {
        /// A way to pay, for example btc@bitcoin=0.0015; give it again for each further one. A wallet
        /// that is not the default one stands behind a comma: btc@bitcoin=0.0015,wal_…
        #[arg(long = "option", value_name = "ASSET=AMOUNT[,WALLET]", required = true)]
        options: Vec<String>,
        /// Your own reference.
        #[arg(long)]
        order_id: Option<String>,
        /// Seconds until it expires.
        #[arg(long)]
        expires_in: Option<u64>,
        /// The policy's name.
        #[arg(long)]
        policy: Option<String>,
    },
    /// Show one invoice.
    Show {
        /// The invoice's id.
        id: String,
    },
    /// Say why an invoice is what it is: which rule holds, what counts, what is awaited.
    Explain {
        /// The invoice's id.
        id: String,
    },
    /// List the newest invoices.
    List {
        /// Only those of this status.
        #[arg(long)]
        status: Option<String>,
    },
    /// Put a transaction on an invoice's record that pays it and that nobody saw. It is read from the chain
    /// and proven first, and refused if it does not pay the invoice.
    Attach {
        /// The invoice's id.
        id: String,
        /// The transaction's id.
        tx_id: String,
        /// The option that it pays; needed where the invoice can be paid on several chains.
        #[arg(long, value_name = "OPTION")]
        option: Option<String>,
        /// The block that holds it, by height or hash; needed where the node keeps no index of transactions
        /// and all that it paid was spent.
        #[arg(long, value_name = "HEIGHT|HASH")]
        block: Option<String>,
        /// Return at once instead of waiting until the block was read.
        #[arg(long)]
        no_wait: bool,
    },
    /// Read an invoice's addresses now: the mempool, and every block since it was made.
    Check {
        /// The invoice's id.
        id: String,
        /// Return at once instead of waiting until the blocks were read.
        #[arg(long)]
        no_wait: bool,
    },
    /// Keep a note with an invoice.
    Note {
        /// The invoice's id.
        id: String,
        /// What is written.
        text: String,
    },
    /// Keep with an invoice what was given for its money.
    Fulfil {
        /// The invoice's id.
        id: String,
        /// What it was.
        description: String,
        /// The number of a parcel, a licence or a ticket.
        #[arg(long)]
        reference: Option<String>,
    },
    /// Print an invoice each time it changes, until it is paid, expired or canceled.
    Watch {
        /// The invoice's id.
        id: String,
    },
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::Create {
            options,
            order_id,
            expires_in,
            policy,
        } => {
            let body = order(&options, order_id, expires_in, policy);
            let invoice = client.post("/v1/invoices", &body).await?;
            output.say(&invoice, || describe(&invoice));
        }
        Action::Show { id } => {
            let invoice = client.get(&format!("/v1/invoices/{id}")).await?;
            output.say(&invoice, || describe(&invoice));
        }
        Action::Explain { id } => {
            let explained = client.get(&format!("/v1/invoices/{id}/explain")).await?;
            output.say(&explained, || in_words(&explained));
        }
        Action::List { status } => {
            let filter = status.map_or_else(String::new, |status| format!("?status={status}"));
            let page = client.get(&format!("/v1/invoices{filter}")).await?;
            let rows = data(&page)?.iter().map(row).collect();
            let head = [
                "id", "status", "amount", "asset", "order", "created", "expires",
            ];
            output.table(&page, &head, rows);
        }
        Action::Attach {
            id,
            tx_id,
            option,
            block,
            no_wait,
        } => {
            let mut body = json!({ "tx_id": tx_id });
            if let Some(option) = option {
                body["option_id"] = json!(option);
            }
            match block.map(|block| block.parse::<u64>().map_err(|_| block)) {
                Some(Ok(height)) => body["block_height"] = json!(height),
                Some(Err(hash)) => body["block_hash"] = json!(hash),
                None => {}
            }
            let path = format!("/v1/invoices/{id}/transfers");
            request::ask(output, &client, &path, &body, no_wait).await?;
            tell(output, &client, &id, no_wait).await?;
        }
        Action::Check { id, no_wait } => check(output, &client, &id, no_wait).await?,
        Action::Note { id, text } => {
            keep(output, &client, &id, "notes", &json!({ "text": text })).await?;
        }
        Action::Fulfil {
            id,
            description,
            reference,
        } => {
            let body = json!({ "description": description, "reference": reference });
            keep(output, &client, &id, "fulfilments", &body).await?;
        }
        Action::Watch { id } => watch(output, &client, &id).await?,
    }
    Ok(())
}

/// The request that makes an invoice.
fn order(
    options: &[String],
    order_id: Option<String>,
    expires_in: Option<u64>,
    policy: Option<String>,
) -> Value {
    let options: Vec<Value> = options.iter().map(|text| option(text)).collect();
    let mut body = json!({ "options": options });
    let fields = [
        ("order_id", order_id.map(Value::from)),
        ("expires_in_s", expires_in.map(Value::from)),
        ("policy", policy.map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

/// Puts something on an invoice's record.
async fn keep(
    output: Output,
    client: &Client,
    id: &str,
    kind: &str,
    body: &Value,
) -> anyhow::Result<()> {
    let kept = client
        .post(&format!("/v1/invoices/{id}/{kind}"), body)
        .await?;
    output.say(&kept, || format!("kept with {id}"));
    Ok(())
}

/// Checks an invoice on every chain on which it can be paid.
async fn check(output: Output, client: &Client, id: &str, no_wait: bool) -> anyhow::Result<()> {
    let invoice = client.get(&format!("/v1/invoices/{id}")).await?;
    let options = invoice["options"].as_array().into_iter().flatten();
    let chains: BTreeSet<&str> = options.filter_map(|one| one["chain"].as_str()).collect();
    for chain in chains {
        let path = format!("/v1/invoices/{id}/check");
        request::ask(output, client, &path, &json!({ "chain": chain }), no_wait).await?;
    }
    tell(output, client, id, no_wait).await
}

/// Says for people how the invoice stands after it was read.
async fn tell(output: Output, client: &Client, id: &str, no_wait: bool) -> anyhow::Result<()> {
    if no_wait || output.json {
        return Ok(());
    }
    let invoice = client.get(&format!("/v1/invoices/{id}")).await?;
    output.note(&format!("the invoice is {}", text(&invoice, "/status")));
    Ok(())
}

/// An explanation as people read it.
fn in_words(explained: &Value) -> String {
    let mut lines = vec![
        format!(
            "{} is {}.",
            text(explained, "/invoice_id"),
            text(explained, "/status")
        ),
        format!("Next: {}", text(explained, "/next_action/text")),
    ];
    for rule in explained["rules"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {}", text(rule, "/asset"), text(rule, "/text")));
    }
    for transfer in explained["transfers"].as_array().into_iter().flatten() {
        let (amount, asset) = (text(transfer, "/amount"), text(transfer, "/asset"));
        let (tx_id, reason) = (text(transfer, "/tx_id"), text(transfer, "/reason/text"));
        lines.push(format!("{amount} {asset} in {tx_id}: {reason}"));
        for stood in transfer["placements"].as_array().into_iter().flatten() {
            let place = match stood["block_height"].as_u64() {
                Some(height) => format!("block {height}"),
                None => "mempool".to_owned(),
            };
            let left = match stood["left_at"].as_str() {
                Some(left) => format!("until {left} ({})", text(stood, "/left_reason")),
                None => "until now".to_owned(),
            };
            lines.push(format!(
                "  {place} from {} {left}",
                text(stood, "/entered_at")
            ));
        }
    }
    for awaited in explained["awaited"].as_array().into_iter().flatten() {
        lines.push(format!("Awaited: {}", text(awaited, "/text")));
    }
    lines.join("\n")
}

async fn watch(output: Output, client: &Client, id: &str) -> anyhow::Result<()> {
    let mut version = None;
    loop {
        let invoice = client.get(&format!("/v1/invoices/{id}")).await?;
        if version != invoice["version"].as_u64() {
            version = invoice["version"].as_u64();
            output.say(&invoice, || describe(&invoice));
        }
        let open = ["created", "detected", "confirming", "underpaid"];
        if !open.contains(&invoice["status"].as_str().unwrap_or_default()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// One way to pay in the words of a request. What cannot stand in it, the server says.
fn option(text: &str) -> Value {
    let (asset, rest) = text
        .split_once('=')
        .map_or((text, None), |(asset, rest)| (asset, Some(rest)));
    let (amount, wallet) = match rest.map(|rest| rest.split_once(',').unwrap_or((rest, ""))) {
        Some((amount, wallet)) => (
            Some(amount),
            Some(wallet).filter(|wallet| !wallet.is_empty()),
        ),
        None => (None, None),
    };
    json!({ "asset": asset, "amount": amount, "wallet_id": wallet })
}

/// An invoice in a list: of several options the first, and how many there are beside it.
fn row(invoice: &Value) -> Vec<String> {
    let fields = [
        "/id",
        "/status",
        "/options/0/amount",
        "/options/0/asset",
        "/order_id",
        "/created_at",
        "/expires_at",
    ];
    let count = invoice["options"].as_array().map_or(0, Vec::len);
    let cells = fields.iter().map(|field| match *field {
        "/options/0/asset" if 1 < count => {
            format!("{} or {} more", text(invoice, field), count - 1)
        }
        field => text(invoice, field),
    });
    cells.collect()
}

fn describe(invoice: &Value) -> String {
    let mut lines = vec![format!(
        "{}  {}  (version {}, expires {})",
        text(invoice, "/id"),
        text(invoice, "/status"),
        text(invoice, "/version"),
        text(invoice, "/expires_at")
    )];
    for option in invoice["options"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  pay {} {} to {}",
            text(option, "/amount"),
            text(option, "/asset"),
            text(option, "/address")
        ));
        let mark = if option["id"] == invoice["paid_option"] {
            ", made it paid"
        } else {
            ""
        };
        lines.push(format!(
            "    {}: seen {}, final {}, remaining {}{mark}",
            text(option, "/status"),
            text(option, "/tally/seen"),
            text(option, "/tally/final"),
            text(option, "/tally/remaining")
        ));
    }
    for transfer in invoice["transfers"].as_array().into_iter().flatten() {
        let progress = match transfer["finality"]["kind"].as_str() {
            Some("depth") => format!(
                " ({} of {})",
                text(transfer, "/finality/have"),
                text(transfer, "/finality/need")
            ),
            Some(_) | None => String::new(),
        };
        lines.push(format!(
            "  {} {} in {}{progress}",
            text(transfer, "/certainty"),
            text(transfer, "/amount"),
            text(transfer, "/tx_id"),
        ));
    }
    for exception in invoice["exceptions"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {} exception {}: {}",
            text(exception, "/state"),
            text(exception, "/kind"),
            text(exception, "/detail")
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_an_asset_an_amount_and_perhaps_a_wallet() {
        for (text, asset, amount, wallet) in [
            (
                "btc@bitcoin=0.0015",
                "btc@bitcoin",
                json!("0.0015"),
                json!(null),
            ),
            ("usdc@base=1,wal_1", "usdc@base", json!("1"), json!("wal_1")),
            ("btc@bitcoin", "btc@bitcoin", json!(null), json!(null)),
        ] {
            let expected = json!({ "asset": asset, "amount": amount, "wallet_id": wallet });
            assert_eq!(option(text), expected, "{text}");
        }
    }
}
