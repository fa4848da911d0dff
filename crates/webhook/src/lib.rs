//! Signed webhooks: schedule, egress guard and deliverer.
//!
//! [`sign`], [`schedule`] and [`verdict`] are pure; [`egress`] and [`send`] are everything that
//! touches the network; [`deliverer`] is the worker that connects them with the store.

pub mod deliverer;
pub mod egress;
pub mod error;
pub mod schedule;
mod secrets;
pub mod send;
pub mod sign;
mod units;
pub mod verdict;

pub use deliverer::{Deliverer, Settings, Step};
pub use egress::{Blocked, EgressRules, Guard, Transport, UrlRefused};
pub use error::WebhookError;
pub use schedule::{RetryAfter, Schedule};
pub use send::{Answer, Envelope, Failure, HttpSend, MonotonicClock, Outcome, Request, Sender};
pub use sign::{Secret, Signer};
