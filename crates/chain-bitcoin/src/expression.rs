//! Key expressions (BIP380): one extended public key of a descriptor, where it comes from, and the
//! way from it to the keys of its addresses.

use std::collections::BTreeSet;

use bitcoin::bip32::{ChildNumber, Xpub};
use paywatch_chain::KeyError;
use sha2::{Digest, Sha256};

use crate::key::{PublicNode, child, looks_extended};

/// Where a key comes from: the fingerprint of its master key and the path from there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    fingerprint: [u8; 4],
    path: Vec<ChildNumber>,
}

/// A key that has one child for every index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyExpression {
    origin: Option<Origin>,
    pub(crate) node: PublicNode,
    /// The steps from the key to the node whose children are handed out.
    steps: Vec<u32>,
    /// How many paths the text told apart (BIP389); the steps are those of the first.
    pub(crate) paths: usize,
    /// The node whose children are handed out.
    parent: Xpub,
}

impl KeyExpression {
    /// Reads a bare extended key as the account key that wallets export: its addresses are at
    /// `/0/*`.
    pub(crate) fn account(text: &str, test: bool) -> Result<Self, KeyError> {
        let (origin, key) = split_origin(text)?;
        if key.contains('/') && looks_extended(key) {
            return Err(KeyError::Unsupported {
                detail: "a path behind the key needs a descriptor: wpkh(KEY/0/*)".to_owned(),
            });
        }
        let receiving = Steps {
            steps: vec![0],
            paths: 1,
        };
        Self::new(origin, PublicNode::parse(key, test)?, receiving)
    }

    /// Reads what stands inside of a descriptor's function.
    pub(crate) fn parse(text: &str, test: bool) -> Result<Self, KeyError> {
        let (origin, expression) = split_origin(text)?;
        let (key, steps) = expression.split_once('/').unwrap_or((expression, ""));
        let node = PublicNode::parse(key, test)?;
        Self::new(origin, node, read_steps(steps)?)
    }

    fn new(
        origin: Option<Origin>,
        node: PublicNode,
        Steps { steps, paths }: Steps,
    ) -> Result<Self, KeyError> {
        if let Some(origin) = &origin {
            let last = origin.path.last().copied().unwrap_or(ChildNumber::from(0));
            let depth = usize::from(node.key.depth);
            if depth != origin.path.len() || node.key.child_number != last {
                return Err(KeyError::Malformed {
                    detail: "the path in the square brackets does not lead to this key (its depth \
                             or last step differs); correct the brackets or leave them away"
                        .to_owned(),
                });
            }
        }
        let parent = steps
            .iter()
            .try_fold(node.key, |key, step| child(&key, *step))?;
        Ok(Self {
            origin,
            node,
            steps,
            paths,
            parent,
        })
    }

    /// How many steps lead from the key to the node whose children are handed out.
    pub(crate) fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// The expression with its key in plain form and with its first path alone. Reads back as the
    /// same.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        if let Some(origin) = &self.origin {
            text.push('[');
            text.push_str(&hex::encode(origin.fingerprint));
            for step in &origin.path {
                text.push_str(&step_text(*step));
            }
            text.push(']');
        }
        text.push_str(&self.node.standard());
        for step in &self.steps {
            text.push_str(&step_text(ChildNumber::from(*step)));
        }
        text.push_str("/*");
        text
    }

    /// A hash over the public key and the chain code of the node whose children are handed out: the
    /// same for every text that leads to these children.
    pub(crate) fn node_id(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.parent.public_key.serialize())
            .chain_update(self.parent.chain_code.as_bytes())
            .finalize()
            .into()
    }

    /// The compressed public key at `index`.
    pub(crate) fn public_key(&self, index: u32) -> Result<[u8; 33], KeyError> {
        Ok(child(&self.parent, index)?.public_key.serialize())
    }

    /// The fingerprint of the master key where the origin tells it, else of the key itself.
    pub(crate) fn fingerprint(&self) -> [u8; 4] {
        self.origin
            .as_ref()
            .map_or_else(|| self.key_fingerprint(), |origin| origin.fingerprint)
    }

    fn key_fingerprint(&self) -> [u8; 4] {
        self.node.key.fingerprint().to_bytes()
    }

    /// The path to the key at `index`.
    ///
    /// From the root where the origin tells it, where the key is a root, and where it is at the
    /// place of an account key (BIP44): then by the convention of `purpose`. Otherwise from the key,
    /// which is named by its fingerprint.
    pub(crate) fn path(&self, index: u32, coin_type: u32, purpose: Option<u32>) -> String {
        let key = &self.node.key;
        let is_account = key.depth == 3 && key.child_number.is_hardened();
        let mut path = match (&self.origin, purpose) {
            (Some(origin), _) => origin
                .path
                .iter()
                .fold("m".to_owned(), |path, step| path + &step_text(*step)),
            (None, _) if key.depth == 0 => "m".to_owned(),
            (None, Some(purpose)) if is_account => {
                let account = step_text(key.child_number);
                format!("m/{purpose}h/{coin_type}h{account}")
            }
            (None, _) => hex::encode(self.key_fingerprint()),
        };
        for step in self.steps.iter().chain([&index]) {
            path.push_str(&step_text(ChildNumber::from(*step)));
        }
        path
    }
}

