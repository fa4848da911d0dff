//! The auditor: knows the true chains and what everybody did, and says what must be so.
//!
//! It is written from the documents and shares no code with the rules that it checks: nothing of
//! `domain::fold`, `domain::status` or `domain::sums` is used here.

mod checks;
mod credits;
mod evidence;
mod exceptions;
mod finality;
mod ledgers;
mod merchants;
mod rules;
mod scene;

use std::collections::BTreeMap;
use std::fmt;

use paywatch_domain::EndpointId;
use paywatch_wire::time::parse_rfc3339;

pub use evidence::Evidence;
pub use scene::Scene;

use crate::told::ShownTransfer;

/// Something that must never be so, and is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {text}")]
pub struct Violation {
    /// The name of the check.
    pub check: &'static str,
    /// What is wrong.
    pub text: String,
}

impl Violation {
    /// A violation of the check of this name.
    pub fn new(check: &'static str, text: impl fmt::Display) -> Self {
        let text = text.to_string();
        Self { check, text }
    }
}

/// What the auditor remembers between two looks.
#[derive(Debug, Default)]
pub struct Audit {
    /// Addresses that were shown, and for which order.
    addresses: BTreeMap<String, usize>,
    /// By transfer, when it was said to have been seen first.
    sightings: BTreeMap<String, String>,
    /// The merchant's endpoints by number.
    pub endpoints: Vec<(usize, EndpointId)>,
}

impl Audit {
    /// Remembers the addresses of an order: none may be shown for two.
    pub fn shown(&mut self, order: usize, addresses: &[String]) -> Result<(), Violation> {
        for address in addresses {
            let before = self.addresses.insert(address.clone(), order);
            if let Some(before) = before.filter(|before| *before != order) {
                let text = format!("{address} is of the orders {before} and {order}");
                return Err(Violation::new("no_address_twice", text));
            }
        }
        Ok(())
    }

    /// Looks at everything.
    pub fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for (check, look) in checks::ALWAYS {
            look(scene).map_err(|text| Violation::new(check, text))?;
        }
        self.replacements_are_as_old(scene)?;
        self.sightings_stay(scene)?;
        if scene.is_settled {
            for (check, look) in checks::SETTLED {
                look(scene).map_err(|text| Violation::new(check, text))?;
            }
        }
        Ok(())
    }

    /// A transaction that spends what an earlier one to the same option spent is as old as that: raising the
    /// fee makes no payment late.
    fn replacements_are_as_old(&self, scene: &Scene<'_>) -> Result<(), Violation> {
        for (order, invoice) in scene.invoices() {
            let transfers = || invoice.transfers.iter();
            let new = transfers().filter(|one| !self.sightings.contains_key(&one.id));
            for one in new {
                let mut earlier = transfers().filter(|before| {
                    let is_same = before.option_id == one.option_id && before.role == one.role;
                    is_same && self.sightings.contains_key(&before.id)
                });
                let is_younger = |before: &&ShownTransfer| {
                    scene.are_rivals(before, one)
                        && parse_rfc3339(&before.sighted_at).ok()
                            < parse_rfc3339(&one.sighted_at).ok()
                };
                if let Some(before) = earlier.find(is_younger) {
                    let text = format!("order {}: {one:?} after {before:?}", order.number);
                    return Err(Violation::new("replacements_are_as_old", text));
                }
            }
        }
        Ok(())
    }

    /// When a transfer was seen first is stored once.
    fn sightings_stay(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for (_, invoice) in scene.invoices() {
            for transfer in &invoice.transfers {
                let id = transfer.id.clone();
                let known = self
                    .sightings
                    .entry(id)
                    .or_insert(transfer.sighted_at.clone());
                if *known != transfer.sighted_at {
                    let text = format!(
                        "{} was seen at {known} and {}",
                        transfer.tx_id, transfer.sighted_at
                    );
                    return Err(Violation::new("sightings_stay", text));
                }
            }
        }
        Ok(())
    }
}
