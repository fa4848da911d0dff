//! Output descriptors (BIP380 to BIP389): the form in which keys are stored.

use std::collections::BTreeSet;
use std::slice;

use paywatch_chain::KeyError;
use sha2::{Digest, Sha256};

use crate::address::{Lock, ScriptType, witness_script};
use crate::checksum::checksum;
use crate::expression::KeyExpression;
use crate::key::PublicNode;

/// Most keys of one script (BIP383).
const KEYS_MAX: usize = 20;

/// A descriptor that has one address for every index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) script: ScriptType,
    signers: Signers,
}

/// Whose keys can spend.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signers {
    /// One key.
    One(Box<KeyExpression>),
    /// So many of these keys, which are in the order of their texts.
    Several {
        threshold: usize,
        keys: Vec<KeyExpression>,
    },
}

impl Descriptor {
    /// Reads a descriptor, or a bare extended key as the account key that wallets export. A missing
    /// checksum is accepted, a wrong one is not.
    pub(crate) fn parse(text: &str, test: bool) -> Result<Self, KeyError> {
        if text.contains('(') {
            return Self::parse_function(text, test);
        }
        let key = KeyExpression::account(text, test)?;
        let script = key.node.form.hint.unwrap_or(ScriptType::P2wpkh);
        if script.is_multisig() {
            return Err(one_of_several(&key.node));
        }
        Ok(Self {
            script,
            signers: Signers::One(Box::new(key)),
        })
    }

    fn parse_function(text: &str, test: bool) -> Result<Self, KeyError> {
        let body = match text.split_once('#') {
            Some((body, given)) => {
                let right = checksum(body).is_some_and(|right| right == given);
                right.then_some(body).ok_or_else(|| KeyError::Checksum {
                    detail: "behind the # of the descriptor".to_owned(),
                })?
            }
            None => text,
        };
        let (script, inner) = function(body)?;
        let key = |text: &str| {
            let key = KeyExpression::parse(text, test)?;
            check_hint(&key.node, script)?;
            Ok(key)
        };
        let signers = if script.is_multisig() {
            let mut parts = inner.split(',');
            let threshold = parts.next().unwrap_or_default();
            let keys = parts.map(key).collect::<Result<_, _>>()?;
            several(threshold, keys)?
        } else if inner.contains([',', '{']) {
            return Err(KeyError::Unsupported {
                detail: format!(
                    "more than one key inside of {0}; give {0} with one key",
                    script.descriptor("KEY/0/*")
                ),
            });
        } else {
            Signers::One(Box::new(key(inner)?))
        };
        Ok(Self { script, signers })
    }

    /// The descriptor with its keys in plain form, of receiving addresses alone, and with its
    /// checksum. Reads back as the same.
    pub(crate) fn canonical(&self) -> String {
        let body = match &self.signers {
            Signers::One(key) => self.script.descriptor(&key.canonical()),
            Signers::Several { threshold, keys } => {
                let keys: Vec<String> = keys.iter().map(KeyExpression::canonical).collect();
                let inner = format!("{threshold},{}", keys.join(","));
                self.script.descriptor(&inner)
            }
        };
        // Every character above is one that descriptors have.
        let checksum = checksum(&body).unwrap_or_default();
        format!("{body}#{checksum}")
    }

    /// The node whose children are handed out. Of several keys it is a hash over the sorted set of
    /// their nodes, so neither their order nor how many must sign tells two counters apart.
    pub(crate) fn node_id(&self) -> [u8; 32] {
        match &self.signers {
            Signers::One(key) => key.node_id(),
            Signers::Several { keys, .. } => {
                let nodes: BTreeSet<[u8; 32]> = keys.iter().map(KeyExpression::node_id).collect();
                let hasher = nodes.iter().fold(Sha256::new(), Digest::chain_update);
                hasher.finalize().into()
            }
        }
    }

    /// Eight hexadecimal digits for people: of the one key, or of the hash over all keys.
    pub(crate) fn fingerprint(&self) -> String {
        match &self.signers {
            Signers::One(key) => hex::encode(key.fingerprint()),
            Signers::Several { .. } => hex::encode(self.node_id()).chars().take(8).collect(),
        }
    }

    /// What has to be satisfied to spend from the address at `index`.
    pub(crate) fn lock(&self, index: u32) -> Result<Lock, KeyError> {
        match &self.signers {
            Signers::One(key) => Ok(Lock::Key(key.public_key(index)?)),
            Signers::Several { threshold, keys } => {
                let keys = keys.iter().map(|key| key.public_key(index));
                let script = witness_script(*threshold, keys.collect::<Result<_, _>>()?);
                Ok(Lock::Script(script.ok_or(KeyError::Index { index })?))
            }
        }
    }

    /// The path to the address at `index`: one for each key, where they differ.
    pub(crate) fn path(&self, index: u32, coin_type: u32) -> String {
        let purpose = self.script.purpose();
        let keys = self.keys().iter();
        let paths: BTreeSet<String> = keys
            .map(|key| key.path(index, coin_type, purpose))
            .collect();
        Vec::from_iter(paths).join(", ")
    }

    /// The first key's form: all keys are of the same network.
    pub(crate) fn is_test(&self) -> bool {
        self.keys().iter().any(|key| key.node.form.test)
    }

    /// What a bare key was called, for example `zpub`.
    pub(crate) fn prefix(&self) -> &'static str {
        let first = self.keys().first();
        first.map_or("descriptor", |key| key.node.form.prefix)
    }

    fn keys(&self) -> &[KeyExpression] {
        match &self.signers {
            Signers::One(key) => slice::from_ref(key),
            Signers::Several { keys, .. } => keys,
        }
    }
}

