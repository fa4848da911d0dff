//! Signed webhooks: schedule, egress guard and deliverer.
//!
//! [`sign`] and [`schedule`] are pure; [`egress`] and [`send`] are everything that touches the
//! network.

pub mod egress;
pub mod error;
pub mod schedule;
pub mod send;
pub mod sign;
pub mod verdict;

pub use egress::{Blocked, EgressRules, Guard, Transport, UrlRefused};
pub use error::WebhookError;
pub use schedule::{RetryAfter, Schedule};
pub use send::{Answer, Envelope, Failure, HttpSend, MonotonicClock, Outcome, Request, Sender};
pub use sign::Secret;
