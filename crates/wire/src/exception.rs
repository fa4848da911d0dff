//! Exceptions as merchants see them: what a person has to decide about an invoice.

use paywatch_domain::{Dossier, Exception, ExceptionKind, OptionTerms, Role, Transfer, Violation};
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// Something that a person has to decide about an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionForm {
    /// `exc_…`.
    pub id: String,
    /// Always `exception`.
    pub object: String,
    /// What there is to decide: `recoverable` for money that went to another form of the same key.
    pub kind: String,
    /// `open`, or `resolved` when there is nothing to decide any more.
    pub state: String,
    /// The invoice.
    pub invoice_id: String,
    /// The option whose key it is about.
    pub option_id: String,
    /// The transfer that it is about.
    pub transfer_id: String,
    /// What was paid.
    pub asset: String,
    /// How much, in the asset's own unit.
    pub amount: String,
    /// How much, in atomic units.
    pub amount_atomic: String,
    /// What happened and what can be done, for people.
    pub detail: String,
    /// When it was told.
    pub opened_at: String,
    /// When it was told that nothing has to be decided any more; `null` while it is open.
    pub resolved_at: Option<String>,
}

impl ExceptionForm {
    /// Shows an exception of an invoice.
    pub(crate) fn render(dossier: &Dossier, exception: &Exception) -> Result<Self, Violation> {
        let finding = exception.finding;
        let foreign = || Violation::Foreign {
            transfer: finding.transfer,
        };
        let mut transfers = dossier.transfers.iter();
        let transfer = transfers
            .find(|transfer| transfer.id == finding.transfer)
            .ok_or_else(foreign)?;
        let mut options = dossier.terms.options.iter();
        let option = options
            .find(|option| option.id == transfer.option)
            .ok_or_else(foreign)?;
        let state = if exception.is_open() {
            "open"
        } else {
            "resolved"
        };
        Ok(Self {
            id: exception.id.to_string(),
            object: "exception".into(),
            kind: finding.kind.as_str().into(),
            state: state.into(),
            invoice_id: dossier.id.to_string(),
            option_id: option.id.to_string(),
            transfer_id: transfer.id.to_string(),
            asset: transfer.asset.to_string(),
            amount: transfer.amount.decimal(option.decimals),
            amount_atomic: transfer.amount.to_string(),
            detail: detail(dossier, option, transfer, finding.kind)?,
            opened_at: rfc3339(exception.opened_at),
            resolved_at: exception.resolved_at.map(rfc3339),
        })
    }
}

fn detail(
    dossier: &Dossier,
    option: &OptionTerms,
    transfer: &Transfer,
    kind: ExceptionKind,
) -> Result<String, Violation> {
    let mut places = dossier.places.iter();
    let place = places.find(|place| place.option == option.id);
    let path = place.map_or("", |place| &place.path);
    match (kind, &transfer.role) {
        (ExceptionKind::Recoverable, Role::Sibling { form, address }) => Ok(format!(
            "{} {} went to {address}, the {form} form of the same key ({path}). It does not count for this \
             invoice. Your wallet can spend it when it is given the key in that form.",
            transfer.amount.decimal(option.decimals),
            option.asset.symbol(),
        )),
        (ExceptionKind::Recoverable, Role::Payment) => Err(Violation::Damaged(format!(
            "transfer {} counts and is kept as recoverable",
            transfer.id
        ))),
    }
}
