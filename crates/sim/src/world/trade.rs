//! What merchants ask for: invoices, cancels, endpoints; and what payers then plan.

use paywatch_domain::{EndpointId, Family, UnixMillis};
use paywatch_engine::commands::{CommandError, Idempotent};
use paywatch_store::chains;
use paywatch_wire::time::parse_rfc3339;

use super::World;
use super::agenda::Task;
use crate::audit::Violation;
use crate::clock::Who;
use crate::merchant::Merchants;
use crate::order::{DUST, Made};
use crate::payer::{self, Bill, Habit};
use crate::random::Random;
use crate::template::{answer, request};

/// A merchant that was refused comes back after this time, in milliseconds.
const AGAIN_MS: i64 = 240_000;

impl World {
    fn entropy(&mut self, purpose: &str) -> Random {
        Random::of(
            self.scenario.seed ^ self.random.draw(),
            purpose,
            self.incarnation,
        )
    }

    /// Asks for an invoice, once or until it is known to be made.
    pub(super) async fn order(&mut self, number: usize) -> Result<(), Violation> {
        let again = self.around.clock.now().plus_ms(AGAIN_MS);
        let heights = self.cursors().await;
        let mut entropy = self.entropy("order");
        let (now, caller) = (self.around.clock.shown(), self.around.caller.clone());
        let (Some(process), Some(order)) = (&mut self.process, self.orders.get_mut(number)) else {
            self.agenda.add(again, Task::Order(number));
            return Ok(());
        };
        let body = order.body();
        let wish = request(&body).map_err(|error| Violation::new("requests_are_read", error))?;
        order.attempts.insert(now, heights);
        let idempotent = Idempotent {
            path: "/v1/invoices".into(),
            key: format!("order-{number}"),
            body_hash: [u8::try_from(number).unwrap_or(0); 32],
        };
        let commands = process.commands.clone();
        let made = commands.create_invoice(&caller, wish, Some(idempotent), now, &mut entropy);
        let made = Box::pin(made);
        let made = process.command(made).await;
        match made {
            Err(_) => {
                self.agenda.add(again, Task::Order(number));
                self.crash()
            }
            Ok(Err(CommandError::Unavailable(_))) => {
                self.say(|| format!("invoice {number}: not to be had at present"));
                self.agenda.add(again, Task::Order(number));
                Ok(())
            }
            Ok(Err(error)) => Err(Violation::new("invoices_can_be_made", error)),
            // It is made, and nobody hears of that.
            Ok(Ok(_)) if self.calm_since.is_none() && entropy.is(self.scenario.shop_failure) => {
                self.report.faults = self.report.faults.saturating_add(1);
                self.agenda.add(again, Task::Order(number));
                Ok(())
            }
            Ok(Ok(answered)) => {
                let invoice =
                    answer(&answered).map_err(|error| Violation::new("answers_are_json", error))?;
                self.made(number, &invoice)
            }
        }
    }

    /// Where the watcher's cursors stand, by chain.
    async fn cursors(&mut self) -> Vec<u64> {
        let Some(process) = &self.process else {
            return Vec::new();
        };
        self.around.crashes.look(true);
        let rows = async { chains::all(&mut process.store.read().await?).await }.await;
        self.around.crashes.look(false);
        let rows = rows.unwrap_or_default();
        let height = |name: &str| {
            let row = rows.iter().find(|row| row.chain.as_str() == name)?;
            Some(row.cursor.as_ref()?.height)
        };
        let plans = self.scenario.chains.iter();
        plans.map(|plan| height(plan.name).unwrap_or(0)).collect()
    }

