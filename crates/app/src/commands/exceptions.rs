//! `paywatch exceptions`: what a person has to decide, and the decisions.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

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
    /// List what has to be decided, newest first.
    List {
        /// Only those of this kind, for example underpaid.
        #[arg(long)]
        kind: Option<String>,
        /// Those that are resolved, or all of them.
        #[arg(long, default_value = "open")]
        state: State,
        /// How many, up to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show one exception.
    Show {
        /// The exception's id.
        id: String,
    },
    /// Decide about an exception.
    Resolve {
        /// The exception's id.
        id: String,
        /// What is decided: see `possible` in `show`; `assign` only names who takes care of it.
        #[arg(long)]
        action: String,
        /// Why, in a word of your own; needed to ignore.
        #[arg(long)]
        reason: Option<String>,
        /// Anything else.
        #[arg(long)]
        note: Option<String>,
        /// Who takes care of it.
        #[arg(long)]
        owner: Option<String>,
        /// With refund: how much, when it is not all.
        #[arg(long)]
        amount: Option<String>,
        /// With refund: the transaction.
        #[arg(long)]
        tx_id: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Open,
    Resolved,
    All,
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::List { kind, state, limit } => list(output, &client, kind, state, limit).await,
        Action::Show { id } => {
            let exception = client.get(&format!("/v1/exceptions/{id}")).await?;
            output.say(&exception, || describe(&exception));
            Ok(())
        }
        Action::Resolve {
            id,
            action,
            reason,
            note,
            owner,
            amount,
            tx_id,
        } => {
            let mut body = json!({ "action": action });
            let fields = [
                ("reason", reason),
                ("note", note),
                ("owner", owner),
                ("amount", amount),
                ("tx_id", tx_id),
            ];
            for (name, value) in fields {
                if let Some(value) = value {
                    body[name] = Value::from(value);
                }
            }
            let path = format!("/v1/exceptions/{id}/resolve");
            let exception = client.post(&path, &body).await?;
            output.say(&exception, || describe(&exception));
            Ok(())
        }
    }
}

async fn list(
    output: Output,
    client: &Client,
    kind: Option<String>,
    state: State,
    limit: u32,
) -> anyhow::Result<()> {
    let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind}"));
    let state = match state {
        State::Open => "&state=open",
        State::Resolved => "&state=resolved",
        State::All => "",
    };
    let path = format!("/v1/exceptions?limit={limit}{kind}{state}");
    let page = client.get(&path).await?;
    let row = |exception: &Value| {
        let fields = [
            "/id",
            "/kind",
            "/state",
            "/amount",
            "/asset",
            "/invoice_id",
            "/owner",
            "/opened_at",
        ];
        fields.iter().map(|field| text(exception, field)).collect()
    };
    let rows = data(&page)?.iter().map(row).collect();
    let head = [
        "id", "kind", "state", "amount", "asset", "invoice", "owner", "since",
    ];
    output.table(&page, &head, rows);
    Ok(())
}

fn describe(exception: &Value) -> String {
    let mut lines = vec![
        format!(
            "{}  {}  {}  (invoice {}, since {}, owner {})",
            text(exception, "/id"),
            text(exception, "/kind"),
            text(exception, "/state"),
            text(exception, "/invoice_id"),
            text(exception, "/opened_at"),
            text(exception, "/owner"),
        ),
        format!("  {}", text(exception, "/detail")),
    ];
    for tx_id in exception["tx_ids"].as_array().into_iter().flatten() {
        let tx_id = tx_id.as_str().unwrap_or_default();
        lines.push(format!("  in {tx_id}"));
    }
    if exception["resolution"].is_object() {
        lines.push(format!(
            "  {} by {} at {}: {} {}",
            text(exception, "/resolution/action"),
            text(exception, "/resolution/actor"),
            text(exception, "/resolution/at"),
            text(exception, "/resolution/reason"),
            text(exception, "/resolution/note"),
        ));
    } else if let Some(actions) = exception["actions"].as_array() {
        let names: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
        lines.push(format!("  possible: {}", names.join(", ")));
    }
    lines.join("\n")
}
