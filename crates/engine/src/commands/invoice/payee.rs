//! Who is paid by each option of a new invoice: a wallet on a chain that is read, and an index that was
//! never given out.

use std::collections::BTreeMap;

use paywatch_domain::{ChainSpec, UnixMillis};
use paywatch_store::chains::{self, ChainRow};
use paywatch_store::counters::{INDEX_END, TakeIndexes};
use paywatch_store::wallets::Wallet;
use paywatch_store::{Conn, StoreError};
use paywatch_wire::field::FieldError;
use paywatch_wire::request::{Draft, DraftOption};

use super::super::wallet::{POOL_EMPTY, derivation, payee, pool_empty, pool_level};
use super::super::{Caller, CommandError, Commands};

/// Who is paid by one option, and from which block on.
pub(super) struct Payee<'a> {
    pub(super) chain: &'a ChainSpec,
    pub(super) wallet: Wallet,
    /// The height from which transfers count.
    pub(super) created_height: u64,
    /// Behind the last index that the wallet can give.
    end: u32,
}

/// What is wrong with the options, all of it.
#[derive(Default)]
struct Faults {
    fields: Vec<FieldError>,
    unavailable: Vec<FieldError>,
}

impl Commands {
    /// Who is paid by each option, in the order of the draft. Nothing is taken yet.
    ///
    /// # Errors
    /// Everything that keeps an option from being served, with its pointer: what the request can mend
    /// comes first, what only time can mend after it.
    pub(super) async fn payees(
        &self,
        conn: &mut Conn,
        caller: &Caller,
        draft: &Draft,
        now: UnixMillis,
    ) -> Result<Vec<Payee<'_>>, CommandError> {
        let parts = &self.parts;
        let rows = chains::all(conn).await?;
        let mut faults = Faults::default();
        let mut payees = Vec::with_capacity(draft.options.len());
        for (place, option) in draft.options.iter().enumerate() {
            let name = option.asset.name.chain();
            let Some(chain) = parts.catalogue.chain(name) else {
                let at = format!("/options/{place}/asset");
                let error = FieldError::new(at, "chain_unknown", "there is no such chain");
                faults.fields.push(error);
                continue;
            };
            let at = format!("/options/{place}/wallet_id");
            let wallet = payee(conn, parts, caller, chain.family, option.wallet, &at).await;
            let wallet = match wallet {
                Err(CommandError::Fields(errors)) => {
                    faults.fields.extend(errors);
                    None
                }
                wallet => Some(wallet?),
            };
            let height = counting_height(&rows, chain, now);
            if height.is_none() {
                faults.unavailable.push(unavailable(place, chain));
            }
            if let Some(wallet) = &wallet
                && let Some(error) = self.below_least(wallet, place, option)?
            {
                faults.fields.push(error);
                continue;
            }
            if let (Some(wallet), Some(created_height)) = (wallet, height) {
                let before = payees
                    .iter()
                    .filter(|payee: &&Payee<'_>| payee.wallet.id == wallet.id);
                let end = end(conn, &wallet, before.count()).await?;
                let Some(end) = end else {
                    let error = FieldError::new(at, POOL_EMPTY, pool_empty(wallet.id));
                    faults.fields.push(error);
                    continue;
                };
                payees.push(Payee {
                    chain,
                    wallet,
                    created_height,
                    end,
                });
            }
        }
        match faults {
            Faults { fields, .. } if !fields.is_empty() => Err(CommandError::Fields(fields)),
            Faults { unavailable, .. } if !unavailable.is_empty() => {
                Err(CommandError::Unavailable(unavailable))
            }
            Faults { .. } => Ok(payees),
        }
    }

    /// An amount that the chain would not take as the payment to a new address.
    fn below_least(
        &self,
        wallet: &Wallet,
        place: usize,
        option: &DraftOption,
    ) -> Result<Option<FieldError>, CommandError> {
        let derivation = derivation(&self.parts, wallet.family)?;
        let least = derivation.least_payment(&wallet.canonical, &option.asset);
        let least = least.filter(|least| option.due < *least);
        Ok(least.map(|least| {
            let (asset, least) = (&option.asset, least.decimal(option.asset.decimals));
            let detail = format!(
                "must be at least {least}: the chain refuses a payment of less {} to a new address",
                asset.name.symbol()
            );
            FieldError::new(
                format!("/options/{place}/amount"),
                "amount_below_minimum",
                detail,
            )
        }))
    }