fn step_text(step: ChildNumber) -> String {
    // The alternate form marks hardened steps with an h.
    format!("/{step:#}")
}

/// Takes `[fingerprint/path]` off the front of a key expression.
fn split_origin(text: &str) -> Result<(Option<Origin>, &str), KeyError> {
    let Some(rest) = text.strip_prefix('[') else {
        return Ok((None, text));
    };
    let malformed = || KeyError::Malformed {
        detail: "the origin in square brackets is not like [d34db33f/84h/0h/0h]".to_owned(),
    };
    let (origin, key) = rest.split_once(']').ok_or_else(malformed)?;
    let mut parts = origin.split('/');
    let mut fingerprint = [0; 4];
    let digits = parts.next().filter(|digits| digits.len() == 8);
    hex::decode_to_slice(digits.ok_or_else(malformed)?, &mut fingerprint)
        .map_err(|_| malformed())?;
    let path = parts
        .map(|step| read_step(step).ok_or_else(malformed))
        .collect::<Result<_, _>>()?;
    Ok((Some(Origin { fingerprint, path }), key))
}

/// One step such as `0`, `84h`, `84H` or `84'`.
fn read_step(text: &str) -> Option<ChildNumber> {
    let (digits, hardened) = match text.strip_suffix(['h', 'H', '\'']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| plain)?;
    if hardened {
        ChildNumber::from_hardened_idx(number).ok()
    } else {
        ChildNumber::from_normal_idx(number).ok()
    }
}

/// The steps between key and index, of the first of so many paths.
struct Steps {
    steps: Vec<u32>,
    paths: usize,
}

/// Reads what stands behind the key's first slash.
fn read_steps(text: &str) -> Result<Steps, KeyError> {
    let mut texts: Vec<&str> = text.split('/').collect();
    if let Some(last) = texts.last()
        && matches!(*last, "*h" | "*H" | "*'")
    {
        return Err(KeyError::Hardened {
            step: "*h".to_owned(),
        });
    }
    if texts.pop() != Some("*") {
        return Err(KeyError::Unsupported {
            detail: "a key without /* has one fixed address; let it end with /0/*, as in \
                     wpkh(KEY/0/*)"
                .to_owned(),
        });
    }
    let mut steps = Vec::with_capacity(texts.len());
    let mut paths = 1;
    for text in texts {
        let Some(alternatives) = text.strip_prefix('<') else {
            steps.push(soft_step(text)?);
            continue;
        };
        let alternatives = read_alternatives(alternatives)?;
        if paths != 1 {
            return Err(KeyError::Malformed {
                detail: "a key may have several paths (<0;1>) at one step only".to_owned(),
            });
        }
        paths = alternatives.len();
        steps.extend(alternatives.first());
    }
    Ok(Steps { steps, paths })
}

/// Reads `0;1>`, the steps of several paths (BIP389).
fn read_alternatives(text: &str) -> Result<Vec<u32>, KeyError> {
    let malformed = || KeyError::Malformed {
        detail: "several paths are written like <0;1>: two or more different numbers, the one of \
                 the receiving addresses first"
            .to_owned(),
    };
    let texts = text.strip_suffix('>').ok_or_else(malformed)?.split(';');
    let steps: Vec<u32> = texts.map(soft_step).collect::<Result<_, _>>()?;
    let distinct: BTreeSet<&u32> = steps.iter().collect();
    if steps.len() < 2 || distinct.len() != steps.len() {
        return Err(malformed());
    }
    Ok(steps)
}

/// A step that a public key can take.
fn soft_step(text: &str) -> Result<u32, KeyError> {
    let step = read_step(text).ok_or_else(|| KeyError::Malformed {
        detail: "the path behind the key is not like /0/*".to_owned(),
    })?;
    if step.is_hardened() {
        return Err(KeyError::Hardened {
            step: format!("{step:#}"),
        });
    }
    Ok(step.into())
}
