//! What the facts ask a person to decide.

use super::TransferView;
use crate::exception::{ExceptionKind, Finding, Subject};
use crate::facts::{Role, Transfer};
use crate::terms::Terms;
use crate::violation::Violation;

/// What these transfers ask a person to decide: one finding for each address. Dust asks nothing.
pub(super) fn find(
    terms: &Terms,
    transfers: &[Transfer],
    seen: &[TransferView],
) -> Result<Vec<Finding>, Violation> {
    let mut findings: Vec<Finding> = Vec::new();
    for (transfer, _) in transfers.iter().zip(seen).filter(|(_, view)| view.stands) {
        let Role::Sibling { form, address } = &transfer.role else {
            continue;
        };
        let mut options = terms.options.iter();
        if options.any(|option| option.id == transfer.option && transfer.amount < option.dust) {
            continue;
        }
        let finding = Finding {
            kind: ExceptionKind::Recoverable,
            subject: Subject::Address {
                option: transfer.option,
                form: form.clone(),
                address: address.clone(),
            },
            amount: transfer.amount,
        };
        match findings.iter_mut().find(|known| known.is_same(&finding)) {
            Some(known) => {
                let sum = known.amount.checked_add(transfer.amount);
                known.amount = sum.ok_or(Violation::SumOverflow)?;
            }
            None => findings.push(finding),
        }
    }
    Ok(findings)
}
