//! A thin client for JSON-RPC over HTTP: one call or a batch, with limits on time, size and pace.
//!
//! What every node is asked with, whatever it speaks of. What its answers mean is an adapter's matter.
//! A node may be anybody's: nothing that it says is taken for more than words until it is proven, and
//! nothing of its address but host and port is ever shown, because the path of a hosted node holds its key.

mod announcements;
mod budget;
mod client;
mod connections;
mod credentials;
mod error;
mod message;
mod pause;
mod received;

pub use announcements::{Announcements, Subscription};
pub use budget::Budget;
pub use client::{Answer, Client, Config, place};
pub use credentials::Credentials;
pub use error::{CallError, NodeError, SetupError, words};
pub use message::{Call, Version, read};
pub use received::Received;
