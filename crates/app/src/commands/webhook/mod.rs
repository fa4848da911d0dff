//! `paywatch webhook`: endpoints, what was sent to them, and events for a backend on this machine.

mod listen;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

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
    /// Register an endpoint; prints its secret, once.
    Add {
        /// Where to send.
        url: String,
        /// Only events of this type; may be given several times.
        #[arg(long = "event")]
        events: Vec<String>,
        /// Sign with an ed25519 key too, of which the endpoint shows the public half.
        #[arg(long)]
        asymmetric: bool,
    },
    /// List endpoints, newest first.
    List,
    /// Change an endpoint.
    Update {
        /// The endpoint's id.
        id: String,
        /// Where to send.
        #[arg(long = "to")]
        to: Option<String>,
        /// Only events of these types from now on; may be given several times.
        #[arg(long = "event")]
        events: Vec<String>,
        /// Switch it on again.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Switch it off; what is still to be sent to it is dropped.
        #[arg(long)]
        disable: bool,
        /// Whether to sign with an ed25519 key too: `true` or `false`.
        #[arg(long)]
        asymmetric: Option<bool>,
    },
    /// Give an endpoint a new secret; prints it, once.
    Rotate {
        /// The endpoint's id.
        id: String,
        /// How long the old secret signs too, in seconds.
        #[arg(long)]
        overlap_s: Option<u64>,
    },
    /// Send `endpoint.test` to an endpoint.
    Test {
        /// The endpoint's id.
        id: String,
    },
    /// Send the events of a range to an endpoint again.
    Replay {
        /// The endpoint's id.
        id: String,
        /// After this place in the stream of events; 0 for all.
        #[arg(long)]
        after: u64,
        /// Up to this place, which is included.
        #[arg(long)]
        until: Option<u64>,
    },
    /// Delete an endpoint.
    Delete {
        /// The endpoint's id.
        id: String,
    },
    /// List deliveries, newest first.
    Deliveries {
        /// How many, up to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Forward events to a backend on this machine as webhooks, signed with a secret that is printed, until
    /// interrupted.
    Listen(listen::Arguments),
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    let at = |id: &str| format!("/v1/webhook-endpoints/{id}");
    match arguments.action {
        Action::Add {
            url,
            events,
            asymmetric,
        } => {
            let body = json!({ "url": url, "event_types": events, "asymmetric": asymmetric });
            show(output, &client.post("/v1/webhook-endpoints", &body).await?);
            Ok(())
        }
        Action::List => list(output, &client).await,
        Action::Update {
            id,
            to,
            events,
            enable,
            disable,
            asymmetric,
        } => {
            let mut body = Map::new();
            if let Some(to) = to {
                body.insert("url".into(), to.into());
            }
            if !events.is_empty() {
                body.insert("event_types".into(), events.into());
            }
            if enable || disable {
                body.insert("enabled".into(), enable.into());
            }
            if let Some(asymmetric) = asymmetric {
                body.insert("asymmetric".into(), asymmetric.into());
            }
            show(output, &client.patch(&at(&id), &body.into()).await?);
            Ok(())
        }
        Action::Rotate { id, overlap_s } => {
            let body = overlap_s.map_or_else(|| json!({}), |s| json!({ "overlap_s": s }));
            let path = format!("{}/rotate-secret", at(&id));
            show(output, &client.post(&path, &body).await?);
            Ok(())
        }
        Action::Test { id } => {
            let path = format!("{}/test", at(&id));
            let delivery = client.post(&path, &json!({})).await?;
            output.say(&delivery, || {
                let [id, event] = ["/id", "/event_id"].map(|field| text(&delivery, field));
                format!("{event} is sent, as {id}; `webhook deliveries` shows what comes back")
            });
            Ok(())
        }
        Action::Replay { id, after, until } => {
            replay(output, &client, &at(&id), after, until).await
        }
        Action::Delete { id } => {
            let gone = client.delete(&at(&id)).await?;
            output.say(&gone, || format!("{id} is deleted"));
            Ok(())
        }
        Action::Deliveries { limit } => deliveries(output, &client, limit).await,
        Action::Listen(arguments) => listen::run(output, &client, arguments).await,
    }
}

/// Shows an endpoint, with its public key and its secret where the answer has them.
fn show(output: Output, endpoint: &Value) {
    output.say(endpoint, || {
        let [id, state, url] = ["/id", "/state", "/url"].map(|field| text(endpoint, field));
        let types = types(endpoint);
        let mut line = format!("{id}  {state}  {url}  ({types})");
        if let Some(key) = endpoint["public_key"].as_str() {
            line.push_str("\n  public key: ");
            line.push_str(key);
        }
        match endpoint["secret"].as_str() {
            Some(secret) => format!("{line}\n  secret, shown once: {secret}"),
            None => line,
        }
    });
}

fn types(endpoint: &Value) -> String {
    let types = endpoint["event_types"].as_array().into_iter().flatten();
    let types: Vec<&str> = types.filter_map(Value::as_str).collect();
    if types.is_empty() {
        "all events".into()
    } else {
        types.join(", ")
    }
}

async fn list(output: Output, client: &Client) -> anyhow::Result<()> {
    let page = client.get("/v1/webhook-endpoints?limit=100").await?;
    let row = |endpoint: &Value| {
        let fields = [
            "/id",
            "/state",
            "/url",
            "/failing_since",
            "/disabled_reason",
        ];
        let mut row: Vec<String> = fields.iter().map(|field| text(endpoint, field)).collect();
        row.insert(3, types(endpoint));
        row
    };
    let rows = data(&page)?.iter().map(row).collect();
    let head = [
        "id",
        "state",
        "url",
        "events",
        "failing since",
        "disabled because",
    ];
    output.table(&page, &head, rows);
    Ok(())
}

async fn deliveries(output: Output, client: &Client, limit: u32) -> anyhow::Result<()> {
    let page = client.get(&format!("/v1/deliveries?limit={limit}")).await?;
    let row = |delivery: &Value| {
        let fields = [
            "/id",
            "/event_type",
            "/endpoint_id",
            "/state",
            "/attempt_count",
            "/due_at",
        ];
        let mut row: Vec<String> = fields.iter().map(|field| text(delivery, field)).collect();
        let last = delivery["attempts"].as_array().and_then(|all| all.last());
        row.push(last.map_or_else(
            || "-".into(),
            |last| match &last["error"] {
                Value::Null => text(last, "/status_code"),
                error => error.as_str().unwrap_or_default().to_owned(),
            },
        ));
        row
    };
    let rows = data(&page)?.iter().map(row).collect();
    let head = [
        "id",
        "event",
        "endpoint",
        "state",
        "attempts",
        "next",
        "last answer",
    ];
    output.table(&page, &head, rows);
    Ok(())
}

/// Asks again as long as there is more in the range.
async fn replay(
    output: Output,
    client: &Client,
    endpoint: &str,
    after: u64,
    until: Option<u64>,
) -> anyhow::Result<()> {
    let (mut after, mut count) = (Value::from(after), 0_u64);
    loop {
        let body = json!({ "after": after, "until": until });
        let replayed = client.post(&format!("{endpoint}/replay"), &body).await?;
        count = count.saturating_add(replayed["deliveries"].as_u64().unwrap_or_default());
        let next = replayed["next_after"].clone();
        let is_more = until.is_none_or(|until| next.as_u64().is_some_and(|next| next < until));
        if next.is_null() || !is_more {
            break;
        }
        after = next;
    }
    let answer = json!({ "deliveries": count });
    output.say(&answer, || format!("{count} events are sent again"));
    Ok(())
}
