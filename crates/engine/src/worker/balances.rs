//! Looks at balances, where blocks do not show all that comes: after the block up to which the chain is
//! final, so that what is found stays. A look costs requests for all open addresses, not for a block.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Holder, Source, SourceError};
use paywatch_domain::{Account, BlockRef, ChainSpec, Finality, Marks, UnixMillis};
use paywatch_store::blocks::{self, Header};
use paywatch_store::looks::{self, Due};
use paywatch_store::{Conn, OptionKey, StoreError, chains};

use super::ask::{self, Request};
use super::following::Following;
use super::{Fault, Parts};
use crate::apply::{ApplyBalances, Looked, coin, start};

/// The least time from one look to the next, in milliseconds.
const LOOK_MS: i64 = 30_000;

/// Looks at balances.
#[derive(Default)]
pub(super) struct Balances {
    look: Option<Looking>,
    /// When the last look began.
    began_at: Option<UnixMillis>,
    /// Up to which height everything was looked at.
    height: Option<u64>,
}

/// A look at all addresses, a few at a time.
struct Looking {
    /// After which block.
    at: Header,
    /// The addresses whose turn it is; none before it is known whether anybody has to look.
    page: Vec<(Due, Holder)>,
    /// The last address that was looked at.
    behind: OptionKey,
    is_asked: bool,
}

impl Balances {
    /// What to ask now.
    pub(super) fn request<S: Source>(&mut self, source: &Arc<S>) -> Option<Request<S>> {
        let look = self.look.as_mut().filter(|look| !look.is_asked)?;
        look.is_asked = true;
        let (at, page) = (look.at.at.clone(), look.page.clone());
        Some(ask::holdings(source, at, page))
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        let began_at = self.began_at.map(|began_at| now.ms_since(began_at));
        self.look.is_none() && !began_at.is_some_and(|ms| (0..LOOK_MS).contains(&ms))
    }

    /// Ends the look; everything was looked at, or nobody has to.
    fn end(&mut self) {
        if let Some(look) = self.look.take() {
            self.height = Some(look.at.at.height);
        }
    }
}

impl<S: Source> Following<S> {
    /// Begins a look at the tip, when more of the chain has become final.
    pub(super) async fn begin_look(&mut self, parts: &Parts, now: UnixMillis) -> Result<(), Fault> {
        let Some(cursor) = self.follower.cursor().filter(|_| self.follower.is_at_tip()) else {
            return Ok(());
        };
        if !self.balances.is_due(now) || coin(&parts.spec).is_none() {
            return Ok(());
        }
        self.balances.began_at = Some(now);
        let mut conn = parts.store.read().await?;
        let rows = chains::all(&mut conn).await?;
        let row = rows.into_iter().find(|row| row.chain == parts.spec.name);
        let marks = row.map_or(Marks::default(), |row| row.marks);
        let Some(height) = final_height(&parts.spec.finality, cursor.height, marks) else {
            return Ok(());
        };
        if Some(height) <= self.balances.height {
            return Ok(());
        }
        let at = blocks::at(&mut conn, &parts.spec.name, height).await?;
        self.balances.look = at.map(|at| Looking {
            at,
            page: Vec::new(),
            behind: OptionKey(0),
            is_asked: false,
        });
        Ok(())
    }

    /// Takes what stands at addresses, and asks for the next.
    pub(super) async fn take_holdings(
        &mut self,
        parts: &mut Parts,
        at: &BlockRef,
        held: Result<Option<Vec<Looked>>, SourceError>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let Some(look) = self.balances.look.as_mut().filter(|look| look.at.at == *at) else {
            return Ok(false);
        };
        let looked = match held {
            Ok(Some(looked)) => looked,
            Ok(None) => {
                self.balances.end();
                return Ok(false);
            }
            Err(error) => {
                // Whether the chain can be read is another question, which polls answer.
                let chain = &parts.spec.name;
                tracing::warn!(%chain, code = error.code(), %error, "balances cannot be looked at; tried again");
                self.balances.look = None;
                return Ok(false);
            }
        };
        look.behind = look.page.last().map_or(look.behind, |(due, _)| due.option);
        if !looked.is_empty() {
            let unit = ApplyBalances {
                chain: parts.spec.name.clone(),
                spec: Arc::clone(&parts.spec),
                fence: self.lease.fence,
                at: look.at.clone(),
                looked,
                now,
                seed: parts.seed(),
                master: Arc::clone(&parts.master),
            };
            parts.store.write(unit).await?;
        }
        let mut conn = parts.store.read().await?;
        look.page = page(&mut conn, &parts.spec, look.behind, look.at.at.height).await?;
        look.is_asked = false;
        if look.page.is_empty() {
            self.balances.end();
        }
        Ok(true)
    }
}

