//! What the tests share: the house, what it says about an invoice, its command
//! line, a cable to cut, chance.

mod chance;
mod commands;
mod house;
mod relay;
pub(crate) mod shop;
mod told;

pub(crate) use chance::{Chance, is_full};
pub(crate) use commands::{command, command_at, run, run_json, words_at};
pub(crate) use house::{Database, HOOKS, House, Invoice, PATIENCE};
pub(crate) use relay::Relay;
pub(crate) use told::{statuses, tally, tally_of};
