//! Payment URIs (ERC-681, <https://eips.ethereum.org/EIPS/eip-681>).

use paywatch_domain::{Amount, AssetKind};

/// Asks for an exact amount of an asset on one chain. Numbers are written in full: not every wallet
/// reads exponents.
pub(crate) fn payment_uri(
    chain_id: u64,
    kind: &AssetKind,
    address: &str,
    amount: Amount,
) -> String {
    let atomic = amount.decimal(0);
    match kind {
        AssetKind::Native => format!("ethereum:{address}@{chain_id}?value={atomic}"),
        AssetKind::Token(contract) => {
            format!("ethereum:{contract}@{chain_id}/transfer?address={address}&uint256={atomic}")
        }
    }
}
