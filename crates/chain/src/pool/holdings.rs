//! What keys hold, as far as endpoints have to be asked: no proof leads from a balance to a hash.

use paywatch_domain::BlockRef;

use super::EndpointPool;
use crate::error::SourceError;
use crate::source::{Holder, Holding, Source};

impl<S: Source> EndpointPool<S> {
    /// Asks as many endpoints as have to agree, of those that do not see everything: blocks may have been
    /// read by any of them. They must say the same.
    pub(super) async fn agreed_holdings(
        &self,
        at: &BlockRef,
        holders: &[Holder],
    ) -> Result<Option<Vec<Holding>>, SourceError> {
        let mut order = self.order(at.height);
        let mut said: Option<Vec<Holding>> = None;
        let mut voters: usize = 0;
        while voters < self.agree && !order.is_empty() {
            let asked = self.first_of(&order, |source| source.holdings(at, holders));
            let (member, held) = asked.await?;
            // Those before it have failed.
            let place = order.iter().position(|number| *number == member);
            order.drain(..=place.unwrap_or_default());
            let Some(held) = held else {
                continue;
            };
            if said.as_ref().is_some_and(|said| *said != held) {
                return Err(SourceError::Malformed {
                    chain: self.chain.clone(),
                    detail: format!(
                        "endpoints contradict each other in what accounts hold at height {}",
                        at.height
                    ),
                });
            }
            voters = voters.saturating_add(1);
            said = Some(held);
        }
        Ok(said)
    }
}
