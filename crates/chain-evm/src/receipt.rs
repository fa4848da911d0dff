//! Receipts as nodes answer them, and the bytes that their root is over.

use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use alloy_rlp::{Encodable, RlpEncodable};
use serde::Deserialize;

use crate::fault::Fault;
use crate::transaction::{DEPOSIT, Transaction, list};

/// The type of transactions with blobs (EIP-4844).
const BLOBS: u64 = 3;

/// What became of a transaction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    pub(crate) transaction_index: U64,
    pub(crate) block_hash: B256,
    #[serde(rename = "type", default)]
    kind: U64,
    /// Since Byzantium (EIP-658).
    status: Option<U64>,
    /// Before Byzantium.
    root: Option<B256>,
    cumulative_gas_used: U64,
    pub(crate) logs_bloom: Bloom,
    pub(crate) logs: Vec<Log>,
    /// OP stack.
    deposit_nonce: Option<U64>,
    /// OP stack; where it is missing the nonce is not part of the root either.
    deposit_receipt_version: Option<U64>,
    /// With the price, what the sender paid for gas; neither is under the root.
    gas_used: Option<U64>,
    effective_gas_price: Option<U256>,
    /// Of transactions with blobs (EIP-4844). The OP stack tells how much data a transaction is by the same
    /// name, without a price (<https://docs.base.org/base-chain/specs/upgrades/jovian/exec-engine>).
    blob_gas_used: Option<U64>,
    blob_gas_price: Option<U256>,
    /// OP stack: for the chain below, on top of the gas.
    l1_fee: Option<U256>,
    /// OP stack: what the operator takes on top, where one of them is not 0.
    operator_fee_scalar: Option<U64>,
    operator_fee_constant: Option<U64>,
}

/// A log.
#[derive(Debug, Deserialize, RlpEncodable)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    #[rlp(skip)]
    pub(crate) block_hash: B256,
    #[rlp(skip)]
    pub(crate) transaction_hash: B256,
    #[rlp(skip)]
    #[serde(rename = "logIndex")]
    pub(crate) index: U64,
    #[rlp(skip)]
    #[serde(default)]
    pub(crate) removed: bool,
}

impl Receipt {
    /// A receipt of which only the logs are known, and the end where `end` tells it. What left logs did
    /// not fail.
    pub(crate) fn of_logs(
        block: B256,
        transaction: &Transaction,
        index: U64,
        logs: Vec<Log>,
        end: Option<&&Self>,
    ) -> Self {
        let succeeded = (!logs.is_empty()).then_some(U64::from(1));
        let mut receipt = Self {
            transaction_hash: transaction.hash,
            transaction_index: index,
            block_hash: block,
            kind: U64::from(transaction.kind()),
            status: succeeded.or_else(|| end.and_then(|end| end.status)),
            root: None,
            cumulative_gas_used: U64::ZERO,
            logs_bloom: Bloom::ZERO,
            logs,
            deposit_nonce: None,
            deposit_receipt_version: None,
            gas_used: end.and_then(|end| end.gas_used),
            effective_gas_price: end.and_then(|end| end.effective_gas_price),
            blob_gas_used: end.and_then(|end| end.blob_gas_used),
            blob_gas_price: end.and_then(|end| end.blob_gas_price),
            l1_fee: end.and_then(|end| end.l1_fee),
            operator_fee_scalar: end.and_then(|end| end.operator_fee_scalar),
            operator_fee_constant: end.and_then(|end| end.operator_fee_constant),
        };
        receipt.logs_bloom = receipt.bloom();
        receipt
    }

    /// Whether the transaction did what it was to do.
    pub(crate) fn succeeded(&self) -> bool {
        self.status == Some(U64::from(1))
    }

    /// Whether it did, if that is known.
    pub(crate) fn end(&self) -> Option<bool> {
        let is_known = self.status.is_some() || self.root.is_some();
        is_known.then(|| self.succeeded())
    }

