//! `paywatch chains`: how far chains were read, and what to do about one that is halted or in doubt.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::request;
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
    /// Show each chain: how far it was read, and what keeps it.
    List,
    /// Let a halted chain go on with what its node says. Look at the node first and compare it with
    /// another one: invoices whose money is gone in the node's chain are told as reverted.
    Resume {
        /// The chain's name.
        chain: String,
        /// Return at once instead of waiting until the node's tip is reached.
        #[arg(long)]
        no_wait: bool,
    },
    /// Read blocks again and correct what is stored about them. Invoices about which everything was
    /// right hear nothing.
    Rescan {
        /// The chain's name.
        chain: String,
        /// The lowest block; not below the one from which the chain is followed.
        #[arg(long, value_name = "HEIGHT")]
        from: u64,
        /// The highest block; the last one that was read when nothing is said.
        #[arg(long, value_name = "HEIGHT")]
        to: Option<u64>,
        /// Return at once instead of waiting until the blocks were read.
        #[arg(long)]
        no_wait: bool,
    },
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::List => {
            let page = client.get("/v1/chains").await?;
            let rows = data(&page)?.iter().flat_map(rows).collect();
            let head = [
                "chain",
                "from",
                "height",
                "behind",
                "catching up",
                "covered until",
                "state",
            ];
            output.table(&page, &head, rows);
            Ok(())
        }
        Action::Resume { chain, no_wait } => {
            let path = format!("/v1/chains/{chain}/resume");
            request::ask(output, &client, &path, &json!({}), no_wait).await
        }
        Action::Rescan {
            chain,
            from,
            to,
            no_wait,
        } => {
            let mut body = json!({ "from_height": from });
            if let Some(to) = to {
                body["to_height"] = json!(to);
            }
            let path = format!("/v1/chains/{chain}/rescan");
            request::ask(output, &client, &path, &body, no_wait).await
        }
    }
}

/// A chain, and below it each of its endpoints.
fn rows(chain: &Value) -> Vec<Vec<String>> {
    let endpoints = chain["endpoints"].as_array();
    let endpoints = endpoints.into_iter().flatten().map(endpoint_row);
    std::iter::once(row(chain)).chain(endpoints).collect()
}

fn endpoint_row(endpoint: &Value) -> Vec<String> {
    let mut state = vec![text(endpoint, "/condition")];
    let flags = [("leading", "asked first"), ("resting", "left out of polls")];
    let flags = flags.iter().filter(|(flag, _)| endpoint[flag] == true);
    state.extend(flags.map(|(_, words)| (*words).to_owned()));
    let words = ["version", "offers"].iter();
    state.extend(words.filter_map(|key| endpoint[key].as_str().map(str::to_owned)));
    if let Some(error) = endpoint["last_error"]["detail"].as_str() {
        state.push(format!("last error: {error}"));
    }
    let none = || "-".to_owned();
    vec![
        format!("  {}", text(endpoint, "/endpoint")),
        none(),
        text(endpoint, "/tip_height"),
        text(endpoint, "/lag_blocks"),
        none(),
        none(),
        state.join("; "),
    ]
}

fn row(chain: &Value) -> Vec<String> {
    let catching_up = match &chain["catching_up"] {
        Value::Null => "-".to_owned(),
        speed => format!(
            "{} blocks done, {} a minute, {} s left",
            text(speed, "/blocks_done"),
            text(speed, "/blocks_per_minute"),
            text(speed, "/seconds_left")
        ),
    };
    let state = match (&chain["halted"], &chain["problem"]) {
        (Value::String(why), _) => format!("halted: {why}"),
        (_, Value::Object(_)) => text(chain, "/problem/detail"),
        _ if chain["accepting"] == true => "accepting invoices".to_owned(),
        _ => "not read yet".to_owned(),
    };
    vec![
        text(chain, "/chain"),
        text(chain, "/first_height"),
        text(chain, "/cursor/height"),
        text(chain, "/lag_blocks"),
        catching_up,
        text(chain, "/covered_until"),
        state,
    ]
}
