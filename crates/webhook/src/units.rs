//! What the deliverer writes, each in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use paywatch_domain::{EndpointId, EventId, EventType, UnixMillis};
use paywatch_store::deliveries::{self, Claimed, EndpointHealth, EndpointMax, Recorded};
use paywatch_store::events::{self, NewEvent};
use paywatch_store::{EndpointKey, MasterKey, StoreError, Tx, Unit, endpoints};
use paywatch_wire::{EventHead, endpoint_event};
use sha2::{Digest as _, Sha256};

/// Claims what is due.
pub(crate) struct ClaimDue {
    pub(crate) now: UnixMillis,
    pub(crate) limit: u32,
    pub(crate) endpoint_max: EndpointMax,
    pub(crate) lease_until: UnixMillis,
}

impl Unit for ClaimDue {
    type Output = Vec<Claimed>;
    type Error = StoreError;
    const NAME: &'static str = "claim_deliveries";
    /// A claim that a power cut takes back is sent again, which is what it would be without one too.
    const FLUSHED: bool = false;

    async fn run(&self, tx: &mut Tx) -> Result<Vec<Claimed>, StoreError> {
        deliveries::claim(
            tx,
            self.now,
            self.limit,
            self.endpoint_max,
            self.lease_until,
        )
        .await
    }
}

/// Gives back what a process that is gone had claimed.
pub(crate) struct ReleaseClaims;

impl Unit for ReleaseClaims {
    type Output = u64;
    type Error = StoreError;
    const NAME: &'static str = "release_claims";

    async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        deliveries::unclaim_all(tx).await
    }
}

/// Records finished attempts and disables endpoints that are gone or only fail.
pub(crate) struct RecordAttempts {
    pub(crate) master: Arc<MasterKey>,
    pub(crate) recorded: Vec<Recorded>,
    /// Endpoints that answered 410.
    pub(crate) gone: BTreeSet<EndpointKey>,
    pub(crate) now: UnixMillis,
    pub(crate) disable_after_ms: i64,
    /// Where the ids of events and deliveries come from.
    pub(crate) seed: [u8; 32],
}

impl Unit for RecordAttempts {
    /// The endpoints that were disabled, and why.
    type Output = Vec<(EndpointId, &'static str)>;
    type Error = StoreError;
    const NAME: &'static str = "record_attempts";

    async fn run(&self, tx: &mut Tx) -> Result<Self::Output, StoreError> {
        let mut ids = Ids {
            seed: self.seed,
            next: 0,
        };
        let mut disabled = Vec::new();
        let mut told = Vec::new();
        for endpoint in deliveries::record(tx, &self.recorded, self.now).await? {
            let Some(reason) = self.reason(&endpoint) else {
                continue;
            };
            if !endpoints::disable(tx, endpoint.endpoint, reason, self.now).await? {
                continue;
            }
            disabled.push((endpoint.id, reason));
            told.push(
                self.event(tx, &endpoint, EventId::from_bits(ids.bits()))
                    .await?,
            );
        }
        events::append(tx, &told, &mut || ids.bits()).await?;
        Ok(disabled)
    }
}

impl RecordAttempts {
    fn reason(&self, endpoint: &EndpointHealth) -> Option<&'static str> {
        if self.gone.contains(&endpoint.endpoint) {
            return Some("the receiver answered 410 Gone");
        }
        let failing_ms = self.now.ms_since(endpoint.failing_since?);
        (self.disable_after_ms <= failing_ms).then_some("every attempt failed for too long")
    }

    /// What the merchant's other endpoints are told.
    async fn event(
        &self,
        tx: &mut Tx,
        health: &EndpointHealth,
        id: EventId,
    ) -> Result<NewEvent, StoreError> {
        let (merchant, mode, at) = (health.merchant, health.mode, self.now);
        let row = endpoints::get(tx, merchant, mode, health.id).await?;
        let row = row.ok_or_else(|| StoreError::Damaged(format!("no endpoint {}", health.id)))?;
        let endpoint = row.show(&self.master)?;
        let kind = EventType::EndpointDisabled;
        let body = endpoint_event(&EventHead { id, kind, at, mode }, &endpoint);
        let (invoice, version, only, created_at) = (None, None, None, at);
        Ok(NewEvent {
            id,
            merchant,
            mode,
            invoice,
            version,
            kind,
            body,
            created_at,
            only,
        })
    }
}

/// Ids from one seed: a unit that is run again makes the same ones.
struct Ids {
    seed: [u8; 32],
    next: u64,
}

impl Ids {
    fn bits(&mut self) -> u128 {
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.next.to_be_bytes());
        self.next = self.next.saturating_add(1);
        let digest = hash.finalize();
        digest
            .iter()
            .take(16)
            .fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
    }
}
