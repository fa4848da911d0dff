//! From a merchant's public key material to addresses.

use paywatch_domain::{Amount, Asset, ChainName, Entropy, Family, TxId};

/// The kind of a wallet whose addresses are not derived: they stand in a table.
pub const ADDRESS_POOL: &str = "address_pool";

/// Public key material that was read and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletKey {
    /// What kind of material it is, for example `xpub` or `descriptor`.
    pub kind: &'static str,
    /// The canonical public form that is stored, for example a descriptor with checksum.
    pub canonical: String,
    /// The node whose children are handed out, as a hash over public key and chain code in
    /// hexadecimal; of several keys a hash over the set of their nodes. Two forms of one key share
    /// it, and with it the index counter.
    pub node: String,
    /// Eight hexadecimal digits by which people tell keys apart (BIP32 fingerprint; of several keys
    /// the beginning of `node`).
    pub fingerprint: String,
}

/// One address of a wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedAddress {
    /// The text that payers get.
    pub address: String,
    /// What the watch table looks for, for example the output script.
    pub key: Vec<u8>,
    /// The full path for people and wallets, for example `m/84h/1h/0h/0/7`; of several keys all
    /// that differ.
    pub path: String,
}

/// Another script that the keys of an address can spend: money that is sent there is not lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// What the script is: `p2pkh`, `p2wpkh`, `p2sh-p2wpkh`, `p2tr`, `p2wsh` or `p2sh-p2wsh`.
    pub form: &'static str,
    /// The text that somebody was given instead of the wallet's own address.
    pub address: String,
    /// What the watch table looks for, for example the output script.
    pub key: Vec<u8>,
}

/// Addresses that somebody else made, in the order in which they are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// What stands for all of them.
    pub key: WalletKey,
    /// The addresses, each once.
    pub addresses: Vec<String>,
}

/// Why key material or an index cannot be used. Never contains the material itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private key, seed or seed phrase. Nothing of it is kept or logged.
    #[error(
        "this is {what}, which must never leave the wallet; paywatch needs what is public (an \
         extended public key, a descriptor or addresses), and never anything private"
    )]
    Private {
        /// What it looks like, for example `an extended private key`.
        what: &'static str,
    },
    /// A key of another network than the chain's.
    #[error("the key is for {found} and the chain is {expected}")]
    WrongNetwork {
        /// What the chain needs.
        expected: String,
        /// What the key is for.
        found: String,
    },
    /// A checksum that does not fit: a typing error.
    #[error("the checksum does not fit; a character is wrong or missing ({detail})")]
    Checksum {
        /// Where.
        detail: String,
    },
    /// A hardened step below the public key: not possible without the private key.
    #[error("a hardened step ({step}) below a public key cannot be derived")]
    Hardened {
        /// The step.
        step: String,
    },
    /// A form that is not supported.
    #[error("this key form is not supported: {detail}")]
    Unsupported {
        /// What it is, and what to give instead.
        detail: String,
    },
    /// An address for which no private key can sign.
    #[error(
        "{address} is not on the curve: no private key can sign for it, because it belongs to a \
         program or is an account of tokens; give the wallet's own address"
    )]
    OffCurve {
        /// The address.
        address: String,
    },
    /// A part that must be secret, and that others can guess.
    #[error("the {what} can be guessed: {detail}")]
    Guessable {
        /// Which part.
        what: &'static str,
        /// Why, and what to do.
        detail: &'static str,
    },
    /// A line of a file of addresses that cannot stand.
    #[error("line {line} of the file of addresses: {detail}")]
    PoolLine {
        /// The number of the line, from 1.
        line: usize,
        /// A stable code for what it is.
        code: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of addresses that is not as it was made.
    #[error("the file of addresses is not whole: {detail}")]
    PoolTruncated {
        /// What is missing.
        detail: String,
    },
    /// Not key material at all.
    #[error("not public key material: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// The index space of the key is used up.
    #[error("no address can be derived at index {index}")]
    Index {
        /// The index.
        index: u32,
    },
}

impl KeyError {
    /// A stable code for the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Private { .. } => "private_key_refused",
            Self::WrongNetwork { .. } => "key_wrong_network",
            Self::Checksum { .. } => "key_checksum",
            Self::Hardened { .. } => "key_hardened_step",
            Self::Unsupported { .. } => "key_unsupported",
            Self::OffCurve { .. } => "address_off_curve",
            Self::Guessable { .. } => "key_guessable",
            Self::PoolLine { code, .. } => code,
            Self::PoolTruncated { .. } => "pool_truncated",
            Self::Malformed { .. } => "key_malformed",
            Self::Index { .. } => "key_index_exhausted",
        }
    }
}

/// Reads key material and derives addresses, for one chain family. Pure.
pub trait Derivation: Send + Sync + 'static {
    /// The family it serves.
    fn family(&self) -> Family;

    /// What a merchant gave, with a secret drawn where the material needs one and none was given. Done
    /// once, before [`parse`](Self::parse).
    fn completed(&self, text: &str, _entropy: &mut dyn Entropy) -> String {
        text.to_owned()
    }

    /// Reads what a merchant gave. `test` tells whether a key for test networks is wanted.
    fn parse(&self, text: &str, test: bool) -> Result<WalletKey, KeyError>;

    /// The address of a stored key (its canonical form) at an index, in the form of one chain.
    fn derive(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError>;

    /// The other scripts that the same keys at the same index can spend, in a fixed order and never
    /// with the address itself. Wallets of another form of the key show them, so that payers and
    /// merchants take them for the address.
    fn siblings(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<Vec<Sibling>, KeyError>;

    /// Whether two stored keys are one: their addresses are the same, or money for one is taken for money
    /// of the other.
    fn is_same(&self, one: &str, other: &str, chain: &ChainName) -> Result<bool, KeyError> {
        let first = |canonical| Ok(self.derive(canonical, 0, chain)?.address);
        Ok(first(one)? == first(other)?)
    }

    /// The least that one payment can bring to a new address of a stored key: the chain refuses less. `None`
    /// where there is no such least.
    fn least_payment(&self, _canonical: &str, _asset: &Asset) -> Option<Amount> {
        None
    }

    /// The address to which all money of a stored key comes; `None` for a key with an address for each index.
    fn recipient(&self, _canonical: &str) -> Option<String> {
        None
    }

    /// What stands between the parts of watched keys that have two; `None` where they have one.
    fn separator(&self) -> Option<u8> {
        None
    }

    /// Reads a file of addresses that a wallet of the merchant made, and finds all of it good.
    fn pool(&self, _text: &str) -> Result<AddressPool, KeyError> {
        let detail = format!(
            "files of addresses on {} chains; give an extended public key",
            self.family().as_str()
        );
        Err(KeyError::Unsupported { detail })
    }

    /// An address of a pool at its place in it, in the form of one chain.
    fn pooled(
        &self,
        address: &str,
        _position: u32,
        _chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        let detail = format!("a pool that holds {address}");
        Err(KeyError::Unsupported { detail })
    }

    /// The payment URI for an address and an exact amount of an asset, for example BIP21 or ERC-681.
    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String;

    /// A transaction's id in the form in which the chain's blocks hold it; `None` when it is none.
    fn transaction_id(&self, text: &str) -> Option<TxId> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_word.then(|| TxId::new(text))
    }
}
