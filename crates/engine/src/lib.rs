//! Follows chains and turns what they say into facts, statuses and events.
//!
//! A [`worker::ChainWorker`] drives one chain: the [`follower`] decides what to read, [`apply`] commits
//! what was read in one transaction. Requests of merchants go through [`commands`], which share the
//! same fold.

pub mod api_key;
pub mod apply;
pub mod commands;
mod error;
pub mod follower;
pub mod high_water;
pub mod housekeeping;
mod ids;
pub mod master_check;
mod news;
mod pass;
mod quarantine;
mod refold;
pub mod reseal;
mod seal;
mod units;
pub mod worker;

pub use error::EngineError;
pub use ids::Ids;
