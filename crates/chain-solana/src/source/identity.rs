//! Who answers: the right cluster, in step, with the assets as they are configured.

use std::sync::Arc;

use futures_util::future::try_join;
use paywatch_chain::rpc::words;
use paywatch_chain::{Health, SourceError};
use serde::Deserialize;

use super::SolanaSource;
use super::slots::block;

/// The error of a node that is behind others.
const UNHEALTHY: i64 = -32005;

/// What was found out about an endpoint, until the connection breaks.
#[derive(Debug)]
pub(super) struct Known {
    version: String,
    lowest: u64,
}

/// `getVersion` (<https://solana.com/docs/rpc/http/getversion>).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Versions {
    solana_core: Option<String>,
    /// Of surfpool.
    surfnet_version: Option<String>,
}

impl SolanaSource {
    pub(super) async fn ask_health(&self) -> Result<Health, SourceError> {
        let known = self.identified().await?;
        let (behind, tip) = try_join(self.slots_behind(), self.ask_tip()).await?;
        if let Some(behind) = behind {
            return Err(SourceError::Synchronising {
                chain: self.chain.clone(),
                done: tip.slot,
                total: tip.slot.saturating_add(behind),
            });
        }
        Ok(Health {
            version: known.version.clone(),
            tip: block(&tip),
            lowest: known.lowest,
        })
    }

    /// By how many slots the node is behind others that it trusts, when it is by too many to say anything of
    /// now (<https://solana.com/docs/rpc/http/gethealth>).
    async fn slots_behind(&self) -> Result<Option<u64>, SourceError> {
        let health = match self.call::<String>("getHealth", &[]).await {
            Ok(health) => health,
            // Hosted endpoints may hide it.
            Err(SourceError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(match health {
            Err(error) if error.code == UNHEALTHY => {
                let mut words = error.message.split_whitespace();
                Some(words.find_map(|word| word.parse().ok()).unwrap_or(1))
            }
            Ok(_) | Err(_) => None,
        })
    }

    /// What is known of the endpoint; asked for when nothing is.
    pub(super) async fn identified(&self) -> Result<Arc<Known>, SourceError> {
        let look = || self.known().clone();
        if let Some(known) = look() {
            return Ok(known);
        }
        let _identifying = self.identifying.lock().await;
        if let Some(known) = look() {
            return Ok(known);
        }
        let known = Arc::new(self.identify().await?);
        *self.known() = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn identify(&self) -> Result<Known, SourceError> {
        self.check_genesis().await?;
        let versions: Versions = self.ask("getVersion", &[]).await?;
        let core = versions.solana_core.map_or_else(
            || "unknown version".to_owned(),
            |core| format!("solana-core {}", words(&core)),
        );
        let version = match versions.surfnet_version {
            Some(surfpool) => format!("surfpool {} ({core})", words(&surfpool)),
            None => core,
        };
        self.check_mints().await?;
        let lowest = self.lowest().await.unwrap_or_default();
        Ok(Known { version, lowest })
    }

    async fn check_genesis(&self) -> Result<(), SourceError> {
        let Some(expected) = &self.genesis else {
            return Ok(());
        };
        let found: String = self.ask("getGenesisHash", &[]).await?;
        if found.starts_with(expected) {
            return Ok(());
        }
        Err(SourceError::WrongNetwork {
            chain: self.chain.clone(),
            expected: format!("genesis hash {expected}"),
            found: format!("genesis hash {}", words(&found)),
        })
    }
}
