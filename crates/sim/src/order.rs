//! What the merchant asked for: the simulator's own record of each invoice.

use std::collections::BTreeMap;

use paywatch_domain::{AssetName, Finality, InvoiceId, UnixMillis};

use crate::finality;
use crate::random::Random;
use crate::scenario::ChainPlan;

/// Digits after the point of every simulated asset.
pub const DECIMALS: u8 = 8;
/// A payment below this is a trifle, in atomic units.
pub const DUST: u64 = 546;

/// One way to pay, as asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// On which chain.
    pub chain: usize,
    /// What.
    pub asset: AssetName,
    /// How much, in atomic units.
    pub due: u64,
    /// What makes it final.
    pub finality: Finality,
}

/// What is known once it was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its public id.
    pub id: InvoiceId,
    /// When it was made, by the watcher's clock.
    pub created_at: UnixMillis,
    /// Where each option is paid.
    pub addresses: Vec<String>,
    /// From which height on each option's payments count.
    pub heights: Vec<u64>,
}

/// One invoice.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number, which is also its idempotency key.
    pub number: usize,
    /// The ways to pay.
    pub wanted: Vec<Wanted>,
    /// Whether the request says what makes money final; else the chains do.
    pub has_policy: bool,
    /// Seconds from creation to expiry.
    pub expires_in_s: u64,
    /// Seconds in which late money counts.
    pub late_window_s: u64,
    /// Less by this is enough, in millionths.
    pub under: u64,
    /// More by this is not too much, in millionths.
    pub over: u64,
    /// By the time of each attempt to make it, the heights at which the chains stood.
    pub attempts: BTreeMap<UnixMillis, Vec<u64>>,
    /// What came of it.
    pub made: Option<Made>,
    /// Whether it was canceled.
    pub is_canceled: bool,
}

impl Order {
    /// Draws what a merchant asks for. `assets` are all that can be paid, with their chains.
    pub fn draw(
        number: usize,
        assets: &[(usize, AssetName)],
        plans: &[ChainPlan],
        random: &mut Random,
    ) -> Self {
        let tolerances = [0, 0, 5_000, 20_000];
        let count = random.pick(&[1, 1, 1, 2, 3]).copied().unwrap_or(1);
        let mut assets = assets.to_vec();
        random.shuffle(&mut assets);
        let has_policy = random.is(500_000);
        let wanted = assets.into_iter().take(count).filter_map(|(chain, asset)| {
            let plan = plans.get(chain)?;
            Some(Wanted {
                chain,
                asset,
                due: random.below(10_000_000).saturating_add(10_000),
                finality: if has_policy {
                    finality::draw(plan, random)
                } else {
                    plan.finality.clone()
                },
            })
        });
        let wanted = wanted.collect();
        Self {
            number,
            wanted,
            has_policy,
            expires_in_s: random.below(7_000).saturating_add(200),
            late_window_s: random.below(3).saturating_mul(random.below(3_600)),
            under: random.pick(&tolerances).copied().unwrap_or(0),
            over: random.pick(&tolerances).copied().unwrap_or(0),
            attempts: BTreeMap::new(),
            made: None,
            is_canceled: false,
        }
    }

    /// The request's body.
    pub fn body(&self) -> String {
        let options = self.wanted.iter().map(
            |one| serde_json::json!({ "asset": one.asset.to_string(), "amount": decimal(one.due) }),
        );
        let percent = |millionths: u64| decimal_of(u128::from(millionths), 4);
        let mut body = serde_json::json!({
            "order_id": format!("order-{}", self.number),
            "options": options.collect::<Vec<_>>(),
            "expires_in_s": self.expires_in_s,
            "late_window_s": self.late_window_s,
            "tolerance": {
                "under_percent": percent(self.under),
                "over_percent": percent(self.over),
            },
        });
        if self.has_policy {
            let rules = self.wanted.iter();
            let rules = rules.map(|one| (one.asset.to_string(), finality::form(&one.finality)));
            let rules: serde_json::Map<_, _> = rules.collect();
            body["policy"] = serde_json::json!({ "tiers": [{ "finality": rules }] });
        }
        body.to_string()
    }
}

/// Atomic units as decimal text.
pub fn decimal(atomic: u64) -> String {
    decimal_of(u128::from(atomic), u32::from(DECIMALS))
}

fn decimal_of(atomic: u128, decimals: u32) -> String {
    let unit = 10_u128.pow(decimals);
    let width = usize::try_from(decimals).unwrap_or(0);
    format!("{}.{:0width$}", atomic / unit, atomic % unit)
}

/// Decimal text as atomic units; `None` when it is none.
pub fn atomic(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let width = usize::from(DECIMALS);
    if width < part.len() {
        return None;
    }
    format!("{whole}{part:0<width$}").parse().ok()
}