    /// Takes an index for each payee, durably, in their order.
    ///
    /// Each option has its own, also where two of them share a wallet: chains of one family share their
    /// addresses, and money must say by its address which option it is for.
    pub(super) async fn fresh_indexes(
        &self,
        payees: &[Payee<'_>],
    ) -> Result<Vec<u32>, CommandError> {
        let parts = &self.parts;
        // By node, because wallets that are forms of one key share its counter.
        let mut wanted: BTreeMap<&str, (u32, u32, u32)> = BTreeMap::new();
        for payee in payees {
            let new = (0, 0, payee.end);
            let (at_least, count, _) = wanted.entry(&payee.wallet.node).or_insert(new);
            *at_least = payee.wallet.start_index.max(*at_least);
            *count += 1;
        }
        let mut next: BTreeMap<&str, u32> = BTreeMap::new();
        for (node, (start_index, count, end)) in wanted {
            let take = TakeIndexes {
                node: node.into(),
                at_least: parts.high_water.read(node)?.max(start_index),
                count,
                end,
            };
            let taken = parts.store.write(take).await;
            let first = taken.map_err(|error| exhausted(payees, node, error))?;
            let behind = first.saturating_add(count);
            parts.high_water.raise(node, behind).await?;
            next.insert(node, first);
        }
        let indexes = payees.iter().filter_map(|payee| {
            let next = next.get_mut(payee.wallet.node.as_str())?;
            let index = *next;
            *next = next.saturating_add(1);
            Some(index)
        });
        Ok(indexes.collect())
    }
}

/// Behind the last index that a wallet can give, where it has one more than `before`; `None` when its pool is
/// at its end.
async fn end(conn: &mut Conn, wallet: &Wallet, before: usize) -> Result<Option<u32>, StoreError> {
    let Some(level) = pool_level(conn, wallet).await? else {
        return Ok(Some(INDEX_END));
    };
    if level.low {
        tracing::warn!(wallet = %wallet.id, remaining = level.remaining, "a pool of addresses is low");
    }
    let is_left = usize::try_from(level.remaining).is_ok_and(|remaining| before < remaining);
    Ok(is_left.then_some(level.size))
}

/// A pool that others emptied at this moment; other errors stay what they are.
fn exhausted(payees: &[Payee<'_>], node: &str, error: StoreError) -> CommandError {
    let is_of = |payee: &&Payee<'_>| payee.wallet.node == node && payee.end < INDEX_END;
    match (error, payees.iter().find(is_of)) {
        (StoreError::Conflict("node_exhausted"), Some(payee)) => {
            CommandError::refused(409, POOL_EMPTY, pool_empty(payee.wallet.id))
        }
        (error, _) => error.into(),
    }
}

/// The height from which transfers count; `None` when nothing can be promised on this chain now.
///
/// A reorganisation may put a payment below the block that was the highest at creation, so what counts
/// begins where reorganisations end. Older blocks are read on demand only, and what they hold does not
/// count.
fn counting_height(rows: &[ChainRow], chain: &ChainSpec, now: UnixMillis) -> Option<u64> {
    let mut rows = rows.iter();
    let row = rows.find(|row| row.chain == chain.name && row.halted.is_none())?;
    let covered_until = row.covered_until.filter(|until| until.can_have_been(now))?;
    let is_fresh = now.ms_since(covered_until) <= chain.lag_ms_max;
    let cursor = row.cursor.as_ref().filter(|_| is_fresh)?;
    Some(cursor.height.saturating_sub(chain.reorg_depth_max))
}

fn unavailable(place: usize, chain: &ChainSpec) -> FieldError {
    let detail = format!(
        "{} cannot be read at present, so no payment on it could be confirmed; try again, or see \
         /v1/chains",
        chain.name
    );
    FieldError::new(format!("/options/{place}"), "chain_unavailable", detail)
}
