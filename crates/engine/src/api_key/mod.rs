//! API keys as text: `pw_test_<id>_<secret><checksum>`, generated once and never stored.
//!
//! The id is public and finds the row; the database holds a seal: a MAC under the master key over the
//! whole text and what the key may do. It says nothing about the secret, which is random (43
//! characters, more than 255 bits), and whoever can only write to the database can neither make a
//! key nor widen one. The checksum lets scanners and people tell a mistyped key from an unknown one,
//! as GitHub's tokens do
//! (<https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/>).

mod kept;

use std::fmt;

use paywatch_domain::{Entropy, KeyId, MerchantId, Mode, UnixMillis};
use paywatch_store::MasterKey;

pub use kept::{Bounds, Hand, record};

/// What the seal of a key is for.
const SEAL: &str = "api-key";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of the secret: 62^43 is more than 2^256.
const SECRET_CHARS: usize = 43;
/// Characters of the checksum: 62^6 is more than 2^32.
const CHECKSUM_CHARS: usize = 6;

/// An API key as its owner holds it. Prints without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyText {
    mode: Mode,
    id: KeyId,
    text: String,
}

/// What is granted to a key.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whose it is.
    pub merchant: MerchantId,
    /// What it may do.
    pub scopes: &'a [String],
    /// The networks that it may be used from, in CIDR form; empty for all.
    pub networks: &'a [String],
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<UnixMillis>,
}

/// A text that is not an API key: another form, or a character is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not of the form of a key.
    #[error("not of the form pw_live_… or pw_test_…")]
    Form,
    /// The checksum does not fit.
    #[error("the checksum of the key does not fit; a character is wrong or missing")]
    Checksum,
}

impl ApiKeyText {
    /// A new key.
    pub fn generate(mode: Mode, entropy: &mut dyn Entropy) -> Self {
        let id = KeyId::random(entropy);
        let mut text = format!("pw_{}_{}_", mode.as_str(), bare(id));
        while text.len() < head_chars(mode) + SECRET_CHARS {
            let mut bytes = [0; 64];
            entropy.fill(&mut bytes);
            // 248 is the largest multiple of 62 in a byte: each character is equally likely.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            let missing = head_chars(mode) + SECRET_CHARS - text.len();
            let symbols = fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
            text.extend(symbols.take(missing));
        }
        let checksum = checksum(text.as_bytes());
        text.push_str(&checksum);
        Self { mode, id, text }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`KeyTextError`] when it cannot be one; nothing was looked up yet.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let (mode, rest) = [Mode::Live, Mode::Test]
            .into_iter()
            .find_map(|mode| {
                let rest = text.strip_prefix("pw_")?.strip_prefix(mode.as_str())?;
                Some((mode, rest.strip_prefix('_')?))
            })
            .ok_or(KeyTextError::Form)?;
        let (id, secret) = rest.split_once('_').ok_or(KeyTextError::Form)?;
        let id = format!("{}_{id}", KeyId::PREFIX)
            .parse()
            .map_err(|_| KeyTextError::Form)?;
        let base62 = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !base62 || secret.len() != SECRET_CHARS + CHECKSUM_CHARS {
            return Err(KeyTextError::Form);
        }
        let (signed, given) = text.split_at(text.len() - CHECKSUM_CHARS);
        if checksum(signed.as_bytes()) != given {
            return Err(KeyTextError::Checksum);
        }
        Ok(Self {
            mode,
            id,
            text: text.into(),
        })
    }

    /// Which chains it may see.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its public part.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What the database keeps of it: a seal over the key and what is granted to it. The order of the
    /// scopes and of the networks counts.
    pub fn seal(&self, master: &MasterKey, grant: &Grant<'_>) -> [u8; 32] {
        self.with_fields(grant, |fields| master.mac(SEAL, fields))
    }

    /// Whether the database keeps the seal of this key for this grant; in constant time.
    pub fn fits(&self, master: &MasterKey, grant: &Grant<'_>, seal: &[u8]) -> bool {
        self.with_fields(grant, |fields| master.verify(SEAL, fields, seal))
    }

    fn with_fields<T>(&self, grant: &Grant<'_>, run: impl FnOnce(&[&[u8]]) -> T) -> T {
        let (id, merchant) = (self.id.to_string(), grant.merchant.to_string());
        let networks = grant.networks.join(",");
        let expires = grant.expires_at.map(|at| at.0.to_string());
        let expires = expires.unwrap_or_default();
        let own = [
            &self.text,
            &id,
            &merchant,
            self.mode.as_str(),
            &networks,
            &expires,
        ];
        let scopes = grant.scopes.iter().map(String::as_str);
        let fields: Vec<&[u8]> = own.into_iter().chain(scopes).map(str::as_bytes).collect();
        run(&fields)
    }

    /// The whole key, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pw_{}_{}_(not shown)", self.mode.as_str(), bare(self.id))
    }
}

