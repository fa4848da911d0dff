//! Exceptions as merchants see them: what a person has to decide about an invoice.

use paywatch_domain::{
    Dossier, Exception, ExceptionKind, Finding, OptionTerms, PaymentPlace, Subject, Violation,
};
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
    /// The option that it is about.
    pub option_id: String,
    /// The address that it is about.
    pub address: String,
    /// Which other form of the key that is, for example `p2tr`; `null` for the option's own address.
    pub address_form: Option<String>,
    /// What was paid.
    pub asset: String,
    /// What is at stake, in the asset's own unit: however many transfers it is about.
    pub amount: String,
    /// The same in atomic units.
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
        let finding = &exception.finding;
        let mut options = dossier.terms.options.iter();
        let option = options
            .find(|option| option.id == finding.subject.option())
            .ok_or_else(|| {
                let detail = format!("exception {} is about no option of it", exception.id);
                Violation::Damaged(detail)
            })?;
        let mut places = dossier.places.iter();
        let place = places.find(|place| place.option == option.id);
        let own = place.map_or("", |place| &place.address);
        let (address, form) = match &finding.subject {
            Subject::Option(_) => (own, None),
            Subject::Address { form, address, .. } => (&**address, Some(&**form)),
        };
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
            address: address.into(),
            address_form: form.map(Into::into),
            asset: option.asset.to_string(),
            amount: finding.amount.decimal(option.decimals),
            amount_atomic: finding.amount.to_string(),
            detail: detail(place, option, finding, address, form.unwrap_or_default()),
            opened_at: rfc3339(exception.opened_at),
            resolved_at: exception.resolved_at.map(rfc3339),
        })
    }
}

fn detail(
    place: Option<&PaymentPlace>,
    option: &OptionTerms,
    finding: &Finding,
    address: &str,
    form: &str,
) -> String {
    let path = place.map_or("", |place| &place.path);
    let amount = finding.amount.decimal(option.decimals);
    let symbol = option.asset.symbol();
    let due = option.due.decimal(option.decimals);
    match finding.kind {
        ExceptionKind::Underpaid => format!(
            "{amount} of {due} {symbol} came in time, and nothing more is on its way. Accept it as \
             enough, or send it back."
        ),
        ExceptionKind::Overpaid => {
            format!("{amount} {symbol} came above what is wanted. Keep it, or send it back.")
        }
        ExceptionKind::Late => {
            format!("{amount} {symbol} came after expiry. Accept it, or send it back.")
        }
        ExceptionKind::AfterWindow => format!(
            "{amount} {symbol} came after the late window. It does not count for this invoice. Send \
             it back, or keep it and say why."
        ),
        ExceptionKind::PaidAfterCancel => format!(
            "{amount} {symbol} is final at this canceled invoice. Accept it, or send it back."
        ),
        ExceptionKind::OtherOption => format!(
            "{amount} {symbol} is final at this option, and another option of the invoice leads. It \
             does not count there. Send it back, or keep it and say why."
        ),
        ExceptionKind::Recoverable => format!(
            "{amount} {symbol} went to {address}, the {form} form of the same key ({path}). It does \
             not count for this invoice. Your wallet can spend it when it is given the key in that \
             form."
        ),
        ExceptionKind::Reverted => format!(
            "{amount} {symbol} that was final left the chain. Hold back what is not shipped; this \
             closes itself when the money returns."
        ),
        ExceptionKind::DoubleSpent => format!(
            "{amount} {symbol} that was on its way will not come: its sender spent the money in \
             another transaction. Do not ship for it."
        ),
        ExceptionKind::Stuck => format!(
            "{amount} {symbol} came in time and is still not final. It may need a higher fee; wait, \
             or ask the payer."
        ),
    }
}
