//! `paywatch request`: what was asked of the workers of chains, and waiting for it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, Connection};
use crate::output::{Output, text};
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
    /// Show how far a request is, and what it waits for.
    Show {
        /// The request's id.
        id: String,
    },
    /// Wait until a request is over, with its progress.
    Wait {
        /// The request's id.
        id: String,
    },
    /// Withdraw a request that is not over. What was done of it stays, and the next one has its turn.
    Cancel {
        /// The request's id.
        id: String,
    },
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    let request = match arguments.action {
        Action::Show { id } => client.get(&format!("/v1/requests/{id}")).await?,
        Action::Wait { id } => {
            let request = client.get(&format!("/v1/requests/{id}")).await?;
            progress::wait(&client, request).await?
        }
        Action::Cancel { id } => {
            let path = format!("/v1/requests/{id}/cancel");
            client.post(&path, &json!({})).await?
        }
    };
    output.say(&request, || sentence(&request));
    Ok(())
}

/// Asks a chain's worker for something and waits for it.
pub(crate) async fn ask(
    output: Output,
    client: &Client,
    path: &str,
    body: &Value,
    no_wait: bool,
) -> anyhow::Result<()> {
    let mut request = client.post(path, body).await?;
    if !no_wait {
        request = progress::wait(client, request).await?;
    }
    output.say(&request, || sentence(&request));
    Ok(())
}

fn sentence(request: &Value) -> String {
    let [id, kind, chain, state] =
        ["/id", "/kind", "/chain", "/state"].map(|field| text(request, field));
    if state != "done" {
        let [done, total] = ["/blocks_done", "/blocks_total"].map(|field| text(request, field));
        let mut line = format!("{id}: {kind} of {chain} is {state}, {done} of {total} blocks");
        if let Some(error) = request["error"].as_str() {
            line.push_str(": ");
            line.push_str(error);
        }
        return line;
    }
    let blocks = text(request, "/blocks_done");
    match kind.as_str() {
        "rescan" => format!(
            "{blocks} blocks of {chain} were read again: {} transfers were missing, {} did not stand there",
            text(request, "/findings/placed"),
            text(request, "/findings/removed")
        ),
        "wallet_scan" => match request
            .pointer("/findings/highest_index")
            .and_then(Value::as_u64)
        {
            Some(highest) => format!(
                "the highest index that was ever paid is {highest}; the next invoice gets a higher one"
            ),
            None => format!("in {blocks} blocks of {chain} no address of this wallet was paid"),
        },
        "attach" => match request.pointer("/findings/placed").and_then(Value::as_u64) {
            Some(0) => format!(
                "{} was on record already; nothing has changed",
                text(request, "/tx_id")
            ),
            _ => format!(
                "{} was read from its block and is on record now",
                text(request, "/tx_id")
            ),
        },
        "check" => format!(
            "the mempool and {blocks} blocks of {chain} were read: {} transfers were missing, {} did not stand there",
            text(request, "/findings/placed"),
            text(request, "/findings/removed")
        ),
        _ => format!("{chain} goes on; the node's tip was reached after {blocks} blocks"),
    }
}
