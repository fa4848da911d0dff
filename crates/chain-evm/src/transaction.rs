//! Transactions as nodes answer them, and the bytes that their hashes are over (EIP-2718).

use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256};
use alloy_rlp::{Encodable, RlpEncodable, encode_list};
use serde::Deserialize;

use crate::fault::Fault;
use crate::json::need;

/// The type of a deposit from the chain below (OP stack).
pub(crate) const DEPOSIT: u64 = 0x7e;

/// A transaction. Its sender is the node's word: hashes are over the signature instead.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) hash: B256,
    pub(crate) block_hash: Option<B256>,
    #[serde(rename = "transactionIndex")]
    pub(crate) index: Option<U64>,
    pub(crate) from: Address,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    #[serde(rename = "type", default)]
    kind: U64,
    pub(crate) nonce: Option<U64>,
    gas: Option<U64>,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    max_fee_per_blob_gas: Option<U256>,
    chain_id: Option<U64>,
    access_list: Option<Vec<AccessItem>>,
    blob_versioned_hashes: Option<Vec<B256>>,
    authorization_list: Option<Vec<Authorization>>,
    v: Option<U256>,
    y_parity: Option<U64>,
    r: Option<U256>,
    s: Option<U256>,
    source_hash: Option<B256>,
    pub(crate) mint: Option<U256>,
    is_system_tx: Option<bool>,
}

/// What a transaction says that it will touch (EIP-2930).
#[derive(Debug, Deserialize, RlpEncodable)]
#[serde(rename_all = "camelCase")]
struct AccessItem {
    address: Address,
    storage_keys: Vec<B256>,
}

/// What an account signed to be a contract from now on (EIP-7702).
#[derive(Debug, Deserialize, RlpEncodable)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    chain_id: U256,
    address: Address,
    nonce: U64,
    y_parity: U64,
    r: U256,
    s: U256,
}

impl Transaction {
    /// Its type; 0 where the node gives none.
    pub(crate) fn kind(&self) -> u64 {
        self.kind.to()
    }

    /// Whether its type is one that is known here.
    pub(crate) fn has_known_type(&self) -> bool {
        matches!(self.kind(), 0..=4 | DEPOSIT)
    }

    /// Whether nobody signed it, and it pays nothing: what a chain did by itself and lists in this form,
    /// outside of the roots of its block (Polygon's state sync before PIP-74).
    pub(crate) fn is_unsigned(&self) -> bool {
        let is_zero = |part: &Option<U256>| part.is_some_and(|part| part.is_zero());
        self.kind() == 0 && is_zero(&self.r) && is_zero(&self.s) && self.value.is_zero()
    }

