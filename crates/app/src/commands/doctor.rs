//! `paywatch doctor`: looks at nodes, database and keys, and says what is wrong.

use std::time::Duration;

use paywatch_chain::Source;
use paywatch_chain_evm::EvmSource;
use paywatch_store::{Conn, StoreError, chains, endpoints};
use serde_json::json;

use crate::config::{Config, Endpoints, Followed, Settings};
use crate::output::Output;
use crate::wiring::{bitcoin_source, evm_source, open_store, solana_source};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
struct Finding {
    what: String,
    /// What was found; an error says what to do.
    found: Result<String, String>,
}

pub(crate) async fn run(output: Output, config: Config) -> anyhow::Result<()> {
    let mut findings = vec![master_key(&config.settings), state_folder(&config.settings)];
    findings.extend(database(&config.settings).await);
    if config.followed.is_empty() {
        findings.push(Finding {
            what: "chains".to_owned(),
            found: Err("no chain has a url in the chains file, so nothing is followed".to_owned()),
        });
    }
    for followed in &config.followed {
        findings.extend(nodes(followed).await);
    }
    let value: Vec<_> = findings
        .iter()
        .map(|one| {
            let detail = one.found.as_ref().unwrap_or_else(|wrong| wrong);
            json!({ "what": one.what, "ok": one.found.is_ok(), "detail": detail })
        })
        .collect();
    let wrong = findings.iter().filter(|one| one.found.is_err()).count();
    output.say(&json!({ "ok": wrong == 0, "findings": value }), || {
        let line = |one: &Finding| match &one.found {
            Ok(good) => format!("ok     {}: {good}", one.what),
            Err(wrong) => format!("WRONG  {}: {wrong}", one.what),
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    anyhow::ensure!(
        wrong == 0,
        "{wrong} of {} findings are wrong",
        findings.len()
    );
    Ok(())
}

fn master_key(settings: &Settings) -> Finding {
    Finding {
        what: "master key".to_owned(),
        found: match settings.master_key {
            Some(_) => Ok("there".to_owned()),
            None => {
                Err("missing: `paywatch init` makes one, or set PAYWATCH_MASTER_KEY".to_owned())
            }
        },
    }
}

fn state_folder(settings: &Settings) -> Finding {
    let folder = settings.state_folder.display().to_string();
    let probe = settings.state_folder.join(".probe");
    let written = std::fs::create_dir_all(&settings.state_folder)
        .and_then(|()| std::fs::write(&probe, b"probe"))
        .and_then(|()| std::fs::remove_file(&probe));
    Finding {
        what: "state folder".to_owned(),
        found: match written {
            Ok(()) => Ok(format!("{folder} can be written")),
            Err(error) => Err(format!("{folder} cannot be written: {error}")),
        },
    }
}

async fn database(settings: &Settings) -> Vec<Finding> {
    let what = "database".to_owned();
    let (store, _writer) = match open_store(settings).await {
        Ok(opened) => opened,
        Err(error) => {
            return vec![Finding {
                what,
                found: Err(format!("{error:#}")),
            }];
        }
    };
    let seen = match store.read().await {
        Ok(mut conn) => look(&mut conn).await,
        Err(error) => Err(error),
    };
    match seen {
        Ok(findings) => {
            let good = Finding {
                what,
                found: Ok("the schema is this version's".to_owned()),
            };
            std::iter::once(good).chain(findings).collect()
        }
        Err(error) => vec![Finding {
            what,
            found: Err(error.to_string()),
        }],
    }
}

/// What the database knows of chains and endpoints.
async fn look(conn: &mut Conn) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    for chain in chains::all(conn).await? {
        let what = format!("chain {}", chain.chain);
        let found = match (chain.halted, chain.cursor) {
            (Some(reason), _) => Err(format!("halted: {reason}")),
            (None, Some(at)) => Ok(format!("read up to block {}", at.height)),
            (None, None) => Ok("not read yet".to_owned()),
        };
        findings.push(Finding { what, found });
    }
    for endpoint in endpoints::disabled(conn).await? {
        findings.push(Finding {
            what: format!("webhook endpoint {}", endpoint.id),
            found: Err(format!(
                "disabled: {}",
                endpoint
                    .disabled_reason
                    .unwrap_or_else(|| "no reason was kept".to_owned())
            )),
        });
    }
    Ok(findings)
}

/// Asks each endpoint of a chain by itself.
async fn nodes(followed: &Followed) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &followed.endpoints {
        Endpoints::Bitcoin(configs) => {
            for config in configs {
                let node = node(bitcoin_source(config), |_| None).await;
                findings.push(of_node(followed, &config.url, node));
            }
        }
        Endpoints::Evm(configs) => {
            for config in configs {
                let offers = |source: &EvmSource| Some(source.capabilities()?.to_string());
                let node = node(evm_source(config), offers).await;
                findings.push(of_node(followed, &config.url, node));
            }
        }
        // Genesis hash, version, mints and how far it is behind are part of its health.
        Endpoints::Solana(configs) => {
            for config in configs {
                let node = node(solana_source(config), |_| None).await;
                findings.push(of_node(followed, &config.url, node));
            }
        }
    }
    findings
}

fn of_node(followed: &Followed, url: &str, found: Result<String, String>) -> Finding {
    let place = paywatch_chain::rpc::place(url);
    Finding {
        what: format!("node of {} at {place}", followed.chain),
        found,
    }
}

/// What a node says of itself, and what else it offers.
async fn node<S: Source>(
    source: anyhow::Result<S>,
    offers: impl Fn(&S) -> Option<String>,
) -> Result<String, String> {
    let source = source.map_err(|error| format!("{error:#}"))?;
    match tokio::time::timeout(PATIENCE, source.health()).await {
        Ok(Ok(health)) => {
            let at = format!("{}, at block {}", health.version, health.tip.height);
            Ok(offers(&source).map_or(at.clone(), |offers| format!("{at}; {offers}")))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}
