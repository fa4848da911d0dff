//! Things that tests are about: a merchant, its wallet, invoices with one option.

use std::sync::Arc;

use paywatch_domain::{
    Amount, Dossier, EndpointId, EventId, EventType, Family, Finality, InvoiceId, MerchantId, Mode,
    OptionId, OptionTerms, PaymentPlace, Policy, PoolNews, Price, Said, Status, Sums, Terms,
    Tolerance, UnixMillis, WalletId,
};

use super::bed::{NOW, unit};
use crate::endpoints::NewEndpoint;
use crate::events::NewEvent;
use crate::invoices::{NewInvoice, NewOption};
use crate::wallets::{NewWallet, WalletState};
use crate::{
    EndpointKey, InvoiceKey, MerchantKey, Store, StoreError, WalletKey, endpoints, events,
    invoices, merchants, wallets,
};

pub(crate) fn merchant_id() -> MerchantId {
    MerchantId::from_bits(1)
}

pub(crate) fn wallet_id() -> WalletId {
    WalletId::from_bits(1)
}

/// A merchant with an active wallet.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) merchant: MerchantKey,
    pub(crate) wallet: WalletKey,
}

pub(crate) fn new_wallet(merchant: MerchantKey, number: u128) -> NewWallet {
    NewWallet {
        id: WalletId::from_bits(number),
        merchant,
        mode: Mode::Test,
        family: Family::Bitcoin,
        kind: "xpub".into(),
        canonical: format!("tpub{number}"),
        node: format!("node{number}"),
        fingerprint: "0f0f0f0f".into(),
        label: "till".into(),
        state: WalletState::Pending,
        start_index: 5,
        seal: vec![1, 2, 3],
        now: NOW,
    }
}

impl Scene {
    pub(crate) async fn new(store: Store) -> Self {
        let merchant = unit!(store, [], |tx| merchants::ensure(
            tx,
            merchant_id(),
            "shop",
            NOW
        )
        .await)
        .await
        .unwrap();
        let new = new_wallet(merchant, 1);
        let wallet = unit!(store, [new], |tx| {
            let wallet = wallets::insert(tx, &new).await?;
            assert!(wallets::confirm(tx, wallet, &[4], NOW).await?);
            Ok(wallet)
        })
        .await
        .unwrap();
        Self {
            store,
            merchant,
            wallet,
        }
    }

    pub(crate) async fn store_invoice(&self, dossier: Dossier) -> Result<InvoiceKey, StoreError> {
        let (dossier, scene) = (Arc::new(dossier), self.clone());
        unit!(self.store, [dossier, scene], |tx| {
            let new = NewInvoice {
                dossier: &dossier,
                merchant: scene.merchant,
                seal: b"seal",
                options: vec![
                    NewOption {
                        family: Family::Bitcoin,
                        wallet: scene.wallet,
                        seal: b"option seal".to_vec(),
                        siblings: Vec::new(),
                    };
                    dossier.places.len()
                ],
            };
            invoices::insert(tx, &new).await
        })
        .await
    }

    /// Stores the invoice with this number, which decides its ids and its address.
    pub(crate) async fn invoice(&self, number: u8) -> InvoiceKey {
        self.store_invoice(dossier(number)).await.unwrap()
    }

    pub(crate) async fn endpoint(&self, number: u8, types: &[EventType]) -> EndpointKey {
        let new = NewEndpoint {
            id: EndpointId::from_bits(u128::from(number)),
            merchant: self.merchant,
            mode: Mode::Test,
            url: format!("https://shop.test/{number}"),
            types: types.to_vec(),
            secret: vec![number],
            is_asymmetric: false,
            now: NOW,
        };
        unit!(self.store, [new], |tx| endpoints::insert(tx, &new).await)
            .await
            .unwrap()
    }

