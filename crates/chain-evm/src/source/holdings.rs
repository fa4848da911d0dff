//! What accounts hold at the end of a block: for endpoints that do not tell what contracts paid.
//!
//! By one call of code that is on no chain, where the endpoint runs such; else one question for each
//! account. The number of sent transactions, which no code can read, is asked for only where the balance
//! is not what it should be.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U64, U256, hex};
use paywatch_chain::rpc::Call;
use paywatch_chain::{Holder, Holding, SourceError};
use paywatch_domain::{Amount, BlockRef};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::EvmSource;
use super::capabilities::NOBODY;
use super::fetch::{Gap, given};
use super::identity::Known;
use crate::json::read;

/// Accounts of one call: each costs about 2,700 gas, of the 50 million that nodes allow.
const ACCOUNTS_MAX: usize = 1000;

/// Returns the balance of each account in the call's data, 20 bytes each, as one word each:
///
/// ```text
/// 00 PUSH1 0, PUSH1 0                          where the next word goes, where the next account stands
/// 04 JUMPDEST, CALLDATASIZE, DUP2, LT, ISZERO
/// 09 PUSH1 1f, JUMPI                           no account is left
/// 0c DUP1, CALLDATALOAD, PUSH1 60, SHR, BALANCE
/// 12 DUP3, MSTORE
/// 14 PUSH1 14, ADD, SWAP1, PUSH1 20, ADD, SWAP1
/// 1c PUSH1 04, JUMP
/// 1f JUMPDEST, POP, PUSH1 0, RETURN            all words
/// ```
const BALANCES_CODE: &str =
    "0x600060005b36811015601f57803560601c31825260140190602001906004565b506000f3";

impl EvmSource {
    /// What these hold; `None` where scans see everything.
    pub(super) async fn read_holdings(
        &self,
        at: &BlockRef,
        holders: &[Holder],
    ) -> Result<Option<Vec<Holding>>, SourceError> {
        let hash = self.hash_of(at)?;
        let known = self.identified().await?;
        if self.rules.native_logs || known.capabilities.trace().is_some() {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(holders.len());
        for some in holders.chunks(ACCOUNTS_MAX) {
            let read = match self.some_holdings(hash, some, &known).await {
                Err(gap) => Err(self.not_given(at.clone(), gap).await?),
                Ok(read) => Ok(read),
            };
            let read = read.inspect_err(|error| {
                // It offers less than it did when it was asked: it is asked again.
                if let SourceError::Refused { .. } = error {
                    self.forget();
                }
            });
            all.extend(read?);
        }
        Ok(Some(all))
    }

    async fn some_holdings(
        &self,
        hash: B256,
        holders: &[Holder],
        known: &Arc<Known>,
    ) -> Result<Vec<Holding>, Gap> {
        let balances = if known.capabilities.state_overrides {
            self.balances_by_code(hash, holders).await?
        } else {
            self.of_each("eth_getBalance", hash, holders.iter()).await?
        };
        let both = || holders.iter().zip(&balances);
        let is_expected = |(holder, balance): (&Holder, &U256)| {
            holder.expected == Some(Amount::from_be_bytes(balance.to_be_bytes()))
        };
        let odd = both().filter(|pair| !is_expected(*pair));
        let method = "eth_getTransactionCount";
        let nonces: Vec<U64> = self
            .of_each(method, hash, odd.map(|(holder, _)| holder))
            .await?;
        let mut nonces = nonces.into_iter();
        let holdings = both().map(|pair| Holding {
            balance: Amount::from_be_bytes(pair.1.to_be_bytes()),
            nonce: if is_expected(pair) {
                None
            } else {
                nonces.next().map(|nonce| nonce.to())
            },
        });
        Ok(holdings.collect())
    }

    async fn balances_by_code(&self, hash: B256, holders: &[Holder]) -> Result<Vec<U256>, Gap> {
        let data: Vec<u8> = holders.iter().flat_map(|one| one.key.to_vec()).collect();
        let call = vec![
            json!({"to": NOBODY, "data": Bytes::from(data)}),
            at_block(hash),
            json!({NOBODY: {"code": BALANCES_CODE}}),
        ];
        let answers = self.ask(&[("eth_call", call)]).await?;
        let answer = given("balances", answers.into_iter().next())?;
        let words: Bytes = read("balances", answer.get().as_bytes())?;
        let (words, rest) = words.as_chunks::<32>();
        if words.len() != holders.len() || !rest.is_empty() {
            let detail = format!("{} balances of {} accounts", words.len(), holders.len());
            return Err(self.malformed(detail).into());
        }
        let balances = words.iter().map(|word| U256::from_be_bytes(*word));
        Ok(balances.collect())
    }

    /// Asks the same of each account.
    async fn of_each<T: DeserializeOwned>(
        &self,
        method: &'static str,
        hash: B256,
        holders: impl Iterator<Item = &Holder>,
    ) -> Result<Vec<T>, Gap> {
        let calls: Vec<Call<'_>> = holders
            .map(|one| {
                let account = hex::encode_prefixed(&one.key);
                (method, vec![json!(account), at_block(hash)])
            })
            .collect();
        let answers = self.ask(&calls).await?;
        let read = answers
            .into_iter()
            .map(|answer| Ok(read(method, given(method, Some(answer))?.get().as_bytes())?));
        read.collect()
    }
}

/// A block by its hash, so that another branch cannot answer
/// (<https://eips.ethereum.org/EIPS/eip-1898>).
fn at_block(hash: B256) -> Value {
    json!({ "blockHash": hash })
}
