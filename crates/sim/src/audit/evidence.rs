//! What paywatch says: asked through its own commands, and its tables of events and deliveries.

use anyhow::{Context as _, Result};
use paywatch_domain::{EndpointId, UnixMillis};
use paywatch_engine::commands::{Caller, Commands};
use paywatch_store::chains::{self, ChainRow};
use paywatch_store::deliveries::{self, DeliveryState};
use paywatch_store::invoices::By;
use paywatch_store::{Cursor, Store, events};

use crate::told::{Shown, Told};

/// Rows of one page.
const PAGE: u32 = 100;

/// One delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event.
    pub event: String,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether it was tried as often as it ever will be.
    pub is_exhausted: bool,
}

/// Everything that is said at one moment.
#[derive(Debug)]
pub struct Evidence {
    /// The moment, by the watcher's clock.
    pub now: UnixMillis,
    /// The chains, by name.
    pub chains: Vec<ChainRow>,
    /// The invoices.
    pub invoices: Vec<Shown>,
    /// The events in the order in which they were said.
    pub events: Vec<Told>,
    /// The deliveries; only looked at when everything has settled.
    pub deliveries: Vec<Delivery>,
}

impl Evidence {
    /// Asks for everything.
    pub async fn gather(
        store: &Store,
        commands: &Commands,
        caller: &Caller,
        now: UnixMillis,
        is_complete: bool,
    ) -> Result<Self> {
        let chains = chains::all(&mut store.read().await?).await?;
        let mut evidence = Self {
            now,
            chains,
            invoices: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
        };
        let page = commands
            .invoices(caller, By::All, &Cursor::Newest, PAGE, now)
            .await?;
        for invoice in page.rows {
            let text = serde_json::to_string(&invoice)?;
            evidence.invoices.push(serde_json::from_str(&text)?);
        }
        evidence.read_events(store, caller).await?;
        if is_complete {
            evidence.read_deliveries(store, caller).await?;
        }
        Ok(evidence)
    }

    async fn read_events(&mut self, store: &Store, caller: &Caller) -> Result<()> {
        let (merchant, mode) = (caller.merchant, caller.mode);
        let mut after = 0;
        loop {
            let mut conn = store.read().await?;
            let rows = events::after(&mut conn, merchant, mode, after, PAGE).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.seq;
            for row in &rows {
                let told = Told::read(row.body.as_bytes()).context("an event is JSON")?;
                self.events.push(told);
            }
        }
    }

    async fn read_deliveries(&mut self, store: &Store, caller: &Caller) -> Result<()> {
        let (merchant, mode) = (caller.merchant, caller.mode);
        let mut cursor = Cursor::Newest;
        loop {
            let mut conn = store.read().await?;
            let page = deliveries::page(&mut conn, merchant, mode, &cursor, PAGE).await?;
            let rows = page.rows.iter().map(|row| Delivery {
                event: row.event_id.to_string(),
                endpoint: row.endpoint_id,
                is_exhausted: row.state == DeliveryState::Exhausted,
            });
            self.deliveries.extend(rows);
            match page.rows.last().filter(|_| page.has_more) {
                Some(last) => cursor = Cursor::After(last.id),
                None => return Ok(()),
            }
        }
    }
}
