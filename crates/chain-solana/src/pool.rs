//! Files of addresses that a wallet of the merchant made: one address a line, and a last line
//! `# sha256:` with the hash over the lines before it, each with its line feed.

use std::collections::HashMap;

use paywatch_chain::{ADDRESS_POOL, AddressPool, KeyError, WalletKey, private_material};
use paywatch_domain::limits;
use sha2::{Digest, Sha256};

use crate::address::{AddressError, parse_address, parse_bytes};

/// How the last line begins.
const CHECKSUM: &str = "# sha256:";

/// How a pool is written where the canonical form of a key stands. What it names is in a table.
const CANONICAL: &str = "pool:";

/// Whether a canonical form is a pool's.
pub(crate) fn is_pool(canonical: &str) -> bool {
    canonical.starts_with(CANONICAL)
}

/// Reads a whole file. Nothing of it is used when anything in it is wrong.
///
/// # Errors
/// [`KeyError::Private`] before anything else, so that no other error speaks of a private key; then what
/// is missing or changed; then the first line that cannot stand.
pub(crate) fn read(text: &str) -> Result<AddressPool, KeyError> {
    let (addresses, checksum) = split(text);
    refuse_private(&addresses)?;
    let expected = checksum.ok_or_else(|| KeyError::PoolTruncated {
        detail: format!(
            "its last line must be `{CHECKSUM}` and the hash over the lines before it; make it again, or \
             send all of it"
        ),
    })?;
    let hash = hash(&addresses);
    if !expected.trim().eq_ignore_ascii_case(&hash) {
        return Err(KeyError::Checksum {
            detail: "in the file of addresses: lines of it are missing or changed".to_owned(),
        });
    }
    check_count(addresses.len())?;
    check_lines(&addresses)?;
    let fingerprint = hash.get(..8).unwrap_or_default().to_owned();
    Ok(AddressPool {
        key: WalletKey {
            kind: ADDRESS_POOL,
            canonical: format!("{CANONICAL}{hash}"),
            node: hash,
            fingerprint,
        },
        addresses: addresses.into_iter().map(str::to_owned).collect(),
    })
}

/// The lines before the last one, and what the last one says.
fn split(text: &str) -> (Vec<&str>, Option<&str>) {
    let mut lines: Vec<&str> = text.trim_end().lines().collect();
    let checksum = lines.last().and_then(|last| last.strip_prefix(CHECKSUM));
    if checksum.is_some() {
        lines.pop();
    }
    (lines, checksum)
}

/// The hash over lines, as `sha256sum` computes it over a file with a line feed behind each.
fn hash(lines: &[&str]) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    let hash: [u8; 32] = hash.finalize().into();
    hex::encode(hash)
}

/// Looks at everything that is not 32 bytes of base58; those are public, or nobody can tell.
fn refuse_private(lines: &[&str]) -> Result<(), KeyError> {
    let others = lines.iter().filter(|line| parse_bytes(line).is_err());
    let others: Vec<&str> = others.copied().collect();
    match private_material(&others.join("\n")) {
        Some(what) => Err(KeyError::Private { what }),
        None => Ok(()),
    }
}

fn check_count(count: usize) -> Result<(), KeyError> {
    match count {
        0 => Err(KeyError::PoolTruncated {
            detail: "it holds no address".to_owned(),
        }),
        count if limits::POOL_ADDRESSES_MAX < count => Err(KeyError::Unsupported {
            detail: format!(
                "{count} addresses in one file; at most {} are possible, and more can be added later",
                limits::POOL_ADDRESSES_MAX
            ),
        }),
        _ => Ok(()),
    }
}

fn check_lines(lines: &[&str]) -> Result<(), KeyError> {
    let mut known: HashMap<&str, usize> = HashMap::with_capacity(lines.len());
    for (number, line) in (1..).zip(lines) {
        let (code, detail) = match parse_address(line) {
            Ok(_) => match known.insert(line, number) {
                None => continue,
                Some(earlier) => (
                    "address_duplicate",
                    format!("{line} stands in line {earlier} already"),
                ),
            },
            Err(error @ AddressError::OffCurve) => ("address_off_curve", error.to_string()),
            Err(error @ AddressError::Malformed) => ("address_malformed", error.to_string()),
        };
        return Err(KeyError::PoolLine {
            line: number,
            code,
            detail,
        });
    }
    Ok(())
}
