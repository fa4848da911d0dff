//! Transactions as bytes (<https://solana.com/docs/core/transactions>): the form without version, which
//! every node takes.

use anyhow::{Result, bail};
use base58ck as base58;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::signer::Signer;

/// Moves lamports.
pub(crate) const SYSTEM_PROGRAM: &str = "11111111111111111111111111111111";
/// Keeps the tokens of most mints.
pub(crate) const TOKEN_PROGRAM: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
/// Keeps the tokens of mints with extensions.
pub(crate) const TOKEN_2022_PROGRAM: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
/// Makes the accounts in which wallets hold tokens.
pub(crate) const ASSOCIATED_TOKEN_PROGRAM: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";

/// Bytes of the largest transaction: it must fit into one packet.
const BYTES_MAX: usize = 1232;

/// An account that an instruction touches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    key: [u8; 32],
    signs: bool,
    changes: bool,
}

impl Touched {
    /// It is only read.
    pub(crate) fn read(key: [u8; 32]) -> Self {
        Self {
            key,
            signs: false,
            changes: false,
        }
    }

    /// It is changed.
    pub(crate) fn changed(key: [u8; 32]) -> Self {
        Self {
            changes: true,
            ..Self::read(key)
        }
    }

    /// It signs too.
    pub(crate) fn signing(self) -> Self {
        Self {
            signs: true,
            ..self
        }
    }
}

/// One step of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub(crate) program: [u8; 32],
    pub(crate) accounts: Vec<Touched>,
    pub(crate) data: Vec<u8>,
}

/// A transaction that can be sent.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Its id.
    pub(crate) id: String,
    pub(crate) base64: String,
}

/// Signs instructions. `signers` are everybody who has to; the first one pays the fee.
pub(crate) fn sign(
    signers: &[&Signer],
    instructions: &[Instruction],
    blockhash: &[u8; 32],
) -> Result<Signed> {
    let Some(payer) = signers.first().map(|payer| payer.public()) else {
        bail!("nobody signs");
    };
    let accounts = order(payer, instructions);
    let message = message(&accounts, instructions, blockhash)?;
    let mut bytes = Vec::new();
    let needed: Vec<_> = accounts.iter().filter(|account| account.signs).collect();
    length(&mut bytes, needed.len())?;
    let mut id = String::new();
    for account in needed {
        let signer = signers.iter().find(|signer| signer.public() == account.key);
        let Some(signer) = signer else {
            bail!("a signature is missing");
        };
        let signature = signer.sign(&message);
        if id.is_empty() {
            id = base58::encode(&signature);
        }
        bytes.extend(signature);
    }
    bytes.extend(message);
    if BYTES_MAX < bytes.len() {
        bail!("too much for one transaction; name fewer tokens at a time");
    }
    Ok(Signed {
        id,
        base64: STANDARD.encode(bytes),
    })
}

/// Each account once: the payer, others who sign, others that change, and those that are only read.
fn order(payer: [u8; 32], instructions: &[Instruction]) -> Vec<Touched> {
    let touched = instructions.iter().flat_map(|instruction| {
        let program = Touched::read(instruction.program);
        instruction.accounts.iter().copied().chain([program])
    });
    let mut accounts: Vec<Touched> = Vec::new();
    for next in [Touched::changed(payer).signing()]
        .into_iter()
        .chain(touched)
    {
        match accounts.iter_mut().find(|known| known.key == next.key) {
            Some(known) => {
                known.signs |= next.signs;
                known.changes |= next.changes;
            }
            None => accounts.push(next),
        }
    }
    // A stable order: the payer stays the first.
    accounts.sort_by_key(|account| (!account.signs, !account.changes));
    accounts
}

fn message(
    accounts: &[Touched],
    instructions: &[Instruction],
    blockhash: &[u8; 32],
) -> Result<Vec<u8>> {
    let count = |is: fn(&Touched) -> bool| u8::try_from(accounts.iter().filter(|a| is(a)).count());
    let mut bytes = vec![
        count(|account| account.signs)?,
        count(|account| account.signs && !account.changes)?,
        count(|account| !account.signs && !account.changes)?,
    ];
    length(&mut bytes, accounts.len())?;
    for account in accounts {
        bytes.extend(account.key);
    }
    bytes.extend(blockhash);
    length(&mut bytes, instructions.len())?;
    let place = |key: &[u8; 32]| {
        let place = accounts.iter().position(|account| account.key == *key);
        u8::try_from(place.unwrap_or(usize::MAX))
    };
    for instruction in instructions {
        bytes.push(place(&instruction.program)?);
        length(&mut bytes, instruction.accounts.len())?;
        for account in &instruction.accounts {
            bytes.push(place(&account.key)?);
        }
        length(&mut bytes, instruction.data.len())?;
        bytes.extend(&instruction.data);
    }
    Ok(bytes)
}

/// A length in seven bits a byte, the lowest first.
fn length(bytes: &mut Vec<u8>, length: usize) -> Result<()> {
    let mut rest = u16::try_from(length)?;
    loop {
        let low = u8::try_from(rest & 0x7f)?;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return Ok(());
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of <https://solana.com/docs/core/transactions>, in short.
    #[test]
    fn solana_lengths_have_seven_bits_a_byte() {
        for (number, expected) in [
            (0, vec![0]),
            (0x7f, vec![0x7f]),
            (0x80, vec![0x80, 1]),
            (0xff, vec![0xff, 1]),
            (0x100, vec![0x80, 2]),
            (0x7fff, vec![0xff, 0xff, 1]),
            (0xffff, vec![0xff, 0xff, 3]),
        ] {
            let mut bytes = Vec::new();
            length(&mut bytes, number).unwrap();
            assert_eq!(bytes, expected, "{number}");
        }
        assert!(length(&mut Vec::new(), 0x1_0000).is_err());
    }
}
