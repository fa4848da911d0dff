//! Internal keys of rows: small, never shown outside, and not to be mixed up.

use crate::bind::Bind;

macro_rules! row_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl From<$name> for i64 {
            fn from(key: $name) -> i64 {
                key.0
            }
        }

        impl From<$name> for Bind<'_> {
            fn from(key: $name) -> Self {
                Bind::Int(key.0)
            }
        }
    };
}

row_key!(/// A merchant's row.
    MerchantKey);
row_key!(/// A wallet's row.
    WalletKey);
row_key!(/// An invoice's row.
    InvoiceKey);
row_key!(/// A payment option's row.
    OptionKey);
row_key!(/// A transfer's row.
    TransferKey);
row_key!(/// A webhook endpoint's row.
    EndpointKey);
row_key!(/// The row of a request to a chain's worker; the oldest is done first.
    RequestKey);
row_key!(/// A delivery's row. Deliveries of one queue are sent in the order of their keys.
    DeliveryKey);
