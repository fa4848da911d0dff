//! Payment URIs (Solana Pay, <https://docs.solanapay.com/spec>).

use paywatch_domain::{Amount, Asset, AssetKind};

use crate::pay;

/// Asks for an exact amount of an asset. `address` may have a reference, which the payer's wallet puts
/// into the transaction.
pub(crate) fn payment_uri(asset: &Asset, address: &str, amount: Amount) -> String {
    let (recipient, reference) = match pay::split(address) {
        Some((recipient, reference)) => (recipient, Some(reference)),
        None => (address, None),
    };
    let amount = amount.decimal(asset.decimals);
    let mut uri = format!("solana:{recipient}?amount={amount}");
    if let AssetKind::Token(mint) = &asset.kind {
        uri.push_str("&spl-token=");
        uri.push_str(mint);
    }
    if let Some(reference) = reference {
        uri.push_str("&reference=");
        uri.push_str(reference);
    }
    uri
}
