//! Seals: whoever can only write to the database cannot redirect a payment.
//!
//! What a payer is shown is sealed with a MAC under the master key when it is made, and the seal is
//! checked at every read.

use paywatch_domain::{Dossier, OptionTerms, PaymentPlace};
use paywatch_store::MasterKey;
use paywatch_store::wallets::WalletState;
use paywatch_wire::stored::{finality_to_json, rate_to_json};

const INVOICE: &str = "invoice-seal";
const OPTION: &str = "option-seal";
const WALLET: &str = "wallet-seal";
const POOL: &str = "pool-address-seal";

/// Seals what an invoice promises as a whole: its times, and which options it has.
pub(crate) fn invoice(master: &MasterKey, dossier: &Dossier) -> [u8; 32] {
    with_invoice_fields(dossier, |fields| master.mac(INVOICE, fields))
}

fn with_invoice_fields<T>(dossier: &Dossier, run: impl FnOnce(&[&[u8]]) -> T) -> T {
    let merchant = dossier.merchant.to_string();
    let id = dossier.id.to_string();
    let expires_at = dossier.terms.expires_at.0.to_be_bytes();
    let late_until = dossier.terms.late_until.0.to_be_bytes();
    let mode = dossier.mode.as_str();
    let options = dossier.terms.options.iter();
    let options: Vec<String> = options.map(|option| option.id.to_string()).collect();
    run(&[
        merchant.as_bytes(),
        id.as_bytes(),
        mode.as_bytes(),
        &expires_at,
        &late_until,
        options.join(" ").as_bytes(),
    ])
}

/// Seals where one option is paid, how much and by which rate, and when that is final.
pub(crate) fn option(
    master: &MasterKey,
    dossier: &Dossier,
    terms: &OptionTerms,
    place: &PaymentPlace,
) -> [u8; 32] {
    with_option_fields(dossier, terms, place, |fields| master.mac(OPTION, fields))
}

fn with_option_fields<T>(
    dossier: &Dossier,
    terms: &OptionTerms,
    place: &PaymentPlace,
    run: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let merchant = dossier.merchant.to_string();
    let invoice = dossier.id.to_string();
    let option = terms.id.to_string();
    let wallet = place.wallet.to_string();
    let asset = terms.asset.to_string();
    let sums = [terms.due, terms.minimum, terms.maximum, terms.dust].map(|sum| sum.to_string());
    let [due, minimum, maximum, dust] = &sums;
    let finality = finality_to_json(&terms.finality);
    let rate = terms.rate.as_ref().map(rate_to_json).unwrap_or_default();
    run(&[
        merchant.as_bytes(),
        invoice.as_bytes(),
        option.as_bytes(),
        wallet.as_bytes(),
        &place.index.to_be_bytes(),
        place.address.as_bytes(),
        &place.key,
        place.payment_uri.as_bytes(),
        asset.as_bytes(),
        due.as_bytes(),
        minimum.as_bytes(),
        maximum.as_bytes(),
        dust.as_bytes(),
        &terms.created_height.to_be_bytes(),
        &[terms.decimals],
        finality.as_bytes(),
        rate.as_bytes(),
    ])
}

/// Whether an invoice and its options are as they were made. `option_seals` stand in the order of the
/// terms.
pub(crate) fn holds(
    master: &MasterKey,
    dossier: &Dossier,
    seal: &[u8],
    option_seals: &[Vec<u8>],
) -> bool {
    let terms = &dossier.terms.options;
    let options = terms.iter().zip(&dossier.places).zip(option_seals);
    terms.len() == dossier.places.len()
        && terms.len() == option_seals.len()
        && with_invoice_fields(dossier, |fields| master.verify(INVOICE, fields, seal))
        && options.into_iter().all(|((terms, place), seal)| {
            terms.id == place.option
                && with_option_fields(dossier, terms, place, |fields| {
                    master.verify(OPTION, fields, seal)
                })
        })
}

/// What a wallet's seal covers: whose it is, which public key it is, from which index on it is used,
/// and whether a person confirmed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalletFields<'a> {
    pub(crate) merchant: &'a str,
    pub(crate) wallet: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) family: &'a str,
    pub(crate) canonical: &'a str,
    pub(crate) node: &'a str,
    pub(crate) start_index: u32,
    pub(crate) state: WalletState,
}

impl WalletFields<'_> {
    fn with_fields<T>(&self, run: impl FnOnce(&[&[u8]]) -> T) -> T {
        run(&[
            self.merchant.as_bytes(),
            self.wallet.as_bytes(),
            self.mode.as_bytes(),
            self.family.as_bytes(),
            self.canonical.as_bytes(),
            self.node.as_bytes(),
            &self.start_index.to_be_bytes(),
            self.state.as_str().as_bytes(),
        ])
    }

    /// Seals a wallet.
    pub(crate) fn seal(&self, master: &MasterKey) -> [u8; 32] {
        self.with_fields(|fields| master.mac(WALLET, fields))
    }

    /// Whether a wallet is as it was registered or confirmed.
    pub(crate) fn holds(&self, master: &MasterKey, seal: &[u8]) -> bool {
        self.with_fields(|fields| master.verify(WALLET, fields, seal))
    }
}

/// What the seal of an address in a pool covers: whose it is, its place, and itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolFields<'a> {
    pub(crate) merchant: &'a str,
    pub(crate) wallet: &'a str,
    pub(crate) position: u32,
    pub(crate) address: &'a str,
}

impl PoolFields<'_> {
    fn with_fields<T>(&self, run: impl FnOnce(&[&[u8]]) -> T) -> T {
        run(&[
            self.merchant.as_bytes(),
            self.wallet.as_bytes(),
            &self.position.to_be_bytes(),
            self.address.as_bytes(),
        ])
    }

    /// Seals an address of a pool.
    pub(crate) fn seal(&self, master: &MasterKey) -> [u8; 32] {
        self.with_fields(|fields| master.mac(POOL, fields))
    }

    /// Whether an address stands where the merchant put it.
    pub(crate) fn holds(&self, master: &MasterKey, seal: &[u8]) -> bool {
        self.with_fields(|fields| master.verify(POOL, fields, seal))
    }
}
