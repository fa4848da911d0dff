//! Rates: what is known at present, for those who ask and for invoices that need one.

use paywatch_domain::{Pair, Rates, Told, UnixMillis};
use paywatch_store::{Conn, rates};
use paywatch_wire::RateState;

use super::{CommandError, CommandParts, Commands};

/// What sources said about every pair of a currency.
pub(super) async fn told(
    conn: &mut Conn,
    parts: &CommandParts,
    currency: Option<&str>,
) -> Result<Vec<Told>, CommandError> {
    let pairs = parts.rates.pairs.keys();
    let wanted = pairs.filter(|pair| Some(pair.currency()) == currency);
    let wanted: Vec<&Pair> = wanted.collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    Ok(rates::told(conn, &parts.master, wanted).await?)
}

impl Commands {
    /// Every configured pair with its sources: the rate by which an invoice would be made now, or why there is
    /// none.
    pub async fn rates(&self, now: UnixMillis) -> Result<Vec<RateState>, CommandError> {
        let (parts, plan) = (&self.parts, &*self.parts.rates);
        let mut conn = parts.store.read().await?;
        let told = rates::told(&mut conn, &parts.master, plan.pairs.keys()).await?;
        Ok(RateState::all(plan, &Rates::new(plan, &told, now)))
    }
}
