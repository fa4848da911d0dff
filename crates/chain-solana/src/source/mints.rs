//! Whether the mints of tokens are what the configuration says, and do nothing that it does not allow.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use paywatch_chain::SourceError;
use serde::Deserialize;
use serde_json::json;

use super::SolanaSource;
use super::answers::CONFIRMED;
use crate::assets::Token;
use crate::mint::Mint;

/// `getAccountInfo` (<https://solana.com/docs/rpc/http/getaccountinfo>).
#[derive(Deserialize)]
struct Answer {
    value: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    owner: String,
    /// The data, and how it is written.
    data: (String, String),
}

impl SolanaSource {
    pub(super) async fn check_mints(&self) -> Result<(), SourceError> {
        // In the same order each time.
        let tokens: BTreeMap<_, _> = self.assets.tokens.iter().collect();
        for (mint, token) in tokens {
            let options = json!({"encoding": "base64", "commitment": CONFIRMED});
            let params = [json!(mint), options];
            let answer: Answer = self.ask("getAccountInfo", &params).await?;
            if let Some(detail) = self.fault(mint, token, answer.value)? {
                let chain = self.chain.clone();
                return Err(SourceError::Misconfigured { chain, detail });
            }
        }
        Ok(())
    }

    /// What is wrong with a mint, and what to change.
    fn fault(
        &self,
        address: &str,
        token: &Token,
        account: Option<Account>,
    ) -> Result<Option<String>, SourceError> {
        let name = &token.name;
        let Some(account) = account else {
            return Ok(Some(format!(
                "at the mint {address} of {name} there is nothing on this chain; correct the contract"
            )));
        };
        let data = STANDARD.decode(&account.data.0);
        let data = data.map_err(|error| self.malformed(format!("the mint of {name}: {error}")))?;
        let mint = match Mint::read(&account.owner, &data) {
            Ok(mint) => mint,
            Err(error) => {
                let detail = format!("{address}, the contract of {name}, {error}; correct it");
                return Ok(Some(detail));
            }
        };
        let (configured, found) = (token.decimals, mint.decimals);
        if configured != found {
            return Ok(Some(format!(
                "{name} is configured with {configured} decimals, and its mint {address} says {found}; correct \
                 the decimals or the contract"
            )));
        }
        let refused: Vec<&str> = mint
            .powers
            .difference(&token.allowed)
            .map(|power| power.as_str())
            .collect();
        Ok((!refused.is_empty()).then(|| {
            let refused = refused.join(", ");
            format!(
                "the mint {address} of {name} has {refused}: what was received can be taken back, held up, \
                 hidden or shown as another amount; name it in the asset's `allow` if that is known and wanted"
            )
        }))
    }
}
