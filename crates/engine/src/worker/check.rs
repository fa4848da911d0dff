//! An invoice that people want checked: where the node has an index of addresses, only the blocks in which it
//! finds those of the invoice are read again; without one every block is, in which it can have been paid.

use std::collections::BTreeSet;

use paywatch_chain::{Source, SourceError};
use paywatch_domain::{ChainName, Place, UnixMillis};
use paywatch_store::requests::Request as Asked;
use paywatch_store::{InvoiceKey, RequestKey, StoreError, invoices};

use super::attach::{Locating, Sought};
use super::following::Following;
use super::reading::Reading;
use super::requests::note;
use super::wallet_scan::WalletScan;
use super::{Fault, Parts};
use crate::apply::Aim;

/// The addresses of an invoice, and the blocks in which they may have been paid.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// What blocks are scanned for.
    pub(super) keys: Vec<Box<[u8]>>,
    /// The lowest block and the highest.
    pub(super) heights: (u64, u64),
    /// Where transfers stand by what is stored: read whatever the node finds.
    known: BTreeSet<u64>,
}

impl Addresses {
    /// Those of an invoice, as far as its blocks are not read yet.
    pub(super) async fn of(
        parts: &Parts,
        asked: &Asked,
        invoice: InvoiceKey,
    ) -> Result<Self, StoreError> {
        let Some((from, to)) = asked.task.heights() else {
            return Ok(Self::default());
        };
        let from = from.saturating_add(asked.progress.blocks_done);
        let mut conn = parts.store.read().await?;
        let loaded = invoices::load(&mut conn, &[invoice]).await?.pop();
        // One that is damaged has no address that could be believed: then every block is read.
        let dossier = loaded.and_then(|loaded| loaded.dossier.ok());
        let Some(dossier) = dossier else {
            return Ok(Self::default());
        };
        let chain: &ChainName = &parts.spec.name;
        let transfers = dossier.transfers.iter();
        let own = transfers.filter(|transfer| transfer.asset.chain() == chain);
        let known = own.filter_map(|transfer| match &transfer.place {
            Some(Place::Block(at)) => Some(at.height),
            Some(Place::Mempool) | None => None,
        });
        Ok(Self {
            known: known
                .filter(|height| (from..=to).contains(height))
                .collect(),
            keys: dossier.places.into_iter().map(|place| place.key).collect(),
            heights: (from, to),
        })
    }
}

impl<S: Source> Following<S> {
    /// Begins to read for a request; where the node may know which blocks it is about, it is asked first.
    pub(super) async fn begin_reading(
        &mut self,
        parts: &Parts,
        request: &Asked,
        aim: Aim,
        wallet: Option<WalletScan>,
    ) -> Result<(), Fault> {
        let addresses = match &aim {
            Aim::Invoice(invoice) => Addresses::of(parts, request, *invoice).await?,
            Aim::Everything | Aim::Transaction(..) => Addresses::default(),
        };
        match request.task.heights() {
            Some(_) if !addresses.keys.is_empty() => {
                self.locating = Some(Locating::addresses(addresses, request, aim));
            }
            Some(heights) => {
                let reading = Reading::new(request.clone(), wallet, heights, self.branch);
                self.reading = Some(reading.aimed(aim));
            }
            None => self.locating = Locating::new(request, aim),
        }
        Ok(())
    }

    /// Takes where the node finds the addresses of an invoice, and begins to read there.
    pub(super) async fn take_mentioned(
        &mut self,
        parts: &Parts,
        asked: RequestKey,
        mentioned: Result<Option<BTreeSet<u64>>, SourceError>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let Some(mut locating) = self.locating.take_if(|one| one.asked.key == asked) else {
            return Ok(false);
        };
        let mentioned = match mentioned {
            Ok(mentioned) => mentioned,
            Err(error) => {
                self.look_later(parts, locating, error.into(), now).await?;
                return Ok(true);
            }
        };
        let heights = locating.asked.task.heights();
        let (Some((from, to)), Sought::Addresses(addresses)) = (heights, &locating.sought) else {
            return Ok(false);
        };
        let places = mentioned.map(|mut places| {
            let (lowest, highest) = addresses.heights;
            places.retain(|height| (lowest..=highest).contains(height));
            places.extend(&addresses.known);
            places
        });
        if places.as_ref().is_some_and(BTreeSet::is_empty) {
            let all = to.saturating_sub(from).saturating_add(1);
            locating.asked.progress.blocks_done = all;
            locating.conclude(None);
            note(parts, self.lease.fence, &locating.asked, None, now).await?;
            self.looks = true;
            return Ok(true);
        }
        let Locating {
            asked,
            aim,
            attempts,
            ..
        } = locating;
        let mut reading = Reading::new(asked, None, (from, to), self.branch).aimed(aim);
        reading.attempts = attempts;
        if let Some(places) = places {
            reading.keep_to_places(places);
        }
        self.reading = Some(reading);
        Ok(true)
    }
}
