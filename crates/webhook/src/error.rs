//! What can go wrong in this crate, named by what the caller can do about it.

use paywatch_store::{SecretError, StoreError};

use crate::egress::UrlRefused;

/// Errors of secrets, addresses, schedules and of the deliverer.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The text is not a usable secret: ask for another one.
    #[error("the webhook secret {0}")]
    SecretRefused(&'static str),
    /// The message cannot be signed as it is: a defect of the caller.
    #[error("the webhook cannot be signed: {0}")]
    NotSignable(&'static str),
    /// The waits between attempts are not usable: correct the configuration.
    #[error("the webhook schedule {0}")]
    ScheduleRefused(String),
    /// The address is one that this installation does not send to: ask for another one.
    #[error(transparent)]
    UrlRefused(#[from] UrlRefused),
    /// The HTTP client could not be built, most often because no root certificates or no
    /// cryptography provider are installed: correct the installation.
    #[error("the HTTP client for webhooks cannot be built: {0}")]
    ClientUnavailable(String),
    /// A stored secret cannot be decrypted: correct the master key.
    #[error("the secret of the endpoint: {0}")]
    SecretUnreadable(#[source] SecretError),
    /// The store did not do what was asked; nothing is lost, step again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}