    /// What the sender paid beside the value; `None` where the receipt does not tell all of it.
    pub(crate) fn fee(&self) -> Option<U256> {
        let operator = [self.operator_fee_scalar, self.operator_fee_constant];
        if operator.iter().flatten().any(|part| !part.is_zero()) {
            // Forks have changed how it is counted.
            return None;
        }
        let gas = U256::from(self.gas_used?).checked_mul(self.effective_gas_price?)?;
        let blobs = match self.blob_gas_used {
            Some(used) if self.kind() == BLOBS => {
                U256::from(used).checked_mul(self.blob_gas_price?)?
            }
            _ => U256::ZERO,
        };
        gas.checked_add(blobs)?
            .checked_add(self.l1_fee.unwrap_or_default())
    }

    /// The type of its transaction.
    pub(crate) fn kind(&self) -> u64 {
        self.kind.to()
    }

    /// The bloom over its logs.
    pub(crate) fn bloom(&self) -> Bloom {
        self.logs.iter().fold(Bloom::ZERO, |mut bloom, log| {
            bloom.accrue_raw_log(log.address, &log.topics);
            bloom
        })
    }

    /// The bytes of the receipt, with the bloom that was computed.
    pub(crate) fn encode(&self, bloom: &Bloom) -> Result<Vec<u8>, Fault> {
        let outcome: &dyn Encodable = match (&self.status, &self.root) {
            (Some(status), _) => status,
            (None, Some(root)) => root,
            // It would be encoded like a failure.
            (None, None) => {
                return Err(Fault::Unreadable {
                    what: "receipts",
                    detail: "status is missing".to_owned(),
                });
            }
        };
        let mut fields = vec![outcome, &self.cumulative_gas_used, bloom, &self.logs];
        if self.kind() == DEPOSIT
            && let (Some(nonce), Some(version)) =
                (&self.deposit_nonce, &self.deposit_receipt_version)
        {
            fields.extend([nonce as &dyn Encodable, version]);
        }
        let kind = u8::try_from(self.kind()).ok().filter(|kind| 0 < *kind);
        Ok(list(kind, &fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fee(parts: &Value) -> Option<u64> {
        let zero = B256::ZERO;
        let mut receipt = json!({
            "transactionHash": zero, "transactionIndex": "0x0", "blockHash": zero, "status": "0x1",
            "cumulativeGasUsed": "0xffff", "logsBloom": Bloom::ZERO, "logs": [],
        });
        for (name, value) in parts.as_object().unwrap() {
            receipt[name] = value.clone();
        }
        let receipt: Receipt = serde_json::from_value(receipt).unwrap();
        receipt.fee().map(|fee| fee.to())
    }

    #[test]
    fn evm_fees_have_all_the_parts_that_chains_add() {
        let cases = [
            (
                json!({"gasUsed": "0x5208", "effectiveGasPrice": "0x2"}),
                Some(42_000),
            ),
            (json!({"gasUsed": "0x5208"}), None),
            (json!({"effectiveGasPrice": "0x2"}), None),
            (
                json!({"gasUsed": "0x5208", "effectiveGasPrice": "0x2", "l1Fee": "0x3"}),
                Some(42_003),
            ),
            (
                json!({"gasUsed": "0xa", "effectiveGasPrice": "0x2", "l1Fee": "0x3",
                    "operatorFeeScalar": "0x0", "operatorFeeConstant": "0x0"}),
                Some(23),
            ),
            (
                json!({"gasUsed": "0xa", "effectiveGasPrice": "0x2", "operatorFeeConstant": "0x1"}),
                None,
            ),
            (
                json!({"type": "0x3", "gasUsed": "0xa", "effectiveGasPrice": "0x2", "blobGasUsed": "0x64",
                    "blobGasPrice": "0x3"}),
                Some(320),
            ),
            (
                json!({"type": "0x3", "gasUsed": "0xa", "effectiveGasPrice": "0x2", "blobGasUsed": "0x64"}),
                None,
            ),
            (
                json!({"type": "0x2", "gasUsed": "0xa", "effectiveGasPrice": "0x2", "blobGasUsed": "0x64",
                    "daFootprintGasScalar": "0x190"}),
                Some(20),
            ),
        ];
        for (parts, expected) in cases {
            assert_eq!(fee(&parts), expected, "{parts}");
        }
    }
}
