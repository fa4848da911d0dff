//! What must never be logged or told: every secret that a test uses, noted as it appears.
//!
//! The parts of this crate note what they make and what they are shown, and look for all of it in what the
//! watcher logs, in what its commands complain about, and in the API's refusals. So every test with a watcher is
//! a test of that too.

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How API keys and secrets of webhooks begin.
const PREFIXES: [&str; 4] = ["pw_live_", "pw_test_", "whsec_", "whsk_"];
/// A shorter text is found by chance.
const SHORTEST: usize = 8;
/// Bytes of a key that, printed as a list of numbers, nobody prints by chance.
const LISTED_BYTES: usize = 6;

static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn noted() -> MutexGuard<'static, BTreeSet<String>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a secret, with the forms in which it could be printed. Too short a text is an error: it would be found
/// where it is not.
pub fn note_secret(secret: &str) -> Result<()> {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        bail!("a secret of {} characters is found by chance", secret.len());
    }
    let mut forms = vec![secret.to_owned()];
    // Of a key or a secret of webhooks the rest alone is as bad; an id before it may be told.
    let bare = secret
        .strip_prefix("whsec_")
        .or_else(|| Some(secret.rsplit_once('_')?.1).filter(|_| secret.starts_with("pw_")));
    forms.extend(bare.map(str::to_owned));
    let text = bare.unwrap_or(secret);
    for bytes in [STANDARD.decode(text).ok(), of_hex(text)]
        .into_iter()
        .flatten()
    {
        forms.push(STANDARD.encode(&bytes));
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(digits.concat());
        let listed: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        if LISTED_BYTES <= listed.len() {
            forms.push(listed[..LISTED_BYTES].join(", "));
        }
    }
    noted().extend(forms.into_iter().filter(|form| SHORTEST <= form.len()));
    Ok(())
}

/// Notes every API key and every secret of webhooks in a text.
pub(crate) fn note_all_in(text: &str) {
    let is_of_word = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '+' | '/' | '=')
    };
    for word in text.split(|character| !is_of_word(character)) {
        let is_secret = |prefix: &str| word.starts_with(prefix) && prefix.len() + 30 < word.len();
        if PREFIXES.iter().any(|prefix| is_secret(prefix)) {
            // It is long enough.
            let _ = note_secret(word);
        }
    }
}

/// An error when a noted secret stands in a text, which names the line and not the secret.
pub fn expect_no_secret(place: &str, text: &str) -> Result<()> {
    let noted = noted();
    for secret in noted.iter() {
        if let Some(at) = text.find(secret.as_str()) {
            let line = text[..at].lines().count().max(1);
            let around = text[..at].lines().last().unwrap_or_default();
            let begin: String = secret.chars().take(SHORTEST / 2).collect();
            bail!("{place} tells a secret ({begin}..) in line {line}, after: {around}");
        }
    }
    Ok(())
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .map(|character| character.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a secret could come into a log is found, and what may be there is not.
    #[test]
    fn a_planted_api_secret_is_found() -> Result<()> {
        let key = format!("pw_test_id0123456789_{}", "kS".repeat(24));
        note_all_in(&format!(r#"{{"key":"{key}","note":"pw_test_short"}}"#));
        let hook = format!("whsec_{}", STANDARD.encode([0xab; 32]));
        note_all_in(&format!("secret: {hook}\n"));
        note_secret(&"9e".repeat(32))?;
        note_secret("hunter2-of-the-node")?;
        let leaks = [
            format!("Authorization: Bearer {key}"),
            "kS".repeat(24),
            hook.replace("whsec_", "secret="),
            format!("Secret({:?})", [0xab_u8; 32]),
            format!("master key {}", "9e".repeat(32)),
            STANDARD.encode([0x9e; 32]),
            "GET http://user:hunter2-of-the-node@127.0.0.1".to_owned(),
        ];
        for leak in leaks {
            let text = format!("a line\n{leak}\nanother");
            let error = expect_no_secret("the log", &text).unwrap_err().to_string();
            assert!(
                error.contains("the log") && !error.contains(&leak),
                "{error}"
            );
        }
        expect_no_secret("the log", "key=pw_test_id0123456789 refused, pw_test_short")?;
        assert!(note_secret("short").is_err());
        Ok(())
    }
}
