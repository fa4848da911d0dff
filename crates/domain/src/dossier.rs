//! Everything that is known about one invoice, as it is stored.

use crate::asset::AssetName;
use crate::chain::Mode;
use crate::event::Said;
use crate::exception::{Exception, Subject};
use crate::facts::{OperatorFact, Role, Transfer};
use crate::id::{InvoiceId, MerchantId, OptionId, WalletId};
use crate::terms::Terms;

/// Where one option is paid, and what a payer is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentPlace {
    /// The option.
    pub option: OptionId,
    /// The wallet whose key the address belongs to.
    pub wallet: WalletId,
    /// The address in its canonical text form.
    pub address: Box<str>,
    /// What the watch table looks for, for example the output script.
    pub key: Box<[u8]>,
    /// The index below the wallet's node.
    pub index: u32,
    /// The full derivation path.
    pub path: Box<str>,
    /// The asset's CAIP-19 id.
    pub caip19: Box<str>,
    /// What a QR code holds.
    pub payment_uri: Box<str>,
}

/// Everything that is known about one invoice: terms, facts, and what was last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dossier {
    /// Public id.
    pub id: InvoiceId,
    /// The tenant.
    pub merchant: MerchantId,
    /// Live or test.
    pub mode: Mode,
    /// The merchant's own reference.
    pub order_id: Option<Box<str>>,
    /// What the merchant attached, as JSON text.
    pub metadata: Box<str>,
    /// What was agreed.
    pub terms: Terms,
    /// Where each option is paid, in the order of the terms.
    pub places: Vec<PaymentPlace>,
    /// What was seen on chain.
    pub transfers: Vec<Transfer>,
    /// What a person has or had to decide, in the order in which it was told.
    pub exceptions: Vec<Exception>,
    /// What people decided.
    pub decisions: Vec<OperatorFact>,
    /// The number of the last event; 0 before the first.
    pub version: u64,
    /// What was last said; `None` before the first event.
    pub said: Option<Said>,
    /// Why no further claims are made about it, when a rule was violated.
    pub quarantined: Option<Box<str>>,
}

impl Dossier {
    /// The transfers that a subject is about, in the order of the facts.
    pub fn transfers_of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a Transfer> {
        let transfers = self.transfers.iter();
        transfers.filter(move |transfer| Subject::of(transfer) == *subject)
    }

    /// What a subject's money is, and its digits after the point; `None` when it is about nothing of the
    /// invoice.
    pub fn asset_of(&self, subject: &Subject) -> Option<(&AssetName, u8)> {
        let mut options = self.terms.options.iter();
        let option = options.find(|option| option.id == subject.option())?;
        let Subject::Stray { .. } = subject else {
            return Some((&option.asset, option.decimals));
        };
        let mut strays = self.transfers.iter();
        strays.find_map(|transfer| match transfer.role {
            Role::Stray { decimals } if Subject::of(transfer) == *subject => {
                Some((&transfer.asset, decimals))
            }
            Role::Stray { .. } | Role::Payment | Role::Sibling { .. } => None,
        })
    }
}