    pub(crate) fn event(&self, number: u64, invoice: Option<(InvoiceKey, u64)>) -> NewEvent {
        NewEvent {
            id: EventId::from_bits(u128::from(number)),
            merchant: self.merchant,
            mode: Mode::Test,
            invoice: invoice.map(|(invoice, _)| invoice),
            version: invoice.map(|(_, version)| version),
            kind: EventType::Paid,
            body: format!("{{\"number\": {number}, \"text\": \"ä \\\"quoted\\\"\"}}"),
            created_at: NOW.plus_ms(i64::try_from(number).unwrap()),
            only: None,
        }
    }

    /// Stores events as the engine does: under the lock of their invoices.
    pub(crate) async fn append(&self, new: Vec<NewEvent>) -> Result<(), StoreError> {
        unit!(self.store, [new], |tx| {
            let keys: Vec<InvoiceKey> = new.iter().filter_map(|event| event.invoice).collect();
            invoices::lock(tx, &keys).await?;
            let mut next = u128::from_be_bytes(hash_of(&new[0]));
            events::append(tx, &new, &mut || {
                next = next.wrapping_add(1);
                next
            })
            .await
        })
        .await
    }
}

/// Bits that differ from event to event and are the same in each run of a unit.
fn hash_of(event: &NewEvent) -> [u8; 16] {
    use sha2::{Digest, Sha256};
    let hash: [u8; 32] = Sha256::digest(event.id.to_string()).into();
    *hash.first_chunk().unwrap()
}

/// An invoice with one option, its numbers all from `number`; nothing was said about it.
pub(crate) fn dossier(number: u8) -> Dossier {
    let bits = u128::from(number);
    let option = OptionId::from_bits(bits);
    let amount = Amount::parse_atomic("340282366920938463463374607431768211456").unwrap();
    Dossier {
        id: InvoiceId::from_bits(bits),
        merchant: merchant_id(),
        mode: Mode::Test,
        order_id: Some(format!("A-{number}").into()),
        metadata: "{\"any\": [\"json\", 1.5]}".into(),
        terms: Terms {
            price: Some(Price {
                amount: "49.99".into(),
                currency: "USD".into(),
            }),
            created_at: NOW.plus_ms(i64::from(number)),
            expires_at: NOW.plus_s(900),
            late_until: NOW.plus_s(604_800),
            policy: Policy {
                name: Some("default".into()),
                tiers: Vec::new(),
            },
            success_url: None,
            cancel_url: Some("https://shop.test/back".into()),
            options: vec![OptionTerms {
                id: option,
                asset: "btc@bitcoin-regtest".parse().unwrap(),
                decimals: 8,
                rate: None,
                due: amount,
                minimum: amount,
                maximum: amount,
                tolerance: Tolerance::default(),
                dust: Amount::from_atomic(294),
                finality: Finality::Depth(3),
                created_height: 100,
            }],
        },
        places: vec![PaymentPlace {
            option,
            wallet: wallet_id(),
            address: format!("bcrt1q{number}").into(),
            key: vec![0, 20, number].into(),
            index: u32::from(number),
            path: format!("m/84h/1h/0h/0/{number}").into(),
            caip19: "bip122:regtest/slip44:0".into(),
            payment_uri: format!("bitcoin:bcrt1q{number}").into(),
        }],
        transfers: Vec::new(),
        exceptions: Vec::new(),
        decisions: Vec::new(),
        version: 0,
        said: None,
        quarantined: None,
    }
}

/// What is said about the invoice with this number.
pub(crate) fn said(number: u8, status: Status, closed: bool) -> Said {
    let sums = Sums {
        finalized: Amount::MAX,
        ..Sums::default()
    };
    Said {
        status,
        closed,
        waiting_for: vec!["bitcoin-regtest".parse().unwrap()],
        options: vec![(OptionId::from_bits(u128::from(number)), sums)],
        pool: Some(PoolNews {
            since: UnixMillis(5),
            count: 3,
        }),
    }
}