    fn made(&mut self, number: usize, invoice: &serde_json::Value) -> Result<(), Violation> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let created_at = parse_rfc3339(&text(&invoice["created_at"]));
        let id = text(&invoice["id"]).parse();
        let (Ok(created_at), Ok(id)) = (created_at, id) else {
            return Err(Violation::new("answers_are_json", invoice));
        };
        let addresses: Vec<String> = invoice["options"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|option| text(&option["address"]))
            .collect();
        self.audit.shown(number, &addresses)?;
        let Some(order) = self.orders.get_mut(number) else {
            return Ok(());
        };
        let cursors = order.attempts.get(&created_at).cloned().unwrap_or_default();
        let heights = order.wanted.iter().map(|one| {
            let cursor = cursors.get(one.chain).copied().unwrap_or(0);
            let depth = self
                .scenario
                .chains
                .get(one.chain)
                .map_or(0, |plan| plan.reorg_depth_max);
            cursor.saturating_sub(depth)
        });
        order.made = Some(Made {
            id,
            created_at,
            addresses,
            heights: heights.collect(),
        });
        self.say(|| format!("invoice {number} is made: {}", text(&invoice["id"])));
        self.plan_payments(number);
        Ok(())
    }

    fn plan_payments(&mut self, number: usize) {
        let part = u64::try_from(number).unwrap_or(0);
        let mut random = Random::of(self.scenario.seed, "payer", part);
        let now = self.around.clock.now();
        let count = self
            .orders
            .get(number)
            .map_or(0, |order| order.wanted.len());
        let place = random.below(u64::try_from(count).unwrap_or(1));
        let Some(bill) = self.bill(number, usize::try_from(place).unwrap_or(0)) else {
            return;
        };
        let habit = Habit::draw(&self.scenario.payers.weights, &mut random);
        let delay_ms = self.scenario.payers.delay_ms;
        let payments = payer::plan(&bill, habit, delay_ms, now, &mut random);
        self.say(|| format!("invoice {number}: {habit:?}, {} payments", payments.len()));
        for payment in payments {
            self.agenda
                .add(payment.at, Task::Send(payment.chain, payment.tx));
        }
        if random.is(self.scenario.canceled) {
            let at = now.plus_ms(random.wait_ms(delay_ms));
            self.agenda.add(at, Task::Cancel(number));
        }
    }

    /// What a payer sees of one option.
    fn bill(&self, number: usize, place: usize) -> Option<Bill> {
        let order = self.orders.get(number)?;
        let (wanted, made) = (order.wanted.get(place)?, order.made.as_ref()?);
        let plan = self.scenario.chains.get(wanted.chain)?;
        let spec = self.around.specs.get(wanted.chain)?;
        let others = spec.assets.iter().map(|asset| &asset.name);
        let mut others = others.filter(|name| **name != wanted.asset);
        let mut chains = self.around.specs.iter().enumerate();
        let other_chain =
            chains.find(|(chain, other)| *chain != wanted.chain && other.family == spec.family);
        Some(Bill {
            number,
            chain: wanted.chain,
            has_coins: plan.family == Family::Bitcoin,
            address: made.addresses.get(place)?.clone(),
            asset: wanted.asset.clone(),
            due: wanted.due,
            dust: DUST,
            expires_at: UnixMillis(made.created_at.plus_s(order.expires_in_s).0)
                .plus_ms(-self.around.clock.ahead_ms()),
            other_asset: others.next().cloned(),
            other_chain: other_chain
                .and_then(|(chain, spec)| Some((chain, spec.assets.first()?.name.clone()))),
        })
    }

    /// Cancels an invoice; what is under way or over cannot be canceled.
    pub(super) async fn cancel(&mut self, number: usize) -> Result<(), Violation> {
        let mut entropy = self.entropy("cancel");
        let again = self.around.clock.now().plus_ms(AGAIN_MS);
        let (now, caller) = (self.around.clock.shown(), self.around.caller.clone());
        let id = self
            .orders
            .get(number)
            .and_then(|order| Some(order.made.as_ref()?.id));
        let (Some(process), Some(id)) = (&mut self.process, id) else {
            self.agenda.add(again, Task::Cancel(number));
            return Ok(());
        };
        let idempotent = Idempotent {
            path: format!("/v1/invoices/{id}/cancel"),
            key: format!("cancel-{number}"),
            body_hash: [0; 32],
        };
        let commands = process.commands.clone();
        let canceled = commands.cancel_invoice(&caller, id, Some(idempotent), now, &mut entropy);
        match process.command(canceled).await {
            Err(_) => {
                self.agenda.add(again, Task::Cancel(number));
                self.crash()
            }
            Ok(Ok(_)) => {
                self.say(|| format!("invoice {number} is canceled"));
                if let Some(order) = self.orders.get_mut(number) {
                    order.is_canceled = true;
                }
                Ok(())
            }
            Ok(Err(CommandError::Refused {
                code: "invoice_not_cancelable",
                ..
            })) => Ok(()),
            Ok(Err(error)) => Err(Violation::new("invoices_can_be_canceled", error)),
        }
    }

    /// Registers the merchant's endpoint of this number, once or until it is known to be registered.
    pub(super) async fn register(&mut self, shop: usize) -> Result<(), Violation> {
        let mut entropy = self.entropy("endpoint");
        let (now, caller) = (self.around.clock.shown(), self.around.caller.clone());
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let body = serde_json::json!({ "url": Merchants::url(shop) }).to_string();
        let wish = request(&body).map_err(|error| Violation::new("requests_are_read", error))?;
        let idempotent = Idempotent {
            path: "/v1/endpoints".into(),
            key: format!("shop-{shop}"),
            body_hash: [0; 32],
        };
        let commands = process.commands.clone();
        let made = commands.create_endpoint(&caller, wish, Some(idempotent), now, &mut entropy);
        match process.command(made).await {
            Err(_) => self.crash(),
            Ok(Err(error)) => Err(Violation::new("endpoints_can_be_made", error)),
            Ok(Ok(answered)) => {
                let shown =
                    answer(&answered).map_err(|error| Violation::new("answers_are_json", error))?;
                let id: Option<EndpointId> = shown["id"].as_str().and_then(|id| id.parse().ok());
                self.audit.endpoints.extend(id.map(|id| (shop, id)));
                Ok(())
            }
        }
    }

    /// Every half hour: merchants change their mood, the clock jumps.
    pub(super) fn hour(&mut self) {
        if self.calm_since.is_some() {
            return;
        }
        let now = self.around.clock.now();
        if self.random.is(self.scenario.shop_mood) {
            self.around.post.merchants().change_mood();
            self.say(|| "a merchant changes its mood".into());
        }
        if self.random.is(self.scenario.jump) {
            let limit_ms = self.scenario.jump_ms;
            let ahead_ms = self.random.between(-limit_ms, limit_ms);
            self.around.clock.set_ahead(ahead_ms);
            self.report.faults = self.report.faults.saturating_add(1);
            self.say(|| format!("the clock is {ahead_ms} ms ahead"));
            self.dirty
                .extend((0..self.around.nodes.len()).map(Who::Chain));
        }
        self.agenda.add(now.plus_ms(1_800_000), Task::Hour);
    }
}
