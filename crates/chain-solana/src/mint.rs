//! What the account of a mint says: decimals, and what its authorities can do to those who hold the token.

use std::collections::BTreeSet;
use std::fmt;

/// The program of ordinary tokens.
pub const TOKEN_PROGRAM: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
/// The program of tokens with extensions.
pub const TOKEN_2022_PROGRAM: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";

/// Something that a mint lets its authorities do, or its holders not do: received money may be gone again, not
/// be of use, or not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Power {
    /// One account may move and burn everybody's tokens.
    PermanentDelegate,
    /// A program is asked at every transfer, and may refuse it.
    TransferHook,
    /// Amounts may be moved that no balance shows.
    ConfidentialTransfer,
    /// All transfers may be stopped.
    Pausable,
    /// Whoever has tokens keeps them.
    NonTransferable,
    /// New accounts are frozen until somebody allows them.
    FrozenAccounts,
    /// Wallets show, and ask payers for, another amount than the raw one: by a factor that may change.
    ScaledAmounts,
}

impl Power {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PermanentDelegate,
        Self::TransferHook,
        Self::ConfidentialTransfer,
        Self::Pausable,
        Self::NonTransferable,
        Self::FrozenAccounts,
        Self::ScaledAmounts,
    ];

    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PermanentDelegate => "permanent_delegate",
            Self::TransferHook => "transfer_hook",
            Self::ConfidentialTransfer => "confidential_transfer",
            Self::Pausable => "pausable",
            Self::NonTransferable => "non_transferable",
            Self::FrozenAccounts => "frozen_accounts",
            Self::ScaledAmounts => "scaled_amounts",
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mint {
    pub(crate) decimals: u8,
    pub(crate) powers: BTreeSet<Power>,
}

/// What is wrong with an account that should be a mint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MintError {
    /// It belongs to another program.
    #[error("belongs to the program {0}, which is none of tokens")]
    Program(String),
    /// It is something else of the program.
    #[error("is no mint")]
    Shape,
    /// An extension that came after this was written.
    #[error("has an extension that is not known here, number {0}")]
    Extension(u16),
}

/// Where things stand in the account of a mint
/// (<https://docs.rs/spl-token-interface/latest/spl_token_interface/state/struct.Mint.html>).
const DECIMALS_AT: usize = 44;
const INITIALIZED_AT: usize = 45;
const MINT_BYTES: usize = 82;
/// Extensions begin where those of an account do: behind the longer of both, and a byte for which it is
/// (<https://docs.rs/spl-token-2022-interface/latest/spl_token_2022_interface/extension/index.html>).
const TYPE_AT: usize = 165;
const TYPE_OF_MINT: u8 = 1;
const FROZEN: u8 = 2;

impl Mint {
    /// Reads the data of an account that this program owns.
    pub(crate) fn read(program: &str, data: &[u8]) -> Result<Self, MintError> {
        let has_extensions = match program {
            TOKEN_PROGRAM => false,
            TOKEN_2022_PROGRAM => data.len() != MINT_BYTES,
            other => return Err(MintError::Program(other.to_owned())),
        };
        if data.get(INITIALIZED_AT) != Some(&1) || (!has_extensions && data.len() != MINT_BYTES) {
            return Err(MintError::Shape);
        }
        let mut powers = BTreeSet::new();
        if has_extensions {
            if data.get(TYPE_AT) != Some(&TYPE_OF_MINT) {
                return Err(MintError::Shape);
            }
            let mut rest = data.get(TYPE_AT.saturating_add(1)..).unwrap_or_default();
            while let Some((kind, value, behind)) = entry(rest)? {
                powers.extend(power(kind, value)?);
                rest = behind;
            }
        }
        let decimals = *data.get(DECIMALS_AT).ok_or(MintError::Shape)?;
        Ok(Self { decimals, powers })
    }
}

/// The kind of an extension, its value, and what follows.
type Entry<'a> = (u16, &'a [u8], &'a [u8]);

/// The first entry of a list of extensions: its kind, its value, and what follows; `None` at the end.
fn entry(list: &[u8]) -> Result<Option<Entry<'_>>, MintError> {
    let Some((kind, rest)) = list.split_first_chunk() else {
        return Ok(None);
    };
    let kind = u16::from_le_bytes(*kind);
    if kind == 0 {
        return Ok(None);
    }
    let (length, rest) = rest.split_first_chunk().ok_or(MintError::Shape)?;
    let length = usize::from(u16::from_le_bytes(*length));
    let (value, rest) = rest.split_at_checked(length).ok_or(MintError::Shape)?;
    Ok(Some((kind, value, rest)))
}