/// The keys of several signers, checked.
fn several(threshold: &str, mut keys: Vec<KeyExpression>) -> Result<Signers, KeyError> {
    let malformed = |detail: &str| {
        Err(KeyError::Malformed {
            detail: detail.to_owned(),
        })
    };
    let digits = !threshold.is_empty() && threshold.bytes().all(|byte| byte.is_ascii_digit());
    let Some(threshold) = threshold.parse::<usize>().ok().filter(|_| digits) else {
        return malformed(
            "sortedmulti() begins with how many keys must sign: wsh(sortedmulti(2,KEY/0/*,KEY/0/*))",
        );
    };
    if KEYS_MAX < keys.len() {
        return malformed("a script has at most 20 keys");
    }
    if !(1..=keys.len()).contains(&threshold) {
        return malformed(
            "the number of keys that must sign is at least 1 and at most the number of keys; write \
             wsh(sortedmulti(2,KEY/0/*,KEY/0/*)) with one KEY for each signer",
        );
    }
    let (Some(first), count) = (keys.first(), keys.len()) else {
        return malformed("sortedmulti() has no key");
    };
    let same_length = |key: &KeyExpression| key.step_count() == first.step_count();
    if !keys.iter().all(same_length) {
        return malformed("all keys have the same number of steps behind them, usually /0/*");
    }
    let several: BTreeSet<usize> = keys
        .iter()
        .map(|key| key.paths)
        .filter(|n| 1 < *n)
        .collect();
    if 1 < several.len() {
        return malformed("all keys with several paths (<0;1>) have the same number of them");
    }
    let given: BTreeSet<[u8; 33]> = keys
        .iter()
        .map(|key| key.node.key.public_key.serialize())
        .collect();
    let parents: BTreeSet<[u8; 32]> = keys.iter().map(KeyExpression::node_id).collect();
    if given.len() != count || parents.len() != count {
        return malformed("a key occurs twice; give each signer's own key once");
    }
    keys.sort_by_cached_key(KeyExpression::canonical);
    Ok(Signers::Several { threshold, keys })
}

/// Refuses a key whose version says that it belongs into another function.
fn check_hint(node: &PublicNode, script: ScriptType) -> Result<(), KeyError> {
    let prefix = node.form.prefix;
    match node.form.hint {
        None => Ok(()),
        Some(hint) if hint == script => Ok(()),
        Some(ScriptType::P2shP2wsh) => Err(KeyError::Unsupported {
            detail: format!(
                "a {prefix} stands for sh(wsh(sortedmulti(...))); give the plain keys of a wallet \
                 that is wsh(sortedmulti(...))"
            ),
        }),
        Some(ScriptType::P2wsh) => Err(one_of_several(node)),
        Some(hint) => Err(KeyError::Unsupported {
            detail: format!(
                "a {prefix} inside of {}; give {} or a plain xpub",
                script.descriptor("..."),
                hint.descriptor(prefix)
            ),
        }),
    }
}

fn one_of_several(node: &PublicNode) -> KeyError {
    KeyError::Unsupported {
        detail: format!(
            "a {} is one key of several signers; give the keys of all of them: \
             wsh(sortedmulti(2,KEY/0/*,KEY/0/*))",
            node.form.prefix
        ),
    }
}

/// The script type of a descriptor and what stands inside of its function.
fn function(body: &str) -> Result<(ScriptType, &str), KeyError> {
    for (start, end, script) in [
        ("pkh(", ")", ScriptType::P2pkh),
        ("wpkh(", ")", ScriptType::P2wpkh),
        ("sh(wpkh(", "))", ScriptType::P2shP2wpkh),
        ("tr(", ")", ScriptType::P2tr),
        ("wsh(sortedmulti(", "))", ScriptType::P2wsh),
    ] {
        let inner = body.strip_prefix(start);
        let inner = inner.and_then(|inner| inner.strip_suffix(end));
        if let Some(inner) = inner.filter(|inner| !inner.contains(['(', ')'])) {
            return Ok((script, inner));
        }
    }
    let unsupported = |detail: &str| KeyError::Unsupported {
        detail: detail.to_owned(),
    };
    let name = body.split('(').next().unwrap_or_default();
    let balanced = body.matches('(').count() == body.matches(')').count() && body.ends_with(')');
    Err(match name {
        "sh" | "wsh" | "multi" | "sortedmulti" if balanced && body.contains("multi(") => {
            unsupported("several signers in this form; give wsh(sortedmulti(2,KEY/0/*,KEY/0/*))")
        }
        "sh" | "wsh" if balanced => unsupported(
            "a script of its own kind; give wpkh(KEY/0/*), sh(wpkh(KEY/0/*)) or \
             wsh(sortedmulti(2,KEY/0/*,KEY/0/*))",
        ),
        "tr" if balanced => unsupported("taproot with scripts besides the key; give tr(KEY/0/*)"),
        "pk" | "combo" | "addr" | "raw" | "rawtr" | "musig" => KeyError::Unsupported {
            detail: format!(
                "{name}(); give wpkh(KEY/0/*), tr(KEY/0/*), sh(wpkh(KEY/0/*)) or pkh(KEY/0/*)"
            ),
        },
        _ => KeyError::Malformed {
            detail: "the brackets of the descriptor do not fit; it looks like \
                     wpkh([fingerprint/84h/0h/0h]xpub/0/*)#checksum"
                .to_owned(),
        },
    })
}
