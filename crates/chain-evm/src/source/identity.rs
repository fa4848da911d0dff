//! Who answers: the right chain, in step, with the assets as they are configured.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_primitives::{Bytes, U64, U256};
use paywatch_chain::rpc::{Call, CallError, NodeError, words};
use paywatch_chain::{Health, SourceError};
use paywatch_domain::AssetName;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::EvmSource;
use super::capabilities::{Capabilities, ReceiptsBy};
use super::headers::header_call;
use crate::address::address_text;

/// Blocks that a node may be behind of what it knows of, and count as in step: some are just being read.
const BEHIND_MAX: u64 = 32;
/// `decimals()` (<https://eips.ethereum.org/EIPS/eip-20>).
const DECIMALS: &str = "0x313ce567";

/// What was found out about an endpoint, until the connection breaks.
#[derive(Debug)]
pub(super) struct Known {
    version: String,
    pub(super) capabilities: Capabilities,
    pub(super) receipts: Option<ReceiptsBy>,
    /// Whether it tells how far it is behind.
    tells_progress: bool,
}

/// `eth_syncing` of a node that is behind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    current_block: U64,
    highest_block: U64,
}

impl EvmSource {
    pub(super) async fn ask_health(&self) -> Result<Health, SourceError> {
        let known = self.identified().await?;
        let mut calls = vec![chain_id_call(), header_call(&json!("latest"))];
        if known.tells_progress {
            calls.push(("eth_syncing", Vec::new()));
        }
        let mut answers = self.ask(&calls).await?.into_iter();
        let mut next = || {
            let answer = answers.next();
            let answer = answer.ok_or_else(|| self.malformed("an answer is missing".to_owned()))?;
            answer.map_err(|error| self.told(error))
        };
        self.check_chain_id(&next()?)?;
        let tip = self.read_head(&next()?)?;
        let tip = tip.ok_or_else(|| self.malformed("it has no last block".to_owned()))?;
        if known.tells_progress {
            self.check_progress(&next()?)?;
        }
        Ok(Health {
            version: known.version.clone(),
            tip: tip.at,
            // A node that has thrown away history does not say how much of it.
            lowest: 0,
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
        let answer = self.endpoint.ask_one(chain_id_call()).await;
        self.check_chain_id(&answer.map_err(|error| self.failed(error))?)?;
        self.check_genesis().await?;
        let version = match self
            .endpoint
            .ask_one(("web3_clientVersion", Vec::new()))
            .await
        {
            Ok(answer) => words(answer.get().trim_matches('"')),
            // Hosted endpoints may hide it; nothing depends on it.
            Err(CallError::Refused(_) | CallError::Node(_)) => "unknown version".to_owned(),
            Err(error) => return Err(self.failed(error)),
        };
        let tells_progress = match self.endpoint.ask_one(("eth_syncing", Vec::new())).await {
            Ok(_) => true,
            Err(CallError::Refused(_) | CallError::Node(_)) => false,
            Err(error) => return Err(self.failed(error)),
        };
        let tip = self.tip().await?;
        let (capabilities, receipts) = self.probe(&tip).await?;
        self.check_decimals().await?;
        if capabilities.traces.is_empty() && !self.rules.native_logs {
            let chain = &self.chain;
            tracing::warn!(%chain, "the endpoint gives no traces: payments by contracts are seen late, by balances");
        }
        Ok(Known {
            version,
            capabilities,
            receipts,
            tells_progress,
        })
    }

    fn check_chain_id(&self, answer: &RawValue) -> Result<(), SourceError> {
        let found: U64 = serde_json::from_str(answer.get())
            .map_err(|error| self.malformed(format!("eth_chainId: {error}")))?;
        if found.to::<u64>() == self.chain_id {
            return Ok(());
        }
        self.forget();
        Err(SourceError::WrongNetwork {
            chain: self.chain.clone(),
            expected: format!("chain id {}", self.chain_id),
            found: format!("chain id {found}"),
        })
    }

    async fn check_genesis(&self) -> Result<(), SourceError> {
        let Some(expected) = &self.genesis else {
            return Ok(());
        };
        let head = self.head_at(0).await?;
        let found = head.map_or_else(|| "nothing".to_owned(), |head| head.at.hash.to_string());
        if found.eq_ignore_ascii_case(expected.as_str()) {
            return Ok(());
        }
        Err(SourceError::WrongNetwork {
            chain: self.chain.clone(),
            expected: format!("first block {expected}"),
            found: format!("first block {found}"),
        })
    }

    fn check_progress(&self, answer: &RawValue) -> Result<(), SourceError> {
        // In step it is `false`; some nodes tell less than how far they are.
        let Ok(progress) = serde_json::from_str::<Progress>(answer.get()) else {
            return Ok(());
        };
        let [done, total] =
            [progress.current_block, progress.highest_block].map(|it| it.to::<u64>());
        if total.saturating_sub(done) <= BEHIND_MAX {
            return Ok(());
        }
        let chain = self.chain.clone();
        Err(SourceError::Synchronising { chain, done, total })
    }

    /// Compares the decimals of every token with those of its contract: an amount that is read with
    /// others is wrong by a power of ten.
    async fn check_decimals(&self) -> Result<(), SourceError> {
        let tokens: BTreeSet<_> = self.assets.tokens.iter().collect();
        let calls: Vec<Call<'_>> = tokens
            .iter()
            .map(|(contract, _)| {
                let call = json!({"to": contract, "data": DECIMALS});
                ("eth_call", vec![call, json!("latest")])
            })
            .collect();
        let answers = self.ask(&calls).await?;
        for ((contract, token), answer) in tokens.into_iter().zip(answers) {
            let found = match answer {
                Ok(answer) => number(&answer),
                Err(error) if is_reverted(&error) => None,
                Err(error) => return Err(self.told(error)),
            };
            if found == Some(U256::from(token.decimals)) {
                continue;
            }
            let contract = address_text(*contract);
            return Err(self.misconfigured(&token.name, &contract, token.decimals, found));
        }
        Ok(())
    }

    fn misconfigured(
        &self,
        asset: &AssetName,
        contract: &str,
        configured: u8,
        found: Option<U256>,
    ) -> SourceError {
        let detail = match found {
            Some(found) => format!(
                "{asset} is configured with {configured} decimals, and its contract {contract} \
                 says {found}; correct the decimals or the contract"
            ),
            None => format!(
                "{asset} is configured with {configured} decimals, and at its contract {contract} \
                 nothing tells any: there is no token on this chain; correct the contract"
            ),
        };
        SourceError::Misconfigured {
            chain: self.chain.clone(),
            detail,
        }
    }
}

fn chain_id_call() -> Call<'static> {
    ("eth_chainId", Vec::new())
}

/// The number that a call returned. An account without code returns nothing.
fn number(answer: &RawValue) -> Option<U256> {
    let returned: Bytes = serde_json::from_str(answer.get()).ok()?;
    Some(U256::from_be_bytes(
        <[u8; 32]>::try_from(returned.as_ref()).ok()?,
    ))
}

/// Whether the called code, and not the endpoint, refused.
fn is_reverted(error: &NodeError) -> bool {
    /// <https://github.com/ethereum/go-ethereum/blob/master/internal/ethapi/errors.go>
    const REVERTED: i64 = 3;
    let message = error.message.to_lowercase();
    error.code == REVERTED || message.contains("revert") || message.contains("invalid opcode")
}
