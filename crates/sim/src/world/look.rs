//! The auditor's looks, and whether everything has settled.

use std::sync::PoisonError;

use paywatch_store::deliveries;

use super::World;
use super::agenda::Task;
use crate::audit::{Evidence, Scene, Violation};

/// In the calm a halted chain is left alone until the others have settled, for so long at most, in
/// milliseconds: it must not stop them.
const OTHERS_MS: i64 = 6 * 3_600_000;

impl World {
    /// Lets the auditor look, if a process runs.
    pub(super) async fn look(&mut self) -> Result<(), Violation> {
        self.inspect(false).await.map(drop)
    }

    /// Looks whether everything has settled; if so, the auditor looks at the end of everything.
    pub(super) async fn look_settled(&mut self) -> Result<bool, Violation> {
        if !self.has_settled().await? {
            return Ok(false);
        }
        self.inspect(true).await
    }

    async fn inspect(&mut self, is_settled: bool) -> Result<bool, Violation> {
        let Some(process) = &self.process else {
            return Ok(false);
        };
        let now = self.around.clock.shown();
        self.around.crashes.look(true);
        let (store, commands) = (&process.store, &process.commands);
        let evidence =
            Evidence::gather(store, commands, &self.around.caller, now, is_settled).await;
        self.around.crashes.look(false);
        let failed = |error| Violation::new("everything_can_be_asked", format!("{error:#}"));
        let evidence = evidence.map_err(failed)?;
        for told in &evidence.events {
            self.around.crashes.trace(&told.id);
        }
        self.report.events = u64::try_from(evidence.events.len()).unwrap_or(0);
        let halted: Vec<usize> = self.halted(&evidence).collect();
        if self.calm_since.is_none() {
            for chain in halted {
                let at = self
                    .around
                    .clock
                    .now()
                    .plus_ms(self.random.wait_ms(900_000));
                self.agenda.add(at, Task::Resume(chain));
            }
        }
        let nodes = self.around.nodes.iter();
        let nodes = nodes.map(|node| node.lock().unwrap_or_else(PoisonError::into_inner));
        let mut scene = Scene::new(
            &evidence,
            &self.orders,
            &self.scenario.chains,
            nodes.collect(),
            self.around.post.merchants(),
            self.audit.endpoints.clone(),
        );
        scene.is_settled = is_settled;
        self.audit.look(&scene)?;
        Ok(true)
    }

    fn halted<'a>(&'a self, evidence: &'a Evidence) -> impl Iterator<Item = usize> + 'a {
        let plans = self.scenario.chains.iter().enumerate();
        plans.filter_map(|(chain, plan)| {
            let mut rows = evidence.chains.iter();
            let row = rows.find(|row| row.chain.as_str() == plan.name)?;
            row.halted.is_some().then_some(chain)
        })
    }

    /// Whether nothing is under way any more: all orders made and over, all chains read and deep, all
    /// webhooks sent.
    async fn has_settled(&mut self) -> Result<bool, Violation> {
        let Some(process) = &self.process else {
            return Ok(false);
        };
        self.around.crashes.look(true);
        let read = async {
            let mut conn = process.store.read().await?;
            let rows = paywatch_store::chains::all(&mut conn).await?;
            let backlog = deliveries::backlog(&mut conn).await?;
            Ok::<_, paywatch_store::StoreError>((rows, backlog.count))
        };
        let read = read.await;
        self.around.crashes.look(false);
        let (rows, backlog) =
            read.map_err(|error| Violation::new("everything_can_be_asked", error))?;
        let (mut halted, mut settled) = (Vec::new(), true);
        for chain in 0..self.scenario.chains.len() {
            let node = self.node(chain);
            let row = rows.iter().find(|row| row.chain.as_str() == node.plan.name);
            if row.is_some_and(|row| row.halted.is_some()) {
                halted.push(chain);
                continue;
            }
            let best = &node.ledger.block(node.ledger.best()).at;
            let is_read = row.is_some_and(|row| {
                row.cursor.as_ref() == Some(best) && self.end() < row.covered_until
            });
            let is_marked = node.marking.marked.iter().all(|(mark, block)| {
                let height = node.ledger.block(*block).at.height;
                row.and_then(|row| row.marks.get(*mark)) >= Some(height)
            });
            settled &= is_read && is_marked && node.ledger.waiting.is_empty() && node.is_deep();
        }
        settled &= self.orders.iter().all(|order| {
            let mut chains = order.wanted.iter().map(|wanted| wanted.chain);
            order.made.is_some() || chains.any(|chain| halted.contains(&chain))
        });
        settled &= self.agenda.has_no_payments() && backlog == 0;
        let since = self.calm_since.unwrap_or(self.around.clock.now());
        let is_late = OTHERS_MS < self.around.clock.now().ms_since(since);
        if !halted.is_empty() && !settled && is_late {
            let text = self.unsettled().await;
            return Err(Violation::new("one_halted_chain_stops_no_other", text));
        }
        if !halted.is_empty() && settled {
            let now = self.around.clock.now();
            for chain in &halted {
                self.agenda.add(now, Task::Resume(*chain));
            }
        }
        Ok(settled && halted.is_empty())
    }

    /// When the last window closes, by the watcher's clock.
    fn end(&self) -> Option<paywatch_domain::UnixMillis> {
        let ends = self.orders.iter().filter_map(|order| {
            let made = order.made.as_ref()?;
            Some(made.created_at.plus_s(order.expires_in_s))
        });
        ends.max()
    }

    /// What has not settled, for people.
    pub(super) async fn unsettled(&mut self) -> String {
        let mut lines = Vec::new();
        for chain in 0..self.scenario.chains.len() {
            let node = self.node(chain);
            let best = node.ledger.block(node.ledger.best()).at.clone();
            let waiting = node.ledger.waiting.len();
            lines.push(format!("{} is at {best:?}, {waiting} wait", node.plan.name));
        }
        let missing = self.orders.iter().filter(|order| order.made.is_none());
        lines.push(format!("{} orders are not made", missing.count()));
        self.around.crashes.look(true);
        if let Some(process) = &self.process
            && let Ok(mut conn) = process.store.read().await
        {
            let rows = paywatch_store::chains::all(&mut conn).await;
            let rows = rows.unwrap_or_default();
            lines.extend(rows.iter().map(|row| format!("{row:?}")));
            let backlog = deliveries::backlog(&mut conn).await;
            lines.push(format!("{backlog:?}"));
        }
        self.around.crashes.look(false);
        lines.join("; ")
    }
}
