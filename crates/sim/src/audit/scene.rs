//! What the auditor sees at one moment: what is said, beside what is true.

use std::sync::MutexGuard;

use paywatch_domain::{AssetName, EndpointId, TxId, UnixMillis};
use paywatch_store::chains::ChainRow;

use super::evidence::Evidence;
use crate::chain::{BlockId, Node};
use crate::merchant::{Merchants, Shop};
use crate::order::{Made, Order, Wanted};
use crate::scenario::ChainPlan;
use crate::told::{Shown, ShownTransfer};

/// Money in a block of the branch on which the watcher stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) tx: String,
    pub(super) position: String,
    pub(super) key: Box<[u8]>,
    pub(super) asset: AssetName,
    pub(super) amount: u64,
    pub(super) height: u64,
    pub(super) hash: String,
}

/// One moment.
pub struct Scene<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) orders: &'a [Order],
    pub(super) plans: &'a [ChainPlan],
    pub(super) nodes: Vec<MutexGuard<'a, Node>>,
    pub(super) merchants: MutexGuard<'a, Merchants>,
    pub(super) endpoints: Vec<(usize, EndpointId)>,
    /// Whether nothing is under way any more.
    pub is_settled: bool,
    /// By chain.
    placed: Vec<Vec<Placed>>,
    /// All that can be paid, with its chain.
    assets: Vec<(usize, AssetName)>,
}

impl<'a> Scene<'a> {
    /// Puts what is said beside what is true.
    pub fn new(
        evidence: &'a Evidence,
        orders: &'a [Order],
        plans: &'a [ChainPlan],
        nodes: Vec<MutexGuard<'a, Node>>,
        merchants: MutexGuard<'a, Merchants>,
        endpoints: Vec<(usize, EndpointId)>,
    ) -> Self {
        let mut scene = Self {
            evidence,
            orders,
            plans,
            nodes,
            merchants,
            endpoints,
            is_settled: false,
            placed: Vec::new(),
            assets: Vec::new(),
        };
        let chains = scene.plans.iter().enumerate();
        let names = chains.flat_map(|(chain, plan)| {
            let names = plan.assets.iter();
            names.map(move |symbol| (chain, format!("{symbol}@{}", plan.name)))
        });
        let assets = names.filter_map(|(chain, name)| Some((chain, name.parse().ok()?)));
        scene.assets = assets.collect();
        scene.placed = (0..plans.len()).map(|chain| scene.branch(chain)).collect();
        scene
    }

    /// What is stored of a chain.
    pub(super) fn row(&self, chain: usize) -> Option<&ChainRow> {
        let name = self.plans.get(chain)?.name;
        let mut rows = self.evidence.chains.iter();
        rows.find(|row| row.chain.as_str() == name)
    }

    /// Whether one of the order's chains is covered beyond now: the clock was put back, and by it the time up to
    /// which is covered is not believed before it has come again.
    pub(super) fn is_put_back(&self, order: &Order) -> bool {
        let covered = order.wanted.iter();
        let mut covered = covered.filter_map(|wanted| self.row(wanted.chain)?.covered_until);
        covered.any(|until| self.evidence.now < until)
    }

    /// The block on which the watcher stands.
    pub(super) fn cursor(&self, chain: usize) -> Option<BlockId> {
        let cursor = self.row(chain)?.cursor.as_ref()?;
        self.nodes.get(chain)?.ledger.find(&cursor.hash)
    }

    /// Whether one of the order's chains is not covered up to a time any more, although it was when something was
    /// said that needs it: the clock was put back since, and the polls by it have not come so far again.
    pub(super) fn is_uncovered_again(&self, order: &Order, time: UnixMillis) -> bool {
        let mut rows = order.wanted.iter().map(|wanted| self.row(wanted.chain));
        rows.any(|row| row.and_then(|row| row.covered_until) <= Some(time))
    }

