//! Output descriptors of one key (BIP380 to BIP382): the form in which keys are stored.

use bip32::{ChildNumber, XPub};
use paywatch_chain::KeyError;

use crate::address::ScriptType;
use crate::checksum::checksum;
use crate::key::{PublicNode, ScriptHint, child, looks_extended};

/// Where a key comes from: the fingerprint of its master key and the path from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) fingerprint: [u8; 4],
    pub(crate) path: Vec<ChildNumber>,
}

/// A descriptor that has one address for every index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) script: ScriptType,
    pub(crate) origin: Option<Origin>,
    pub(crate) node: PublicNode,
    /// The steps from the key to the node whose children are handed out.
    pub(crate) steps: Vec<u32>,
}

impl Descriptor {
    /// Reads a descriptor, or a bare extended key as the account key that wallets export: its
    /// addresses are at `/0/*`. A missing checksum is accepted, a wrong one is not.
    pub(crate) fn parse(text: &str, test: bool) -> Result<Self, KeyError> {
        if text.contains('(') {
            return Self::parse_function(text, test);
        }
        let (origin, key) = split_origin(text)?;
        if key.contains('/') && looks_extended(key) {
            return Err(KeyError::Unsupported {
                detail: "a path behind the key needs a descriptor: wpkh(KEY/0/*)".to_owned(),
            });
        }
        let node = PublicNode::parse(key, test)?;
        let script = match node.form.hint {
            ScriptHint::None => ScriptType::P2wpkh,
            ScriptHint::Type(script) => script,
            ScriptHint::Multisig => return Err(multisig(&node)),
        };
        let steps = vec![0];
        Self {
            script,
            origin,
            node,
            steps,
        }
        .check()
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
        let (origin, expression) = split_origin(inner)?;
        let (key, steps) = expression.split_once('/').unwrap_or((expression, ""));
        let node = PublicNode::parse(key, test)?;
        match node.form.hint {
            ScriptHint::Type(hint) if hint != script => {
                return Err(KeyError::Unsupported {
                    detail: format!(
                        "a {} inside of {}; give {} or a plain xpub",
                        node.form.prefix,
                        script.descriptor("..."),
                        hint.descriptor(node.form.prefix)
                    ),
                });
            }
            ScriptHint::Multisig => return Err(multisig(&node)),
            ScriptHint::None | ScriptHint::Type(_) => {}
        }
        let steps = read_steps(steps)?;
        Self {
            script,
            origin,
            node,
            steps,
        }
        .check()
    }

    /// Compares what the origin says with what the key says of its own place.
    fn check(self) -> Result<Self, KeyError> {
        let attrs = self.node.key.attrs();
        if let Some(origin) = &self.origin {
            let last = origin.path.last().copied().unwrap_or_default();
            if usize::from(attrs.depth) != origin.path.len() || attrs.child_number != last {
                return Err(KeyError::Malformed {
                    detail: "the path in the square brackets does not lead to this key (its depth \
                             or last step differs); correct the brackets or leave them away"
                        .to_owned(),
                });
            }
        }
        Ok(self)
    }

    /// The descriptor with its key in plain form and with its checksum. Reads back as the same.
    pub(crate) fn canonical(&self) -> String {
        let mut expression = String::new();
        if let Some(origin) = &self.origin {
            expression.push('[');
            expression.push_str(&hex::encode(origin.fingerprint));
            for step in &origin.path {
                expression.push_str(&step_text(*step));
            }
            expression.push(']');
        }
        expression.push_str(&self.node.standard());
        for step in &self.steps {
            expression.push_str(&step_text(ChildNumber(*step)));
        }
        expression.push_str("/*");
        let body = self.script.descriptor(&expression);
        // Every character above is one that descriptors have.
        let checksum = checksum(&body).unwrap_or_default();
        format!("{body}#{checksum}")
    }

    /// The node whose children are handed out.
    pub(crate) fn parent(&self) -> Result<XPub, KeyError> {
        self.steps
            .iter()
            .try_fold(self.node.key.clone(), |key, step| child(&key, *step))
    }

    /// The fingerprint of the master key where the origin tells it, else of the key itself.
    pub(crate) fn fingerprint(&self) -> [u8; 4] {
        self.origin
            .as_ref()
            .map_or_else(|| self.node.key.fingerprint(), |origin| origin.fingerprint)
    }

