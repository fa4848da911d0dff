//! `paywatch audit`: who did what, and whether the log is as it was written.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use paywatch_store::audit::{self, Verified, seal_text};
use paywatch_store::{Conn, MasterKey};
use serde_json::{Value, json};

use super::keys::{checked, with_store};
use crate::client::Connection;
use crate::config::{Config, Problems};
use crate::output::{Output, data, text};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List what was done, newest first.
    List {
        #[command(flatten)]
        connection: Connection,
        /// The log of the key's merchant, or that of the installation, such as what was asked of chains.
        #[arg(long, default_value = "merchant")]
        log: LogName,
        /// How many, up to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Only what was done before the row with this number.
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Read every log in the database from its first row to its last, and name the first row that was
    /// changed, dropped or inserted by somebody without the master key.
    Verify {
        /// A line that an earlier verification printed and that you kept elsewhere, as LOG:NUMBER:SEAL. The
        /// row must still be there: this alone tells when the end of a log was cut off.
        #[arg(long, value_name = "LOG:NUMBER:SEAL")]
        noted: Vec<Noted>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LogName {
    Merchant,
    Installation,
}

/// The end of a log, as somebody noted it.
#[derive(Clone, Debug)]
struct Noted {
    log: String,
    number: i64,
    seal: String,
}

impl FromStr for Noted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (log, number, seal) = (parts.next(), parts.next(), parts.next());
        let number = number.and_then(|number| number.parse().ok());
        match (log, number, seal, parts.next()) {
            (Some(log), Some(number), Some(seal), None) => Ok(Self {
                log: log.to_owned(),
                number,
                seal: seal.to_ascii_lowercase(),
            }),
            _ => Err("write it as `paywatch audit verify` prints it: LOG:NUMBER:SEAL".to_owned()),
        }
    }
}

pub(crate) async fn run(
    output: Output,
    load: impl FnOnce() -> Result<Config, Problems>,
    arguments: Arguments,
) -> anyhow::Result<()> {
    match arguments.action {
        Action::List {
            connection,
            log,
            limit,
            before,
        } => {
            let log = match log {
                LogName::Merchant => "merchant",
                LogName::Installation => "installation",
            };
            let after = before.map_or_else(String::new, |at| format!("&starting_after={at}"));
            let path = format!("/v1/audit?log={log}&limit={limit}{after}");
            let page = connection.open()?.get(&path).await?;
            let rows = data(&page)?.iter().map(row).collect();
            let head = ["number", "time", "actor", "action", "subject", "change"];
            output.table(&page, &head, rows);
            Ok(())
        }
        Action::Verify { noted } => {
            with_store(&load()?, async |store, master| {
                let master = checked(&store, master).await?;
                let mut conn = store.snapshot().await?;
                verify(output, &mut conn, &master, &noted).await
            })
            .await
        }
    }
}

fn row(entry: &Value) -> Vec<String> {
    let state = |side: &str| entry[side]["state"].as_str();
    let change = match (state("before"), state("after")) {
        (Some(before), Some(after)) => format!("{before} -> {after}"),
        (None, Some(after)) => after.to_owned(),
        (_, None) => "-".to_owned(),
    };
    let fields = ["/number", "/created_at", "/actor", "/action", "/subject"];
    let mut row: Vec<String> = fields.iter().map(|field| text(entry, field)).collect();
    row.push(change);
    row
}

async fn verify(
    output: Output,
    conn: &mut Conn,
    master: &MasterKey,
    noted: &[Noted],
) -> anyhow::Result<()> {
    let mut logs = Vec::new();
    for log in audit::logs(conn).await? {
        let found = audit::verify(conn, master, &log).await?;
        logs.push((log, found));
    }
    let mut faults: Vec<String> = logs.iter().filter_map(fault).collect();
    for one in noted {
        let seal = audit::seal_of(conn, &one.log, one.number).await?;
        if seal.map(|seal| seal_text(&seal)).as_deref() != Some(one.seal.as_str()) {
            let Noted { log, number, .. } = one;
            faults.push(format!(
                "row {number} of the log {log} is not the one that was noted"
            ));
        }
    }
    let value: Vec<Value> = logs.iter().map(describe).collect();
    output.say(
        &json!({ "ok": faults.is_empty(), "logs": value, "faults": faults }),
        || match logs.as_slice() {
            [] => "nothing was recorded yet".to_owned(),
            logs => logs.iter().map(sentence).collect::<Vec<_>>().join("\n"),
        },
    );
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn fault((log, found): &(String, Verified)) -> Option<String> {
    let fault = found.fault?;
    Some(format!(
        "row {} of the log {log} does not fit: {}",
        fault.number, fault.why
    ))
}

fn describe((log, found): &(String, Verified)) -> Value {
    let fault = found.fault;
    json!({
        "log": log,
        "rows": found.rows,
        "seal": seal_text(&found.seal),
        "first_fault": fault.map(|fault| json!({ "number": fault.number, "detail": fault.why })),
    })
}

fn sentence((log, found): &(String, Verified)) -> String {
    let rows = found.rows;
    format!(
        "{rows} rows fit; the last is {log}:{rows}:{}",
        seal_text(&found.seal)
    )
}
