//! In which slots an address was named, by the node's index of signatures. A token transfer names the account that
//! holds the token and need not name its owner, so those accounts are looked for too.

use std::collections::BTreeSet;

use paywatch_chain::SourceError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::SolanaSource;
use super::answers::CONFIRMED;
use crate::address::{associated_account, parse_bytes};
use crate::mint::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use crate::scan::WITH;

/// Most signatures in one answer (<https://solana.com/docs/rpc/http/getsignaturesforaddress>).
const SIGNATURES_MAX: usize = 1_000;
/// Answers that are read for one account. One that is named more often is not worth it: every block is read.
const ANSWERS_MAX: usize = 8;
/// Accounts of tokens that are looked up for one address: strangers can make any number of them.
const ACCOUNTS_MAX: usize = 64;

/// `getSignaturesForAddress`, newest first; also of transactions that failed.
#[derive(Deserialize)]
struct Signed {
    signature: String,
    slot: u64,
    err: Option<IgnoredAny>,
}

/// `getTokenAccountsByOwner` (<https://solana.com/docs/rpc/http/gettokenaccountsbyowner>).
#[derive(Deserialize)]
struct Held {
    value: Vec<HeldAccount>,
}

#[derive(Deserialize)]
struct HeldAccount {
    pubkey: String,
}

impl SolanaSource {
    /// The slots of a range in which transactions that did not fail name these keys; `None` where the node has
    /// no such index, or there are too many.
    pub(super) async fn slots_that_name(
        &self,
        keys: Vec<Box<[u8]>>,
        heights: (u64, u64),
    ) -> Result<Option<BTreeSet<u64>>, SourceError> {
        self.identified().await?;
        let mut slots = BTreeSet::new();
        for key in &keys {
            let Ok(key) = std::str::from_utf8(key) else {
                continue;
            };
            let Some(accounts) = self.accounts_of(key).await? else {
                return Ok(None);
            };
            for account in accounts {
                match self.slots_of(&account, heights).await? {
                    Some(found) => slots.extend(found),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(slots))
    }

    /// The accounts that one at least of is named by whatever pays a watched key: its reference where it has one,
    /// else the address and what holds its tokens. None for a key of another family.
    async fn accounts_of(&self, key: &str) -> Result<Option<BTreeSet<String>>, SourceError> {
        if let Some((_, reference)) = key.split_once(char::from(WITH)) {
            return Ok(Some(BTreeSet::from([reference.to_owned()])));
        }
        let Ok(owner) = parse_bytes(key) else {
            return Ok(Some(BTreeSet::new()));
        };
        let mut accounts = BTreeSet::from([key.to_owned()]);
        for program in [TOKEN_PROGRAM, TOKEN_2022_PROGRAM] {
            // Those that are there now, of whatever token.
            let options = json!({"encoding": "base64", "commitment": CONFIRMED});
            let params = [json!(key), json!({ "programId": program }), options];
            let Some(held): Option<Held> = self.look_up("getTokenAccountsByOwner", &params).await?
            else {
                return Ok(None);
            };
            accounts.extend(held.value.into_iter().map(|account| account.pubkey));
            // And those that wallets send to, which may be closed by now.
            let mints = self.assets.tokens.keys();
            accounts.extend(mints.filter_map(|mint| associated_account(&owner, program, mint)));
        }
        Ok((accounts.len() <= ACCOUNTS_MAX).then_some(accounts))
    }

    /// The slots of a range in which an account was named.
    async fn slots_of(
        &self,
        account: &str,
        (from, to): (u64, u64),
    ) -> Result<Option<BTreeSet<u64>>, SourceError> {
        let mut slots = BTreeSet::new();
        let mut options = json!({"limit": SIGNATURES_MAX, "commitment": CONFIRMED});
        for _ in 0..ANSWERS_MAX {
            let params = [json!(account), options.clone()];
            let Some(page): Option<Vec<Signed>> =
                self.look_up("getSignaturesForAddress", &params).await?
            else {
                return Ok(None);
            };
            let good = page.iter().filter(|signed| signed.err.is_none());
            let slots_here = good.map(|signed| signed.slot);
            slots.extend(slots_here.filter(|slot| (from..=to).contains(slot)));
            let Some(last) = page.last().filter(|last| from <= last.slot) else {
                return Ok(Some(slots));
            };
            if page.len() < SIGNATURES_MAX {
                return Ok(Some(slots));
            }
            options["before"] = json!(last.signature);
        }
        Ok(None)
    }

    /// Asks something of the node's indexes, which it need not have.
    async fn look_up<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<Option<T>, SourceError> {
        match self.call(method, params).await {
            Ok(answer) => Ok(answer.ok()),
            Err(SourceError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