    /// All money in the branch on which the watcher stands, from the first block on that it ever read: what lies
    /// below was there before it first saw the chain.
    fn branch(&self, chain: usize) -> Vec<Placed> {
        let (Some(node), Some(cursor)) = (self.nodes.get(chain), self.cursor(chain)) else {
            return Vec::new();
        };
        let lowest = self.row(chain).and_then(|row| row.first_height);
        let blocks = node.ledger.down_from(cursor);
        let blocks = blocks.take_while(|(_, block)| lowest <= Some(block.at.height));
        let money = blocks.flat_map(|(_, block)| {
            let succeeded = block.entries.iter().filter(|entry| entry.has_succeeded);
            succeeded.flat_map(|entry| {
                entry.tx.pays.iter().map(|pay| Placed {
                    tx: entry.tx.id.to_string(),
                    position: pay.position.to_string(),
                    key: pay.key.clone(),
                    asset: pay.asset.clone(),
                    amount: pay.amount,
                    height: block.at.height,
                    hash: block.at.hash.to_string(),
                })
            })
        });
        money.collect()
    }

    /// What the branch pays of one asset to one address.
    pub(super) fn paid<'b>(
        &'b self,
        chain: usize,
        asset: &'b AssetName,
        address: &'b str,
    ) -> impl Iterator<Item = &'b Placed> {
        let all = self.placed.get(chain).into_iter().flatten();
        all.filter(move |one| one.asset == *asset && *one.key == *address.as_bytes())
    }

    /// Everything else that can come to the address of an option: the other assets of its chain, and all of
    /// the other chains of its family, each with its chain.
    pub(super) fn astray<'b>(&'b self, wanted: &'b Wanted) -> Vec<(usize, &'b AssetName)> {
        let family = self.plans.get(wanted.chain).map(|plan| plan.family);
        let known = self.assets.iter().filter(move |(chain, asset)| {
            let other = self.plans.get(*chain).map(|plan| plan.family);
            other == family && *asset != wanted.asset
        });
        known.map(|(chain, asset)| (*chain, asset)).collect()
    }

    /// The node of the chain on which an asset is paid.
    pub(super) fn node_of(&self, asset: &str) -> Option<&Node> {
        let (_, name) = asset.split_once('@')?;
        let chain = self.plans.iter().position(|plan| plan.name == name)?;
        self.nodes.get(chain).map(|node| &**node)
    }

    /// Whether two transfers of one asset are of transactions that spend the same.
    pub(super) fn are_rivals(&self, one: &ShownTransfer, other: &ShownTransfer) -> bool {
        let node = self.node_of(&one.asset);
        let tx = |of: &ShownTransfer| node?.ledger.tx(&TxId::new(&of.tx_id));
        let both = tx(one).zip(tx(other).filter(|_| one.asset == other.asset));
        both.is_some_and(|(tx, other)| {
            tx.id != other.id && tx.spends.iter().any(|out| other.spends.contains(out))
        })
    }

    /// Every order that was made, with what is said of it; `None` when nothing is.
    pub(super) fn made(&self) -> impl Iterator<Item = (&'a Order, &'a Made, Option<&'a Shown>)> {
        let made = self
            .orders
            .iter()
            .filter_map(|order| Some((order, order.made.as_ref()?)));
        let invoices = &self.evidence.invoices;
        made.map(|(order, made)| {
            let id = made.id.to_string();
            (
                order,
                made,
                invoices.iter().find(|invoice| invoice.id == id),
            )
        })
    }

    /// Every invoice that is shown, with its order.
    pub fn invoices(&self) -> impl Iterator<Item = (&'a Order, &'a Shown)> {
        self.made()
            .filter_map(|(order, _, shown)| Some((order, shown?)))
    }

    /// The merchant's endpoints that never refused everything.
    pub(super) fn loyal_shops(&self) -> impl Iterator<Item = (&Shop, EndpointId)> {
        let shops = self.endpoints.iter().filter_map(|(number, id)| {
            let shop = self.merchants.shops.get(*number)?;
            Some((shop, *id))
        });
        shops.filter(|(shop, _)| !shop.was_gone)
    }
}