/// The next addresses, with what should stand there.
async fn page(
    conn: &mut Conn,
    spec: &ChainSpec,
    behind: OptionKey,
    height: u64,
) -> Result<Vec<(Due, Holder)>, StoreError> {
    let Some(coin) = coin(spec) else {
        return Ok(Vec::new());
    };
    let due = looks::due(conn, coin, behind, height).await?;
    let above: Vec<_> = due
        .iter()
        .filter_map(|one| Some((one.option, one.invoice, start(one, height)?.above)))
        .collect();
    let flows = looks::flows(conn, &spec.name, &above, height).await?;
    let page = due.into_iter().map(|due| {
        let flows = flows.get(&due.option).copied().unwrap_or_default();
        let holder = Holder {
            key: due.key.as_slice().into(),
            expected: start(&due, height).and_then(|start| flows.expected(start.account)),
        };
        (due, holder)
    });
    Ok(page.collect())
}

/// Up to which height a chain with this tip and these marks is final.
fn final_height(finality: &Finality, tip: u64, marks: Marks) -> Option<u64> {
    match finality {
        Finality::Depth(depth) => tip.saturating_add(1).checked_sub(u64::from(*depth)),
        Finality::Tag(tag) => marks.get(tag.mark()),
        Finality::Commitment(commitment) => marks.get(commitment.mark()),
        Finality::Any(rules) => {
            let heights = rules.iter().map(|rule| final_height(rule, tip, marks));
            heights.max().flatten()
        }
        Finality::Unconfirmed(_) => None,
    }
}

/// What stands at these addresses after a block. Where it is odd and nobody has looked before, also what
/// stood there before the invoice, as far as the node can tell; what it may tell another time is left out.
pub(super) async fn look<S: Source>(
    source: &S,
    at: &BlockRef,
    page: Vec<(Due, Holder)>,
) -> Result<Option<Vec<Looked>>, SourceError> {
    let (dues, holders): (Vec<Due>, Vec<Holder>) = page.into_iter().unzip();
    let Some(holdings) = source.holdings(at, &holders).await? else {
        return Ok(None);
    };
    if holdings.len() != holders.len() {
        let chain = source.chain().clone();
        let detail = format!("{} balances of {} keys", holdings.len(), holders.len());
        return Err(SourceError::Malformed { chain, detail });
    }
    let mut odd: BTreeMap<BlockRef, Vec<Holder>> = BTreeMap::new();
    for (due, held) in dues.iter().zip(&holdings) {
        let is_odd = due.known.is_none() && held.nonce.is_some();
        if let Some(since) = due.since.as_ref().filter(|_| is_odd)
            && since.height < at.height
        {
            odd.entry(since.clone()).or_default().push(Holder {
                key: due.key.as_slice().into(),
                expected: None,
            });
        }
    }
    let mut before: BTreeMap<Box<[u8]>, Option<Account>> = BTreeMap::new();
    for (since, holders) in odd {
        let held = match source.holdings(&since, &holders).await {
            Ok(Some(held)) => held.into_iter().map(Some).collect(),
            // It is thrown away.
            Err(SourceError::Pruned { .. } | SourceError::Missing { .. }) => {
                vec![None; holders.len()]
            }
            Ok(None) | Err(_) => Vec::new(),
        };
        before.extend(holders.into_iter().zip(held).map(|(holder, held)| {
            let account = held.and_then(|held| {
                let balance = held.balance;
                held.nonce.map(|nonce| Account { balance, nonce })
            });
            (holder.key, account)
        }));
    }
    let looked = dues.into_iter().zip(holdings).filter_map(|(due, holding)| {
        let is_new = due.known.is_none() && holding.nonce.is_some();
        let is_open = due
            .since
            .as_ref()
            .is_some_and(|since| since.height < at.height);
        let before = match before.get(due.key.as_slice()) {
            Some(before) => *before,
            None if is_new && is_open => return None,
            None => None,
        };
        Some(Looked {
            due,
            holding,
            before,
        })
    });
    Ok(Some(looked.collect()))
}
