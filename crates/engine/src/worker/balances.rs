//! Looks at balances, where blocks do not show all that comes: after the block up to which the chain is
//! final, so that what is found stays. A look costs requests for all open addresses, not for a block.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Holder, Source, SourceError};
use paywatch_domain::{Account, BlockRef, ChainSpec, Finality, Marks, UnixMillis};
use paywatch_store::blocks::{self, Header};
use paywatch_store::looks::{self, Due, DuePage};
use paywatch_store::{Conn, InvoiceKey, StoreError, chains};

use super::ask::{self, Request};
use super::following::Following;
use super::{Fault, Parts};
use crate::apply::{ApplyBalances, Looked, coin, start};
use crate::units::RecordLook;

/// The least time from one look to the next, in milliseconds.
const LOOK_MS: i64 = 30_000;
/// Invoices that are looked at together.
const PAGE: i64 = 1_000;

/// Looks at balances.
#[derive(Default)]
pub(super) struct Balances {
    look: Option<Looking>,
    /// When the last look began.
    began_at: Option<UnixMillis>,
    /// Up to which height everything was looked at.
    height: Option<u64>,
    /// Why the last look failed; shown to people until one succeeds.
    pub(super) problem: Option<SourceError>,
}

/// A look at all addresses, a few at a time.
struct Looking {
    /// After which block.
    at: Header,
    /// The addresses whose turn it is; none before it is known whether anybody has to look, and where the
    /// invoices of a page take no coin.
    page: Vec<(Due, Holder)>,
    /// The last invoice of the page; `None` when there is none behind it.
    next: Option<InvoiceKey>,
    is_asked: bool,
    /// Whether an address was left out, to be looked at another time.
    leaves_out: bool,
    /// Whether blocks were applied that do not show everything.
    is_needed: bool,
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
    fn end(&mut self) -> Option<Looking> {
        self.problem = None;
        let look = self.look.take()?;
        self.height = Some(look.at.at.height);
        Some(look)
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
        let is_needed = row.as_ref().is_some_and(|row| row.unseen.is_some());
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
            next: Some(InvoiceKey(0)),
            is_asked: false,
            leaves_out: false,
            is_needed,
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
                self.end_look(parts, None).await?;
                return Ok(false);
            }
            Err(error) => {
                self.fail_look(parts, error, now).await;
                return Ok(false);
            }
        };
        look.leaves_out |= looked.len() < look.page.len();
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
            look.leaves_out |= !parts.store.write(unit).await?;
        }
        if let Some(behind) = look.next {
            let mut conn = parts.store.read().await?;
            let height = look.at.at.height;
            (look.page, look.next) = page(&mut conn, &parts.spec, behind, height).await?;
            look.is_asked = false;
            if !look.page.is_empty() || look.next.is_some() {
                return Ok(true);
            }
        }
        let at = look.at.clone();
        if look.leaves_out {
            let chain = &parts.spec.name;
            tracing::warn!(%chain, height = at.at.height, "some balances cannot be judged yet; they are looked at again");
            self.balances.end();
        } else {
            self.end_look(parts, Some(at.time)).await?;
        }
        Ok(true)
    }

    /// Ends a look: everything was looked at after a block of this time, or nobody has to look.
    async fn end_look(&mut self, parts: &Parts, until: Option<UnixMillis>) -> Result<(), Fault> {
        let look = self.balances.end();
        if look.is_some_and(|look| look.is_needed) {
            let unit = RecordLook {
                chain: parts.spec.name.clone(),
                fence: self.lease.fence,
                until,
            };
            parts.store.write(unit).await?;
        }
        Ok(())
    }

    /// A look that failed is tried again another time, and shown as a problem: what contracts paid meanwhile is
    /// not known. Whether the chain can be read is another question, which polls answer.
    async fn fail_look(&mut self, parts: &Parts, error: SourceError, now: UnixMillis) {
        let chain = &parts.spec.name;
        tracing::warn!(%chain, code = error.code(), %error, "balances cannot be looked at; tried again");
        self.balances.look = None;
        let told = self.balances.problem.replace(error.clone());
        if told.as_ref().map(SourceError::code) != Some(error.code()) {
            self.report(parts, Some(&error), now).await;
        }
    }
}

/// The addresses of the next invoices, with what should stand there, and the last of these invoices.
async fn page(
    conn: &mut Conn,
    spec: &ChainSpec,
    behind: InvoiceKey,
    height: u64,
) -> Result<(Vec<(Due, Holder)>, Option<InvoiceKey>), StoreError> {
    let Some(coin) = coin(spec) else {
        return Ok((Vec::new(), None));
    };
    let DuePage { due, next } = looks::due(conn, coin, behind, height, PAGE).await?;
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
    Ok((page.collect(), next))
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
