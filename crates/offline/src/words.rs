//! The root of everything, as words that people can write down
//! (BIP39, <https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki>).

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use bip39::{Language, Mnemonic};

/// English words with their checksum.
pub(crate) struct Words(Mnemonic);

impl Words {
    /// New ones from the system's randomness.
    pub(crate) fn draw(count: usize) -> Result<Self> {
        if !matches!(count, 12 | 15 | 18 | 21 | 24) {
            bail!("{count} words are not possible: 12, 15, 18, 21 or 24");
        }
        // Three words hold four bytes and their share of the checksum.
        let mut entropy = vec![0; count / 3 * 4];
        getrandom::fill(&mut entropy)
            .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
        Ok(Self(Mnemonic::from_entropy(&entropy)?))
    }

    /// Those of a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} holds no words of a root", path.display()))
    }

    /// Reads words; an error says what is wrong and never repeats one.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = Mnemonic::parse_in(Language::English, text.to_lowercase());
        let words = words.map_err(|error| match error {
            bip39::Error::BadWordCount(count) => {
                anyhow!("there are {count} words; 12, 15, 18, 21 or 24 are possible")
            }
            bip39::Error::UnknownWord(place) => {
                anyhow!(
                    "word {} is not in the English list",
                    place.saturating_add(1)
                )
            }
            bip39::Error::InvalidChecksum => {
                anyhow!("the checksum does not fit: a word is wrong or at another place")
            }
            _ => anyhow!("they cannot be read"),
        })?;
        Ok(Self(words))
    }

    /// The words in one line.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    /// What they stand for.
    pub(crate) fn entropy(&self) -> Vec<u8> {
        self.0.to_entropy()
    }

    /// What common wallets make of them.
    pub(crate) fn seed(&self) -> [u8; 64] {
        self.0.to_seed("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solana_words_are_drawn_and_read_again() {
        for count in [12, 15, 18, 21, 24] {
            let words = Words::draw(count).unwrap().text();
            assert_eq!(words.split(' ').count(), count);
            assert_eq!(Words::parse(&format!(" {words}\n")).unwrap().text(), words);
        }
        assert_ne!(
            Words::draw(24).unwrap().text(),
            Words::draw(24).unwrap().text()
        );
        assert!(Words::draw(13).is_err());
    }

    #[test]
    fn wrong_solana_words_are_named_by_their_place() {
        let good = "test walk nut penalty hip pave soap entry language right filter choice";
        let cases = [
            (good.replace("nut", "nuts"), "word 3 "),
            (good.replace(" choice", ""), "11 words"),
            (good.replace("test walk", "walk test"), "checksum"),
            (String::new(), "0 words"),
        ];
        for (text, expected) in cases {
            let error = Words::parse(&text).err().unwrap().to_string();
            assert!(
                error.contains(expected) && !error.contains("nuts"),
                "{error}"
            );
        }
    }
}
