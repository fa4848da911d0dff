//! Solana: a real node, payers who pay in every way, and what merchants are told of it.

mod astray;
mod check;
mod forks;
mod house;
mod payments;
mod pools;
mod powers;
mod refused;
mod rent;
mod setup;
mod ways;
