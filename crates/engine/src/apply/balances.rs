//! What balances tell that no block does: money that came, and differences that nothing explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paywatch_chain::{Block, Credit, Holding};
use paywatch_domain::{
    Account, Amount, AssetKind, AssetName, BlockRef, Cause, CauseKind, ChainName, ChainSpec, Flows,
    Place, Position, Role, UnixMillis, Verdict, Window,
};
use paywatch_store::blocks::Header;
use paywatch_store::looks::{self, Due, Look, Paid};
use paywatch_store::placements::{self, LeftReason};
use paywatch_store::watched::{self, Owner};
use paywatch_store::{InvoiceKey, MasterKey, OptionKey, StoreError, Tx, Unit, blocks, chains};

use super::credits::{Placed, Placing, place};
use crate::error::EngineError;
use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::refold;

/// The chain's coin, of which addresses have balances.
pub(crate) fn coin(spec: &ChainSpec) -> Option<&AssetName> {
    let mut assets = spec.assets.iter();
    let coin = assets.find(|asset| asset.kind == AssetKind::Native)?;
    Some(&coin.name)
}

/// What is compared with what was found at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The height of the block after which it stood there.
    pub(crate) above: u64,
    /// What stood there.
    pub(crate) account: Account,
}

/// Where the comparison of an address begins: at the last look, and before the first with nothing before
/// the invoice. `None` when the block that is looked at is older than the invoice: whatever stands there
/// is not the invoice's.
pub(crate) fn start(due: &Due, height: u64) -> Option<Start> {
    let (above, account) = match (&due.known, &due.since) {
        (Some(known), _) => *known,
        (None, Some(since)) if height <= since.height => return None,
        (None, since) => {
            let above = since.as_ref().map_or(0, |since| since.height);
            (above, Account::default())
        }
    };
    Some(Start { above, account })
}

/// What was found at an address.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The address.
    pub due: Due,
    /// What stands there.
    pub holding: Holding,
    /// Where it was never looked at before: what stood there before the invoice, when somebody could tell.
    pub before: Option<Account>,
}

/// Looks at addresses after one block, as a unit of work.
#[derive(Debug)]
pub struct ApplyBalances {
    /// Which chain.
    pub chain: ChainName,
    /// The chain as it is configured.
    pub spec: Arc<ChainSpec>,
    /// The lease under which it was looked.
    pub fence: i64,
    /// The block after which it was looked.
    pub at: Header,
    /// What was found.
    pub looked: Vec<Looked>,
    /// The time.
    pub now: UnixMillis,
    /// Where new ids come from.
    pub seed: [u8; 32],
    /// Checks seals.
    pub master: Arc<MasterKey>,
}

impl Unit for ApplyBalances {
    /// Whether everything that was found is settled, so that nobody has to look again at what stood there
    /// after this block.
    type Output = bool;
    type Error = EngineError;
    const NAME: &'static str = "apply_balances";

    async fn run(&self, tx: &mut Tx) -> Result<bool, EngineError> {
        chains::hold(tx, &self.chain, self.fence, self.now).await?;
        let kept = blocks::at(tx, &self.chain, self.at.at.height).await?;
        let Some(coin) = coin(&self.spec).filter(|_| kept.as_ref() == Some(&self.at)) else {
            // The block has left the chain meanwhile.
            return Ok(false);
        };
        let (found, looks) = self.judge(tx, coin).await?;
        let placed: Vec<Placed<'_>> = found
            .iter()
            .map(|credit| Placed {
                credit,
                place: Place::Block(self.at.at.clone()),
                sighted_at: self.at.time.min(self.now),
            })
            .collect();
        let mut ids = Ids::new(self.seed);
        let mut placing = Placing {
            chain: &self.chain,
            spec: &self.spec,
            now: self.now,
            ids: &mut ids,
        };
        let touched = place(tx, &placed, &mut placing).await?;
        looks::record(tx, &self.chain, self.at.at.height, &looks).await?;
        let cause = Cause {
            kind: CauseKind::Block,
            chain: Some(self.chain.clone()),
            height: Some(self.at.at.height),
        };
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &cause,
            ids: &mut ids,
        };
        let touched: Vec<InvoiceKey> = touched.into_iter().collect();
        refold(tx, &touched, &mut pass).await?;
        Ok(looks.len() == self.looked.len())
    }
}

impl ApplyBalances {
    /// What came besides what blocks tell, and what is known of the addresses from now on.
    async fn judge(
        &self,
        tx: &mut Tx,
        coin: &AssetName,
    ) -> Result<(Vec<Credit>, Vec<Look>), StoreError> {
        let height = self.at.at.height;
        let starts = self.looked.iter().map(|one| start(&one.due, height));
        let starts: Vec<Option<Start>> = starts.collect();
        let both = || self.looked.iter().zip(&starts);
        let above: Vec<(OptionKey, InvoiceKey, u64)> = both()
            .filter_map(|(one, start)| Some((one.due.option, one.due.invoice, (*start)?.above)))
            .collect();
        let flows = looks::flows(tx, &self.chain, &above, height).await?;
        let (mut found, mut looks) = (Vec::new(), Vec::new());
        for (one, start) in both() {
            let flows = flows.get(&one.due.option).copied().unwrap_or_default();
            let verdict = match start {
                Some(start) => verdict(one, *start, &flows),
                None => Verdict::Expected,
            };
            let sent = start.and_then(|start| start.account.nonce.checked_add(flows.sent));
            let Some(nonce) = one.holding.nonce.or(sent) else {
                continue;
            };
            let above = start.map_or(height, |start| start.above);
            let window = Window { above, to: height };
            let key = one.due.key.as_slice();
            match verdict {
                // It is looked at again.
                Verdict::Open => continue,
                Verdict::Expected => {}
                Verdict::Came(amount) => {
                    tracing::info!(chain = %self.chain, option = ?one.due.option, %amount, "a balance tells of money that no block told of");
                    found.push(credit(coin, window, key, Position::of_balance(key), amount));
                }
                Verdict::Unexplained(amount) => {
                    tracing::warn!(chain = %self.chain, option = ?one.due.option, %amount, "nothing explains a balance");
                    let place = Position::of_unexplained(key);
                    found.push(credit(coin, window, key, place, amount));
                }
            }
            looks.push(Look {
                option: one.due.option,
                invoice: one.due.invoice,
                account: Account {
                    balance: one.holding.balance,
                    nonce,
                },
                is_last: one.due.late_until < self.at.time,
            });
        }
        Ok((found, looks))
    }
}

