//! What an API key may do.

/// One permission of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read invoices and their events.
    InvoicesRead,
    /// Create and cancel invoices, and keep notes and fulfilments with them.
    InvoicesWrite,
    /// Read wallets.
    WalletsRead,
    /// Register wallets; they stay pending until someone with `admin` confirms them.
    WalletsWrite,
    /// Read webhook endpoints and deliveries.
    WebhooksRead,
    /// Register and remove webhook endpoints.
    WebhooksWrite,
    /// Pull events.
    EventsRead,
    /// Read chains, assets and rates.
    ChainsRead,
    /// Read what has to be decided.
    ExceptionsRead,
    /// Decide it, and record refunds.
    ExceptionsWrite,
    /// Read what auditors ask for: who did what.
    ReportsRead,
    /// Everything that operators do.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 12] = [
        Self::InvoicesRead,
        Self::InvoicesWrite,
        Self::WalletsRead,
        Self::WalletsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::EventsRead,
        Self::ChainsRead,
        Self::ExceptionsRead,
        Self::ExceptionsWrite,
        Self::ReportsRead,
        Self::Admin,
    ];

    /// What a merchant's backend gets when nothing else is asked for: neither `admin` nor what auditors read.
    pub const MERCHANT: [Self; 10] = [
        Self::InvoicesRead,
        Self::InvoicesWrite,
        Self::WalletsRead,
        Self::WalletsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::EventsRead,
        Self::ChainsRead,
        Self::ExceptionsRead,
        Self::ExceptionsWrite,
    ];

    /// The name in keys, answers and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvoicesRead => "invoices:read",
            Self::InvoicesWrite => "invoices:write",
            Self::WalletsRead => "wallets:read",
            Self::WalletsWrite => "wallets:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::EventsRead => "events:read",
            Self::ChainsRead => "chains:read",
            Self::ExceptionsRead => "exceptions:read",
            Self::ExceptionsWrite => "exceptions:write",
            Self::ReportsRead => "reports:read",
            Self::Admin => "admin",
        }
    }

    /// The scope with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}
