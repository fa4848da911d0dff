//! Blocks that another implementation (`alloy-consensus`) built, in the form in which nodes answer.

use alloy_consensus::proofs::{
    calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root,
};
use alloy_consensus::{
    EthereumTxEnvelope, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction,
    Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, TxReceipt,
};
use alloy_eips::eip2718::{Encodable2718, Typed2718};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

pub(crate) use super::shape::Built;
use super::shape::{Entry, assemble};

type Envelope = EthereumTxEnvelope<TxEip4844>;

/// A transaction to be put into a block.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Its type, 0 to 4.
    pub(crate) kind: u8,
    /// Nobody: it creates a contract.
    pub(crate) to: Option<Address>,
    pub(crate) value: u64,
    pub(crate) succeeds: bool,
    pub(crate) logs: Vec<Log>,
}

impl Plan {
    /// A plain payment.
    pub(crate) fn pay(to: Address, value: u64) -> Self {
        let (kind, succeeds, logs) = (2, true, Vec::new());
        let to = Some(to);
        Self {
            kind,
            to,
            value,
            succeeds,
            logs,
        }
    }

    /// A call that leaves logs.
    pub(crate) fn logs(logs: Vec<Log>) -> Self {
        Self {
            logs,
            ..Self::pay(account(0xc0de), 0)
        }
    }

    pub(crate) fn of_type(self, kind: u8) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn failing(self) -> Self {
        Self {
            succeeds: false,
            ..self
        }
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// An account that is easy to tell apart.
pub(crate) fn account(number: u64) -> Address {
    Address::from_word(U256::from(number).into())
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

/// Who signs the transactions.
pub(crate) fn payer() -> Address {
    Address::from_private_key(&key())
}

fn signature(hash: B256) -> Signature {
    key()
        .sign_prehash_recoverable(hash.as_slice())
        .unwrap()
        .into()
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Signed<T> {
    let signature = signature(transaction.signature_hash());
    transaction.into_signed(signature)
}

fn envelope(plan: &Plan, nonce: u64) -> Envelope {
    let to = plan.to.map_or(TxKind::Create, TxKind::Call);
    let (chain_id, gas_limit, value) = (1, 100_000, U256::from(plan.value));
    let input = Bytes::from(vec![0xab; usize::try_from(nonce).unwrap() % 70]);
    let access_list = AccessList(vec![AccessListItem {
        address: account(0xacce),
        storage_keys: vec![B256::ZERO, B256::repeat_byte(9)],
    }]);
    let (max_fee_per_gas, max_priority_fee_per_gas) = (2_000_000_000, 7);
    match plan.kind {
        0 => Envelope::Legacy(sign(TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price: max_fee_per_gas,
            gas_limit,
            to,
            value,
            input,
        })),
        1 => Envelope::Eip2930(sign(TxEip2930 {
            chain_id,
            nonce,
            gas_price: max_fee_per_gas,
            gas_limit,
            to,
            value,
            input,
            access_list,
        })),
        2 => Envelope::Eip1559(sign(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        })),
        3 => Envelope::Eip4844(sign(TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: plan.to.unwrap(),
            value,
            access_list,
            blob_versioned_hashes: vec![B256::repeat_byte(1)],
            max_fee_per_blob_gas: 3,
            input,
        })),
        _ => Envelope::Eip7702(sign(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: plan.to.unwrap(),
            value,
            access_list,
            authorization_list: vec![authorization()],
            input,
        })),
    }
}

fn authorization() -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(1),
        address: account(0xde1e),
        nonce: 5,
    };
    let signed = signature(authorization.signature_hash());
    authorization.into_signed(signed)
}