/// Judges what was found. Before the first look it is taken that nothing was there before the invoice; only
/// where that does not explain everything it matters what was.
fn verdict(one: &Looked, start: Start, flows: &Flows) -> Verdict {
    let Holding { balance, nonce } = one.holding;
    let verdict = flows.judge(start.account, balance, nonce);
    if one.due.known.is_some() {
        return verdict;
    }
    match (verdict, one.before) {
        (Verdict::Came(_) | Verdict::Unexplained(_), Some(before)) => {
            flows.judge(before, balance, nonce)
        }
        // Nobody can tell whether it was there before.
        (Verdict::Came(amount), None) => Verdict::Unexplained(amount),
        (verdict, _) => verdict,
    }
}

fn credit(
    coin: &AssetName,
    window: Window,
    key: &[u8],
    position: Position,
    amount: Amount,
) -> Credit {
    Credit {
        key: key.into(),
        asset: coin.clone(),
        amount,
        tx_id: window.tx_id(key),
        position,
        maturity: 0,
        spends: Arc::default(),
    }
}

/// Records what the addresses of options that take the chain's coin paid out in these blocks.
pub(super) async fn record_outflows(
    tx: &mut Tx,
    spec: &ChainSpec,
    blocks: &[Block],
) -> Result<(), StoreError> {
    let outflows = blocks.iter().flat_map(|block| {
        let outflows = block.outflows.iter();
        outflows.map(move |outflow| (block.at.height, outflow))
    });
    let outflows: Vec<_> = outflows.collect();
    let keys = outflows.iter().map(|(_, outflow)| &*outflow.key);
    let owners = coin_owners(tx, spec, keys).await?;
    let paid = outflows.iter().filter_map(|(height, outflow)| {
        Some(Paid {
            option: *owners.get(&*outflow.key)?,
            nonce: outflow.nonce,
            height: *height,
            amount: outflow.amount,
        })
    });
    let paid: Vec<Paid> = paid.collect();
    looks::record_paid(tx, &spec.name, &paid).await
}

/// The options that take the chain's coin at addresses with these keys.
async fn coin_owners<'a>(
    tx: &mut Tx,
    spec: &ChainSpec,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<BTreeMap<Vec<u8>, OptionKey>, StoreError> {
    let keys: Vec<&[u8]> = keys.collect();
    let owners = watched::owners(tx, spec.family, &keys).await?;
    let takes_coin =
        |owner: &Owner| owner.role == Role::Payment && Some(&owner.asset) == coin(spec);
    let owners = owners.into_iter().filter(takes_coin);
    Ok(owners.map(|owner| (owner.key, owner.option)).collect())
}

/// Takes from what balances told of what blocks that were read again tell themselves: it is the same money.
/// What is left of it stays, and was first seen when it was.
pub(super) async fn take_off(
    tx: &mut Tx,
    told: &[Placed<'_>],
    touched: &BTreeSet<InvoiceKey>,
    placing: &mut Placing<'_>,
) -> Result<(), StoreError> {
    let Some(coin) = coin(placing.spec).cloned() else {
        return Ok(());
    };
    let found = looks::found(tx, placing.chain, touched.iter().copied()).await?;
    if found.is_empty() {
        return Ok(());
    }
    let keys = told.iter().map(|one| &*one.credit.key);
    let owners = coin_owners(tx, placing.spec, keys).await?;
    let (mut closing, mut left) = (Vec::new(), Vec::new());
    for one in found {
        let Some(window) = Window::of(&one.tx_id) else {
            continue;
        };
        let same = told.iter().filter(|told| {
            let is_own = owners.get(&*told.credit.key) == Some(&one.option);
            let height = height_of(&told.place);
            is_own && told.credit.asset == coin && height.is_some_and(|at| window.holds(at))
        });
        let same: Vec<&Placed<'_>> = same.collect();
        let Some(first) = same.first() else {
            continue;
        };
        closing.push((one.transfer, LeftReason::Reorged));
        let rest = same.iter().fold(one.amount, |rest, told| {
            rest.saturating_sub(told.credit.amount)
        });
        if !rest.is_zero() {
            let key = &first.credit.key;
            let place = Position::of_balance_left(key, rest);
            left.push((
                credit(&coin, window, key, place, rest),
                one.at,
                one.sighted_at,
            ));
        }
    }
    placements::close(tx, &closing, placing.now).await?;
    let left: Vec<Placed<'_>> = left
        .iter()
        .map(|(credit, at, sighted_at)| Placed {
            credit,
            place: Place::Block(at.clone()),
            sighted_at: *sighted_at,
        })
        .collect();
    place(tx, &left, placing).await?;
    Ok(())
}

fn height_of(place: &Place) -> Option<u64> {
    match place {
        Place::Block(BlockRef { height, .. }) => Some(*height),
        Place::Mempool => None,
    }
}