    /// The bytes of the transaction; `None` when its type is not known, or it has none.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>, Fault> {
        let to = TxKind::from(self.to);
        if self.is_unsigned() {
            return Ok(None);
        }
        Ok(Some(match self.kind() {
            0 => self.legacy(&to)?,
            1 => self.signed(
                1,
                &[
                    need(self.chain_id.as_ref(), "chainId")?,
                    need(self.nonce.as_ref(), "nonce")?,
                    need(self.gas_price.as_ref(), "gasPrice")?,
                    need(self.gas.as_ref(), "gas")?,
                    &to,
                    &self.value,
                    &self.input,
                    need(self.access_list.as_ref(), "accessList")?,
                ],
            )?,
            kind @ (2..=4) => {
                let mut fields: Vec<&dyn Encodable> = vec![
                    need(self.chain_id.as_ref(), "chainId")?,
                    need(self.nonce.as_ref(), "nonce")?,
                    need(
                        self.max_priority_fee_per_gas.as_ref(),
                        "maxPriorityFeePerGas",
                    )?,
                    need(self.max_fee_per_gas.as_ref(), "maxFeePerGas")?,
                    need(self.gas.as_ref(), "gas")?,
                    &to,
                    &self.value,
                    &self.input,
                    need(self.access_list.as_ref(), "accessList")?,
                ];
                if kind == 3 {
                    fields.push(need(
                        self.max_fee_per_blob_gas.as_ref(),
                        "maxFeePerBlobGas",
                    )?);
                    fields.push(need(
                        self.blob_versioned_hashes.as_ref(),
                        "blobVersionedHashes",
                    )?);
                } else if kind == 4 {
                    fields.push(need(self.authorization_list.as_ref(), "authorizationList")?);
                }
                self.signed(u8::try_from(kind).unwrap_or_default(), &fields)?
            }
            DEPOSIT => self.deposit(&to)?,
            _ => return Ok(None),
        }))
    }

    fn legacy(&self, to: &TxKind) -> Result<Vec<u8>, Fault> {
        Ok(list(
            None,
            &[
                need(self.nonce.as_ref(), "nonce")?,
                need(self.gas_price.as_ref(), "gasPrice")?,
                need(self.gas.as_ref(), "gas")?,
                to,
                &self.value,
                &self.input,
                need(self.v.as_ref(), "v")?,
                need(self.r.as_ref(), "r")?,
                need(self.s.as_ref(), "s")?,
            ],
        ))
    }

    /// A type byte, these fields, and the signature.
    fn signed(&self, kind: u8, fields: &[&dyn Encodable]) -> Result<Vec<u8>, Fault> {
        let parity: &dyn Encodable = match &self.y_parity {
            Some(parity) => parity,
            None => need(self.v.as_ref(), "yParity")?,
        };
        let signature: [&dyn Encodable; 3] = [
            parity,
            need(self.r.as_ref(), "r")?,
            need(self.s.as_ref(), "s")?,
        ];
        Ok(list(Some(kind), &[fields, &signature].concat()))
    }

    /// <https://specs.optimism.io/protocol/deposits.html>
    fn deposit(&self, to: &TxKind) -> Result<Vec<u8>, Fault> {
        let mint = self.mint.unwrap_or_default();
        let is_system = self.is_system_tx.unwrap_or_default();
        Ok(list(
            u8::try_from(DEPOSIT).ok(),
            &[
                need(self.source_hash.as_ref(), "sourceHash")?,
                &self.from,
                to,
                &mint,
                &self.value,
                need(self.gas.as_ref(), "gas")?,
                &is_system,
                &self.input,
            ],
        ))
    }
}

/// A list of these fields behind a type byte.
pub(crate) fn list(kind: Option<u8>, fields: &[&dyn Encodable]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(256);
    encoded.extend(kind);
    encode_list::<&dyn Encodable, dyn Encodable>(fields, &mut encoded);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    /// The first transaction of a block of OP Mainnet, as documentation of nodes shows the answer.
    #[test]
    fn an_evm_deposit_from_the_chain_below_has_its_hash() {
        let answer = r#"{
            "from": "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001",
            "gas": "0xf4240",
            "gasPrice": "0x0",
            "hash": "0x4fae8f6c70a4f50cf8894bf9847ed364922826658c3cb73e291e03934637a853",
            "input": "0x440a5e200000146b000f79c500000000000000040000000067410f83000000000144320300000000000000000000000000000000000000000000000000000002fe2cca3c00000000000000000000000000000000000000000000000000000000001f11bf37aac56bf514562b0ee38600119c0a4f70b20f0c6abc66a2011d1bdd9b18cb1c0000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f32985",
            "nonce": "0x160d8b6",
            "to": "0x4200000000000000000000000000000000000015",
            "transactionIndex": "0x0",
            "value": "0x0",
            "type": "0x7e",
            "v": "0x0",
            "r": "0x0",
            "s": "0x0",
            "sourceHash": "0xf14ecb423df1f95f609d9781126cdd9ea4d248f4502c083507b2f1f72aa779a8",
            "mint": "0x0",
            "depositReceiptVersion": "0x1"
        }"#;
        let deposit: Transaction = serde_json::from_str(answer).unwrap();
        let encoded = deposit.encode().unwrap().unwrap();
        assert_eq!(keccak256(encoded), deposit.hash);
    }
}
