//! Tests of the engine against its ports.
#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod attach;
mod audit;
mod balances;
mod chain;
mod clock;
mod endpoints;
mod exceptions;
mod finality;
mod follower;
mod house;
mod options;
mod pools;
mod quarantine;
mod requests;
mod reseal;
mod scenarios;
mod seals;
mod strays;
mod wakes;
mod wide;