fn receipt(plan: &Plan, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let receipt = Receipt {
        status: plan.succeeds.into(),
        cumulative_gas_used,
        logs: plan.logs.clone(),
    };
    let receipt: ReceiptWithBloom<Receipt> = receipt.into_with_bloom();
    match plan.kind {
        0 => ReceiptEnvelope::Legacy(receipt),
        1 => ReceiptEnvelope::Eip2930(receipt),
        2 => ReceiptEnvelope::Eip1559(receipt),
        3 => ReceiptEnvelope::Eip4844(receipt),
        _ => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// A block with these transactions and withdrawals.
pub(crate) fn build(plans: &[Plan], withdrawals: &[Withdrawal]) -> Built {
    let numbered = (0_u64..).zip(plans);
    let transactions: Vec<Envelope> = numbered
        .clone()
        .map(|(nonce, plan)| envelope(plan, nonce))
        .collect();
    let receipts: Vec<ReceiptEnvelope> = numbered
        .map(|(number, plan)| receipt(plan, 50_000 * (number + 1)))
        .collect();
    let entries: Vec<Entry> = transactions
        .iter()
        .zip(&receipts)
        .map(|(transaction, receipt)| entry(transaction, receipt))
        .collect();
    let built = assemble(header(withdrawals), &entries, Some(withdrawals));
    // The roots are those of the other implementation.
    let roots = [
        (
            "transactionsRoot",
            calculate_transaction_root(&transactions),
        ),
        ("receiptsRoot", calculate_receipt_root(&receipts)),
    ];
    for (name, root) in roots {
        assert_eq!(built.block[name], json!(root));
    }
    built
}

fn header(withdrawals: &[Withdrawal]) -> Header {
    Header {
        parent_hash: B256::repeat_byte(0x11),
        beneficiary: account(0xfee),
        withdrawals_root: Some(calculate_withdrawals_root(withdrawals)),
        number: 1_000,
        timestamp: 1_700_000_000,
        gas_limit: 30_000_000,
        extra_data: Bytes::from_static(b"test"),
        base_fee_per_gas: Some(1_000_000_000),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(0x22)),
        requests_hash: Some(B256::repeat_byte(0x33)),
        ..Header::default()
    }
}

fn entry(transaction: &Envelope, receipt: &ReceiptEnvelope) -> Entry {
    let mut answer = serde_json::to_value(transaction).unwrap();
    answer["from"] = json!(payer());
    Entry {
        transaction: answer,
        bytes: Some(transaction.encoded_2718()),
        receipt: json!({
            "type": format!("{:#x}", transaction.ty()),
            "status": if receipt.status() { "0x1" } else { "0x0" },
            "cumulativeGasUsed": format!("{:#x}", receipt.cumulative_gas_used()),
            "from": payer(),
        }),
        receipt_bytes: Some(receipt.encoded_2718()),
        logs: receipt.logs().to_vec(),
    }
}

/// A signed transaction of a plan with its receipt, to stand at this place of a block of any chain.
pub(crate) fn planned(plan: &Plan, number: u64) -> Entry {
    entry(
        &envelope(plan, number),
        &receipt(plan, 50_000 * (number + 1)),
    )
}

/// A log as an honest token writes it.
pub(crate) fn token_log(token: Address, from: Address, to: Address, value: u64) -> Log {
    let topics = vec![TRANSFER, from.into_word(), to.into_word()];
    log(token, topics, U256::from(value).to_be_bytes_vec())
}

pub(crate) fn log(address: Address, topics: Vec<B256>, data: Vec<u8>) -> Log {
    Log::new(address, topics, data.into()).unwrap()
}

/// `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: B256 =
    alloy_primitives::b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

#[test]
fn a_block_that_another_implementation_built_is_proven() {
    let pay = |kind| Plan::pay(account(9), 5).of_type(kind);
    let every_type: Vec<Plan> = (0..5).map(pay).collect();
    let creation = Plan { to: None, ..pay(2) };
    let token = token_log(account(0x70), account(1), account(2), 5);
    let logs = Plan::logs(vec![token.clone(), token]);
    let paid = Withdrawal {
        index: 77,
        validator_index: 3,
        address: account(4),
        amount: 1_000,
    };
    // 130 of them: their numbers have one byte and two.
    let many: Vec<Plan> = (0..130)
        .map(|number| pay(u8::try_from(number % 5).unwrap()))
        .collect();
    for (plans, withdrawals) in [
        (vec![], vec![]),
        (vec![pay(0)], vec![paid]),
        (every_type, vec![paid, paid]),
        (vec![creation, logs.clone(), pay(2).failing(), logs], vec![]),
        (many, vec![]),
    ] {
        let built = build(&plans, &withdrawals);
        built
            .prove()
            .unwrap_or_else(|fault| panic!("{}: {fault}", plans.len()));
    }
}
