//! The JSON forms of the API and of webhooks
