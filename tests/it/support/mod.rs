//! What the tests share: the house, what it says about an invoice, a cable to cut, chance.

mod chance;
mod house;
mod relay;
mod told;

pub(crate) use chance::{Chance, is_full};
pub(crate) use house::{Database, HOOKS, House, Invoice, PATIENCE};
pub(crate) use relay::Relay;
pub(crate) use told::{statuses, tally, tally_of};
