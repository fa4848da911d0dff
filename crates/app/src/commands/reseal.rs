//! `paywatch reseal`: seals everything with the master key that took the place of another one.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::ensure;
use indicatif::ProgressBar;
use paywatch_domain::Entropy as _;
use paywatch_engine::master_check;
use paywatch_engine::reseal::{Kind, Place, Reseal};
use paywatch_store::api_keys::{self, ApiKey};
use paywatch_store::{MasterKey, Store};
use paywatch_wire::time::rfc3339;
use serde_json::{Value, json};

use super::keys::{checked, with_store};
use crate::config::Config;
use crate::output::Output;
use crate::system::SystemEntropy;

/// What became of one kind of rows.
struct Done {
    kind: Kind,
    sealed: usize,
    broken: Vec<String>,
}

pub(crate) async fn run(output: Output, config: &Config) -> anyhow::Result<()> {
    with_store(config, async |store, master| {
        let master = checked(&store, master).await?;
        let mut all = Vec::new();
        for kind in Kind::ALL {
            all.push(reseal(&store, &master, kind).await?);
        }
        report(output, &store, &all).await
    })
    .await
}

/// Seals all rows of a kind, portion by portion. It can be broken off and begun again.
async fn reseal(store: &Store, master: &Arc<MasterKey>, kind: Kind) -> anyhow::Result<Done> {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner().with_prefix(kind.as_str())
    } else {
        ProgressBar::hidden()
    };
    let (mut after, mut done) = (Place::default(), Done::new(kind));
    loop {
        let mut seed = [0; 32];
        SystemEntropy.fill(&mut seed);
        let portion = Reseal {
            master: Arc::clone(master),
            kind,
            after,
            seed,
        };
        let portion = store.write(portion).await?;
        done.sealed = done.sealed.saturating_add(portion.sealed);
        done.broken.extend(portion.broken);
        bar.set_message(format!("{} {} are sealed", done.sealed, kind.as_str()));
        bar.tick();
        match portion.end {
            Some(end) => after = end,
            None => break,
        }
    }
    bar.finish_and_clear();
    Ok(done)
}

impl Done {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            sealed: 0,
            broken: Vec::new(),
        }
    }
}

async fn report(output: Output, store: &Store, all: &[Done]) -> anyhow::Result<()> {
    let mut conn = store.read().await?;
    let replaced_at = master_check::replaced_at(&mut conn).await?;
    let keys = api_keys::list(&mut conn).await?;
    // A key is sealed again when it is used.
    let unused = keys.iter().filter(|key| {
        let is_new = replaced_at.is_none_or(|at| at <= key.created_at);
        let is_used = key.last_used_at >= replaced_at;
        !is_new && !is_used && key.revoked_at.is_none()
    });
    let unused: Vec<&ApiKey> = unused.collect();
    let rows: Vec<Value> = all
        .iter()
        .map(|one| json!({ "kind": one.kind.as_str(), "sealed": one.sealed, "broken": one.broken }))
        .collect();
    let ids: Vec<String> = unused.iter().map(|key| key.id.to_string()).collect();
    let value =
        json!({ "replaced_at": replaced_at.map(rfc3339), "sealed": rows, "unused_keys": ids });
    output.say(&value, || {
        let counts = all.iter().map(|one| format!("{} {}", one.sealed, one.kind.as_str()));
        let counts: Vec<String> = counts.collect();
        let mut text = format!("sealed with the master key: {}", counts.join(", "));
        if !ids.is_empty() {
            text.push_str("\nnot used since the master key was replaced, and refused when the old one is gone: ");
            text.push_str(&ids.join(", "));
            text.push_str("\nuse each of them once, or `paywatch keys rotate` it");
        }
        if replaced_at.is_some() {
            text.push_str(
                "\nkeep the old master key in a safe place: `paywatch audit verify` needs it for what was done before",
            );
        }
        text
    });
    let broken: Vec<&str> = all
        .iter()
        .flat_map(|one| &one.broken)
        .map(String::as_str)
        .collect();
    ensure!(
        broken.is_empty(),
        "not as their seals say, and left as they are: {}",
        broken.join(", ")
    );
    Ok(())
}
