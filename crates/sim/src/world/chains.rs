//! What happens on chains: blocks, branches, what endpoints hear of them, and what people ask of a worker.

use paywatch_domain::UnixMillis;
use paywatch_engine::commands::Ask;
use paywatch_wire::request::Rescan;

use super::World;
use super::agenda::Task;
use crate::audit::Violation;
use crate::chain::{BlockId, Tx};
use crate::clock::Who;
use crate::random::Random;

/// A rescan with each block, in millionths.
const RESCAN: u32 = 3_000;

impl World {
    pub(super) fn plan_block(&mut self, chain: usize) {
        let now = self.around.clock.now();
        let (block_ms, skip) = {
            let node = self.node(chain);
            (node.plan.block_ms, node.plan.skip)
        };
        let mut wait_ms = self.random.wait_ms(block_ms);
        while self.calm_since.is_none() && self.random.is(skip) {
            wait_ms = wait_ms.saturating_add(block_ms);
        }
        self.agenda.add(now.plus_ms(wait_ms), Task::Mine(chain));
    }

    /// The next block, or a branch.
    pub(super) fn mine(&mut self, chain: usize) {
        let now = self.around.clock.now();
        let is_calm = self.calm_since.is_some();
        let mut random = self.random.clone();
        let tip = {
            let mut node = self.node(chain);
            let plan = node.plan.clone();
            let tip = if !is_calm && random.is(plan.fork) {
                self.fork(&mut node, now, &mut random)
            } else {
                let mined = if is_calm { 1_000_000 } else { plan.mined };
                node.ledger.mine(&plan, mined, now, &mut random)
            };
            node.mark(&mut random);
            tip
        };
        self.random = random;
        self.report.blocks = self.report.blocks.saturating_add(1);
        self.spread(chain, tip);
        self.trouble(chain);
        self.plan_block(chain);
    }

    fn fork(&self, node: &mut crate::chain::Node, now: UnixMillis, random: &mut Random) -> BlockId {
        let plan = node.plan.clone();
        let limit = i64::try_from(plan.reorg_depth_max).unwrap_or(1);
        let depth = if random.is(plan.deep) {
            random.between(limit, limit * 2)
        } else {
            let possible = i64::try_from(node.unfinalized().unwrap_or(u64::MAX));
            let depth = random.between(1, 3).min(random.between(1, limit));
            depth.min(possible.unwrap_or(i64::MAX))
        };
        let depth = u64::try_from(depth).unwrap_or(1);
        node.faults = node.faults.saturating_add(1);
        let lost = node.ledger.fork(&plan, depth, now, random);
        self.say(|| format!("{}: a branch undoes {depth} blocks", plan.name));
        // Some of what was lost is sent again.
        for tx in lost {
            if random.is(500_000) {
                node.ledger.send(&tx, now);
            }
        }
        node.ledger.best()
    }

    /// Endpoints hear of a block, one after the other.
    fn spread(&mut self, chain: usize, tip: BlockId) {
        let now = self.around.clock.now();
        let (count, spread_ms) = {
            let node = self.node(chain);
            (node.endpoints.len(), node.plan.spread_ms)
        };
        for endpoint in 0..count {
            if self.calm_since.is_some() || spread_ms == 0 || endpoint == 0 {
                self.learn(chain, endpoint, tip);
            } else {
                let at = now.plus_ms(self.random.wait_ms(spread_ms));
                self.agenda.add(at, Task::Learn(chain, endpoint, tip));
            }
        }
    }

    pub(super) fn learn(&mut self, chain: usize, endpoint: usize, tip: BlockId) {
        let has_hints = {
            let mut node = self.node(chain);
            // News from before the calm must not make an endpoint forget.
            let is_old = node.is_calm && tip != node.ledger.best();
            if !is_old {
                node.learn(endpoint, tip);
            }
            node.plan.has_hints
        };
        if has_hints {
            self.dirty.insert(Who::Chain(chain));
        }
    }

    /// What goes wrong now and then.
    fn trouble(&mut self, chain: usize) {
        if self.calm_since.is_some() {
            return;
        }
        let now = self.around.clock.now();
        let mut random = self.random.clone();
        let (changes, evicted) = {
            let mut node = self.node(chain);
            let changes = random.is(node.plan.mood);
            if changes {
                node.change_mood(now);
                node.faults = node.faults.saturating_add(1);
            }
            (changes, random.is(self.scenario.payers.evicted))
        };
        let rescans = random.is(RESCAN);
        self.random = random;
        if changes {
            self.say(|| format!("chain {chain}: an endpoint changes its mood"));
        }
        if evicted {
            self.agenda.add(now, Task::Evict(chain));
        }
        if rescans {
            self.agenda.add(now, Task::Rescan(chain));
        }
    }

    /// Somebody sends a transaction.
    pub(super) fn send(&mut self, chain: usize, tx: Tx) {
        let now = self.around.clock.now();
        let tx = std::sync::Arc::new(Tx { sent_at: now, ..tx });
        let waits = self.node(chain).ledger.send(&tx, now);
        self.say(|| format!("chain {chain}: {} is sent, waits: {waits}", tx.id));
    }

    /// Drops what waits, where every endpoint has seen it and it replaces nothing: what endpoints forgot
    /// would be kept for days, as it should be.
    pub(super) fn evict(&mut self, chain: usize) {
        let mut random = self.random.clone();
        let dropped = {
            let mut node = self.node(chain);
            let newest = node.endpoints.iter().map(|one| one.since).max();
            let possible: Vec<usize> = (0..)
                .zip(&node.ledger.waiting)
                .filter(|(_, one)| one.replaced.is_none() && newest < Some(one.since))
                .map(|(place, _)| place)
                .collect();
            let place = random.pick(&possible).copied();
            place.map(|place| node.ledger.waiting.remove(place).tx)
        };
        if let Some(tx) = dropped {
            self.report.faults = self.report.faults.saturating_add(1);
            self.say(|| format!("chain {chain}: {} is dropped", tx.id));
            if random.is(500_000) {
                let at = self.around.clock.now().plus_ms(random.wait_ms(600_000));
                self.agenda.add(at, Task::Send(chain, (*tx).clone()));
            }
        }
        self.random = random;
    }

    /// Lets a halted chain go on.
    pub(super) async fn resume(&mut self, chain: usize) -> Result<(), Violation> {
        let name = self.scenario.chains.get(chain).map_or("", |plan| plan.name);
        self.ask(Ask::Resume(name.into())).await?;
        self.dirty.insert(Who::Chain(chain));
        Ok(())
    }

    /// Reads blocks again.
    pub(super) async fn rescan(&mut self, chain: usize) -> Result<(), Violation> {
        let (name, height) = {
            let node = self.node(chain);
            let best = node.ledger.best();
            (node.plan.name, node.ledger.block(best).at.height)
        };
        let wish = Rescan {
            from_height: height.saturating_sub(self.random.below(8)),
            to_height: None,
        };
        self.ask(Ask::Rescan(name.into(), wish)).await
    }

    /// Asks a worker for something; it may have good reasons to refuse.
    async fn ask(&mut self, ask: Ask) -> Result<(), Violation> {
        let mut entropy = Random::of(self.scenario.seed ^ self.random.draw(), "ask", 0);
        let (now, caller) = (self.around.clock.shown(), self.around.caller.clone());
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let commands = process.commands.clone();
        let asked = commands.ask_worker(&caller, ask, None, now, &mut entropy);
        let asked = process.command(Box::pin(asked)).await;
        self.say(|| format!("asked: {asked:?}"));
        if asked.is_err() {
            self.crash()?;
        }
        Ok(())
    }
}