/// What an extension of a mint lets somebody do. The numbers are those of `ExtensionType`
/// (<https://docs.rs/spl-token-2022-interface/latest/spl_token_2022_interface/extension/enum.ExtensionType.html>).
fn power(kind: u16, value: &[u8]) -> Result<Option<Power>, MintError> {
    Ok(match kind {
        // Fees, closing the mint, pointers, metadata, groups and who may burn do nothing to what was received.
        1 | 3 | 18..=23 | 28 => None,
        4 | 16 | 24 => Some(Power::ConfidentialTransfer),
        6 => (value.first() == Some(&FROZEN)).then_some(Power::FrozenAccounts),
        9 => Some(Power::NonTransferable),
        12 => Some(Power::PermanentDelegate),
        14 => Some(Power::TransferHook),
        // By interest, or by a factor.
        10 | 25 => Some(Power::ScaledAmounts),
        26 => Some(Power::Pausable),
        other => return Err(MintError::Extension(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Extension<'a> = (u16, &'a [u8]);

    fn mint(extensions: &[Extension<'_>]) -> Vec<u8> {
        let mut data = vec![0; MINT_BYTES];
        data[DECIMALS_AT] = 6;
        data[INITIALIZED_AT] = 1;
        if !extensions.is_empty() {
            data.resize(TYPE_AT, 0);
            data.push(TYPE_OF_MINT);
        }
        for (kind, value) in extensions {
            data.extend(kind.to_le_bytes());
            data.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            data.extend(*value);
        }
        data
    }

    #[test]
    fn solana_mints_say_what_they_can_do() {
        use Power::*;
        let cases: [(&[Extension<'_>], &[Power]); 10] = [
            (&[], &[]),
            (&[(1, &[0; 108]), (18, &[0; 64]), (19, &[7; 90])], &[]),
            (&[(6, &[1])], &[]),
            (&[(6, &[2])], &[FrozenAccounts]),
            (&[(3, &[0; 32]), (12, &[0; 32])], &[PermanentDelegate]),
            (&[(14, &[0; 64]), (26, &[0; 33])], &[TransferHook, Pausable]),
            (&[(4, &[0; 65]), (16, &[0; 129])], &[ConfidentialTransfer]),
            (&[(9, &[]), (0, &[])], &[NonTransferable]),
            (&[(10, &[0; 52])], &[ScaledAmounts]),
            (&[(25, &[0; 56])], &[ScaledAmounts]),
        ];
        for (extensions, powers) in cases {
            let read = Mint::read(TOKEN_2022_PROGRAM, &mint(extensions)).unwrap();
            let powers = powers.iter().copied().collect();
            assert_eq!(
                read,
                Mint {
                    decimals: 6,
                    powers
                },
                "{extensions:?}"
            );
        }
    }

    #[test]
    fn solana_accounts_that_are_no_mints_are_refused() {
        let good = mint(&[]);
        assert_eq!(Mint::read(TOKEN_PROGRAM, &good).unwrap().decimals, 6);
        let extended = mint(&[(12, &[0; 32])]);
        let mut young = good.clone();
        young[INITIALIZED_AT] = 0;
        let mut account = extended.clone();
        account[TYPE_AT] = 2;
        let cut = &extended[..extended.len() - 1];
        let cases: [(&str, &[u8], &str); 9] = [
            ("11111111111111111111111111111111", &good, "which is none"),
            (TOKEN_PROGRAM, &[], "no mint"),
            (TOKEN_PROGRAM, &[0; 165], "no mint"),
            (TOKEN_PROGRAM, &young, "no mint"),
            (TOKEN_PROGRAM, &extended, "no mint"),
            (TOKEN_2022_PROGRAM, &account, "no mint"),
            (TOKEN_2022_PROGRAM, &extended[..100], "no mint"),
            (TOKEN_2022_PROGRAM, cut, "no mint"),
            (TOKEN_2022_PROGRAM, &mint(&[(99, &[])]), "number 99"),
        ];
        for (program, data, words) in cases {
            let error = Mint::read(program, data).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
