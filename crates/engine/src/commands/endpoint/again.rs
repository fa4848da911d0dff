//! What merchants have sent to their endpoints by request: a test, a delivery again, a range of events again.

use std::sync::Arc;

use paywatch_domain::{DeliveryId, EndpointId, Entropy, EventId, EventType, UnixMillis, limits};
use paywatch_store::deliveries::{self, Replay as Range};
use paywatch_store::endpoints::Endpoint as Row;
use paywatch_store::events::{self, NewEvent};
use paywatch_store::{MasterKey, StoreError, Tx, audit};
use paywatch_wire::endpoint::Replay;
use paywatch_wire::request::ReplayEvents;
use paywatch_wire::{EventHead, endpoint_event, json_text};

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::delivery::delivery_form;
use super::super::{Caller, Change, CommandError, Commands};
use super::find;
use crate::ids::Ids;

/// What is to be sent.
enum Errand {
    Test(EndpointId),
    Delivery(DeliveryId),
    Range(EndpointId, ReplayEvents),
}

struct SendAgain {
    master: Arc<MasterKey>,
    caller: Caller,
    errand: Errand,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for SendAgain {
    const NAME: &'static str = "send_again";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let mut ids = Ids::new(self.seed);
        match &self.errand {
            Errand::Test(id) => {
                let row = self.enabled(tx, *id).await?;
                let delivery = self.test(tx, &row, &mut ids).await?;
                self.note(tx, "endpoint.test", id).await?;
                self.delivery(tx, delivery).await
            }
            Errand::Delivery(id) => {
                let delivery = self.redeliver(tx, *id, &mut ids).await?;
                self.note(tx, "delivery.redeliver", id).await?;
                self.delivery(tx, delivery).await
            }
            Errand::Range(id, range) => {
                let row = self.enabled(tx, *id).await?;
                let body = self.replay(tx, &row, *range, &mut ids).await?;
                self.note(tx, "endpoint.replay", id).await?;
                Ok(Answer { status: 202, body })
            }
        }
    }
}

impl SendAgain {
    /// An endpoint of the caller that gets events.
    async fn enabled(&self, tx: &mut Tx, id: EndpointId) -> Result<Row, CommandError> {
        let row = find(tx, &self.caller, id).await?;
        if row.is_enabled {
            Ok(row)
        } else {
            Err(disabled(&id))
        }
    }

    /// Makes an event for this endpoint alone.
    async fn test(
        &self,
        tx: &mut Tx,
        row: &Row,
        ids: &mut Ids,
    ) -> Result<DeliveryId, CommandError> {
        let (merchant, mode, at) = (self.caller.merchant, self.caller.mode, self.now);
        let (id, kind) = (EventId::from_bits(ids.bits()), EventType::EndpointTest);
        let body = endpoint_event(&EventHead { id, kind, at, mode }, &row.show(&self.master)?);
        let event = NewEvent {
            id,
            merchant,
            mode,
            invoice: None,
            version: None,
            kind,
            body,
            created_at: at,
            only: Some(row.key),
        };
        let delivery = ids.bits();
        events::append(tx, &[event], &mut || delivery).await?;
        Ok(DeliveryId::from_bits(delivery))
    }

    async fn redeliver(
        &self,
        tx: &mut Tx,
        id: DeliveryId,
        ids: &mut Ids,
    ) -> Result<DeliveryId, CommandError> {
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let new_id = DeliveryId::from_bits(ids.bits());
        if deliveries::redeliver(tx, merchant, mode, id, new_id, self.now).await? {
            return Ok(new_id);
        }
        let found = deliveries::get(tx, merchant, mode, id).await?;
        Err(match found {
            Some(delivery) => disabled(&delivery.endpoint_id),
            None => {
                let detail = format!("there is no delivery {id}");
                CommandError::refused(404, "delivery_unknown", detail)
            }
        })
    }

    async fn replay(
        &self,
        tx: &mut Tx,
        row: &Row,
        range: ReplayEvents,
        ids: &mut Ids,
    ) -> Result<String, CommandError> {
        let place = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let range = Range {
            merchant: self.caller.merchant,
            mode: self.caller.mode,
            endpoint: row.key,
            types: &row.types,
            after: place(range.after),
            until: range.until.map_or(i64::MAX, place),
            limit: limits::REPLAYED_MAX,
        };
        let replayed = deliveries::replay(tx, &range, self.now, &mut || ids.bits()).await?;
        let replayed = replayed.ok_or_else(|| disabled(&row.id))?;
        Ok(json_text(&Replay {
            object: "replay".into(),
            endpoint_id: row.id.to_string(),
            deliveries: replayed.count,
            next_after: replayed.next_after,
        }))
    }

    async fn note(
        &self,
        tx: &mut Tx,
        action: &'static str,
        subject: &(impl ToString + Sync),
    ) -> Result<(), CommandError> {
        let entry = self
            .caller
            .did(action, subject, Change::default(), self.now);
        Ok(audit::append(tx, &self.master, &entry).await?)
    }

    /// Shows a delivery that was made.
    async fn delivery(&self, tx: &mut Tx, id: DeliveryId) -> Result<Answer, CommandError> {
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let row = deliveries::get(tx, merchant, mode, id).await?;
        let row = row.ok_or_else(|| StoreError::Damaged(format!("{id} is not there")))?;
        Ok(Answer {
            status: 202,
            body: json_text(&delivery_form(&row, Vec::new())),
        })
    }
}

fn disabled(id: &EndpointId) -> CommandError {
    let detail =
        format!("the webhook endpoint {id} gets no events now; enable it, or register another one");
    CommandError::refused(409, "endpoint_disabled", detail)
}

impl Commands {
    async fn send_again(
        &self,
        caller: &Caller,
        errand: Errand,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let effect = SendAgain {
            master: Arc::clone(&self.parts.master),
            caller: caller.clone(),
            errand,
            now,
            seed,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }

    /// Sends `endpoint.test` to an endpoint, and to no other.
    pub async fn test_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let errand = Errand::Test(id);
        self.send_again(caller, errand, idempotent, now, entropy)
            .await
    }

    /// Sends the event of a delivery to its endpoint again, as a new delivery.
    pub async fn redeliver(
        &self,
        caller: &Caller,
        id: DeliveryId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let errand = Errand::Delivery(id);
        self.send_again(caller, errand, idempotent, now, entropy)
            .await
    }

    /// Sends the events of a range to an endpoint again, a bounded number with each request.
    pub async fn replay_events(
        &self,
        caller: &Caller,
        id: EndpointId,
        range: ReplayEvents,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let errand = Errand::Range(id, range);
        self.send_again(caller, errand, idempotent, now, entropy)
            .await
    }
}
