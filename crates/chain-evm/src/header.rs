//! Headers, and the hash over them.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U64, U256, keccak256};
use alloy_rlp::{Encodable, encode_list};
use serde::Deserialize;

/// A header as nodes answer it. Which of the later fields it has depends on the chain and its age; what
/// is not known here makes another hash and so is found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub(crate) parent_hash: B256,
    sha3_uncles: B256,
    pub(crate) miner: Address,
    state_root: B256,
    pub(crate) transactions_root: B256,
    pub(crate) receipts_root: B256,
    pub(crate) logs_bloom: Bloom,
    difficulty: U256,
    pub(crate) number: U64,
    gas_limit: U64,
    gas_used: U64,
    pub(crate) timestamp: U64,
    extra_data: Bytes,
    mix_hash: B256,
    nonce: B64,
    /// EIP-1559.
    base_fee_per_gas: Option<U256>,
    /// EIP-4895.
    pub(crate) withdrawals_root: Option<B256>,
    /// EIP-4844.
    blob_gas_used: Option<U64>,
    /// EIP-4844.
    excess_blob_gas: Option<U64>,
    /// EIP-4788.
    parent_beacon_block_root: Option<B256>,
    /// EIP-7685.
    requests_hash: Option<B256>,
    /// EIP-7928.
    block_access_list_hash: Option<B256>,
    /// EIP-7843.
    slot_number: Option<U64>,
}

impl Header {
    /// The block's hash.
    pub(crate) fn hash(&self) -> B256 {
        let mut fields: Vec<&dyn Encodable> = vec![
            &self.parent_hash,
            &self.sha3_uncles,
            &self.miner,
            &self.state_root,
            &self.transactions_root,
            &self.receipts_root,
            &self.logs_bloom,
            &self.difficulty,
            &self.number,
            &self.gas_limit,
            &self.gas_used,
            &self.timestamp,
            &self.extra_data,
            &self.mix_hash,
            &self.nonce,
        ];
        let later: [Option<&dyn Encodable>; 8] = [
            known(self.base_fee_per_gas.as_ref()),
            known(self.withdrawals_root.as_ref()),
            known(self.blob_gas_used.as_ref()),
            known(self.excess_blob_gas.as_ref()),
            known(self.parent_beacon_block_root.as_ref()),
            known(self.requests_hash.as_ref()),
            known(self.block_access_list_hash.as_ref()),
            known(self.slot_number.as_ref()),
        ];
        fields.extend(later.into_iter().flatten());
        let mut encoded = Vec::with_capacity(640);
        encode_list::<&dyn Encodable, dyn Encodable>(&fields, &mut encoded);
        keccak256(&encoded)
    }
}

fn known<T: Encodable>(field: Option<&T>) -> Option<&dyn Encodable> {
    let field: &dyn Encodable = field?;
    Some(field)
}
