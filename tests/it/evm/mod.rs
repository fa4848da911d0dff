//! EVM chains: real nodes, contracts that pay in every way, and what merchants are told of it.

mod astray;
mod endpoints;
mod house;
mod payments;
mod reorganisations;
mod setup;
mod tokens;