    /// The path to the address at `index`.
    ///
    /// From the root where the origin tells it, where the key is a root, and where it is at the
    /// place of an account key: then by the convention of BIP49 and BIP84 for its script type.
    /// Otherwise from the key, which is named by its fingerprint.
    pub(crate) fn path(&self, index: u32, coin_type: u32) -> String {
        let attrs = self.node.key.attrs();
        let mut path = match &self.origin {
            Some(origin) => origin
                .path
                .iter()
                .fold("m".to_owned(), |path, step| path + &step_text(*step)),
            None if attrs.depth == 0 => "m".to_owned(),
            None if attrs.depth == 3 && attrs.child_number.is_hardened() => format!(
                "m/{}h/{coin_type}h{}",
                self.script.purpose(),
                step_text(attrs.child_number)
            ),
            None => hex::encode(self.node.key.fingerprint()),
        };
        for step in self.steps.iter().chain([&index]) {
            path.push_str(&step_text(ChildNumber(*step)));
        }
        path
    }
}

fn step_text(step: ChildNumber) -> String {
    let mark = if step.is_hardened() { "h" } else { "" };
    format!("/{}{mark}", step.index())
}

fn multisig(node: &PublicNode) -> KeyError {
    KeyError::Unsupported {
        detail: format!(
            "a {} is one key of several signers; give the key of a wallet with one signer",
            node.form.prefix
        ),
    }
}

/// The script type of a descriptor and what stands inside of its function.
fn function(body: &str) -> Result<(ScriptType, &str), KeyError> {
    let inside = |start: &str, end: &str| {
        let inner = body.strip_prefix(start)?.strip_suffix(end)?;
        (!inner.contains(['(', ')'])).then_some(inner)
    };
    if let Some(inner) = inside("wpkh(", ")") {
        return Ok((ScriptType::P2wpkh, inner));
    }
    if let Some(inner) = inside("sh(wpkh(", "))") {
        return Ok((ScriptType::P2shP2wpkh, inner));
    }
    let name = body.split('(').next().unwrap_or_default();
    let known = [
        "pk",
        "pkh",
        "combo",
        "multi",
        "sortedmulti",
        "tr",
        "addr",
        "raw",
        "rawtr",
        "wsh",
    ];
    Err(match name {
        "tr" => KeyError::Unsupported {
            detail: "tr() (taproot); give wpkh(KEY/0/*)".to_owned(),
        },
        "sh" | "wsh" if body.contains("multi") => KeyError::Unsupported {
            detail: "several signers (multi, sortedmulti); give wpkh(KEY/0/*)".to_owned(),
        },
        "sh" => KeyError::Unsupported {
            detail: "sh() around anything but wpkh(); give sh(wpkh(KEY/0/*)) or wpkh(KEY/0/*)"
                .to_owned(),
        },
        name if known.contains(&name) => KeyError::Unsupported {
            detail: format!("{name}(); give wpkh(KEY/0/*) or sh(wpkh(KEY/0/*))"),
        },
        _ => KeyError::Malformed {
            detail: "the brackets of the descriptor do not fit; it looks like \
                     wpkh([fingerprint/84h/0h/0h]xpub/0/*)#checksum"
                .to_owned(),
        },
    })
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
    ChildNumber::new(number, hardened).ok()
}

/// The steps between key and index, from what stands behind the key's first slash.
fn read_steps(text: &str) -> Result<Vec<u32>, KeyError> {
    if text.contains(['<', ';']) {
        return Err(KeyError::Unsupported {
            detail: "several paths in one descriptor (<0;1>); give the receiving one alone: \
                     wpkh(KEY/0/*)"
                .to_owned(),
        });
    }
    let mut steps: Vec<&str> = text.split('/').collect();
    if let Some(last) = steps.last()
        && matches!(*last, "*h" | "*H" | "*'")
    {
        return Err(KeyError::Hardened {
            step: "*h".to_owned(),
        });
    }
    if steps.pop() != Some("*") {
        return Err(KeyError::Unsupported {
            detail: "a key without /* has one fixed address; give wpkh(KEY/0/*)".to_owned(),
        });
    }
    steps
        .into_iter()
        .map(|text| {
            let step = read_step(text).ok_or_else(|| KeyError::Malformed {
                detail: "the path behind the key is not like /0/*".to_owned(),
            })?;
            if step.is_hardened() {
                return Err(KeyError::Hardened {
                    step: format!("{}h", step.index()),
                });
            }
            Ok(step.0)
        })
        .collect()
}