fn bare(id: KeyId) -> String {
    let text = id.to_string();
    text.trim_start_matches(KeyId::PREFIX)
        .trim_start_matches('_')
        .to_owned()
}

fn head_chars(mode: Mode) -> usize {
    // pw, the mode, 26 characters of the id, and their underscores.
    "pw_".len() + mode.as_str().len() + "_".len() + 26 + "_".len()
}

/// CRC-32 (ISO-HDLC, the one of zip) in base 62.
fn checksum(bytes: &[u8]) -> String {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0xedb8_8320;
            }
        }
    }
    let mut rest = !register;
    let mut symbols = [b'0'; CHECKSUM_CHARS];
    for symbol in symbols.iter_mut().rev() {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        *symbol = BASE62[digit];
        rest /= 62;
    }
    symbols.iter().map(|symbol| char::from(*symbol)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up, so that each run is the same.
    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(37);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn a_key_reads_back_with_its_mode_and_id() {
        for mode in [Mode::Live, Mode::Test] {
            let key = ApiKeyText::generate(mode, &mut Counting(1));
            assert_eq!(key.reveal().len(), 3 + 4 + 1 + 26 + 1 + 43 + 6);
            let read = ApiKeyText::parse(key.reveal()).unwrap();
            assert_eq!(read, key);
            assert_eq!((read.mode(), read.id()), (mode, key.id()));
        }
    }

    #[test]
    fn the_checksum_is_the_common_crc32() {
        // The check value of CRC-32/ISO-HDLC for "123456789" is 0xcbf43926 = 3421780262.
        assert_eq!(checksum(b"123456789"), "3jZRME");
    }

    #[test]
    fn a_wrong_character_is_found_without_a_look_up() {
        let key = ApiKeyText::generate(Mode::Test, &mut Counting(1));
        let text = key.reveal();
        for place in text.len() - 20..text.len() {
            let old = &text[place..=place];
            let new = if old == "x" { "y" } else { "x" };
            let mut wrong = text.to_owned();
            wrong.replace_range(place..=place, new);
            assert_eq!(
                ApiKeyText::parse(&wrong),
                Err(KeyTextError::Checksum),
                "{place}"
            );
        }
        let forms = [
            "",
            "pw_",
            "pw_prod_x",
            "Bearer",
            &text[..text.len() - 1],
            &text.replacen("test", "live", 1),
        ];
        for form in forms {
            assert!(ApiKeyText::parse(form).is_err(), "{form}");
        }
    }

    #[test]
    fn a_seal_is_for_one_key_and_what_is_granted_to_it() {
        let master = MasterKey::from_bytes([7; 32]);
        let scopes = ["invoices:read", "admin"].map(str::to_owned);
        let networks = ["10.0.0.0/8".to_owned()];
        let grant = Grant {
            merchant: MerchantId::from_bits(1),
            scopes: &scopes,
            networks: &networks,
            expires_at: Some(UnixMillis(5)),
        };
        let key = ApiKeyText::generate(Mode::Test, &mut Counting(1));
        let seal = key.seal(&master, &grant);
        assert!(key.fits(&master, &grant, &seal));
        let stranger = ApiKeyText::generate(Mode::Test, &mut Counting(2));
        let other_master = MasterKey::from_bytes([8; 32]);
        assert!(!stranger.fits(&master, &grant, &seal));
        assert!(!key.fits(&other_master, &grant, &seal));
        let joined = ["invoices.readadmin".to_owned()];
        let others = [
            Grant {
                merchant: MerchantId::from_bits(2),
                ..grant
            },
            Grant {
                scopes: &scopes[..1],
                ..grant
            },
            Grant {
                scopes: &joined,
                ..grant
            },
            Grant {
                networks: &[],
                ..grant
            },
            Grant {
                expires_at: None,
                ..grant
            },
        ];
        for other in others {
            assert!(!key.fits(&master, &other, &seal), "{other:?}");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = ApiKeyText::generate(Mode::Test, &mut Counting(1));
        let secret = key.reveal().rsplit('_').next().unwrap();
        assert!(!format!("{key:?}").contains(secret));
    }
}
