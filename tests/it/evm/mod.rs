//! EVM chains: real nodes, contracts that pay in every way, and what merchants are told of it.

mod astray;
mod balances;
mod endpoints;
mod house;
mod payers;
mod payments;
mod poisoning;
mod reorganisations;
mod setup;
mod tokens;
