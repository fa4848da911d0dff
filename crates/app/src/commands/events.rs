//! `paywatch events`: what was said, in order, and saying it again.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, Connection};
use crate::output::{Output, text};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List events in the order of their commits, oldest first.
    List {
        /// After this place in the stream; `latest` only says where it ends.
        #[arg(long, default_value = "0")]
        after: String,
        /// How many, up to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Send the event of a delivery (see `webhook deliveries`) to its endpoint again.
    Resend {
        /// The delivery's id.
        id: String,
    },
}

pub(crate) async fn run(output: Output, arguments: Arguments) -> anyhow::Result<()> {
    let client = arguments.connection.open()?;
    match arguments.action {
        Action::List { after, limit } => list(output, &client, &after, limit).await,
        Action::Resend { id } => {
            let path = format!("/v1/deliveries/{id}/redeliver");
            let delivery = client.post(&path, &json!({})).await?;
            output.say(&delivery, || {
                let [id, event, endpoint] =
                    ["/id", "/event_id", "/endpoint_id"].map(|field| text(&delivery, field));
                format!("{event} is sent to {endpoint} again, as {id}")
            });
            Ok(())
        }
    }
}

async fn list(output: Output, client: &Client, after: &str, limit: u32) -> anyhow::Result<()> {
    let path = format!("/v1/events?after={after}&limit={limit}");
    let page = client.get(&path).await?;
    let row = |event: &Value| {
        let fields = [
            "/id",
            "/type",
            "/data/invoice/id",
            "/data/invoice/status",
            "/timestamp",
        ];
        fields.iter().map(|field| text(event, field)).collect()
    };
    let rows = crate::output::data(&page)?.iter().map(row).collect();
    output.table(&page, &["id", "type", "invoice", "status", "said"], rows);
    if page["next_cursor"].is_string() {
        let next = text(&page, "/next_cursor");
        output.note(&format!("go on with --after {next}"));
    }
    Ok(())
}
