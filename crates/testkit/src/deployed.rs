//! Contracts of tests that stand on a chain.

use crate::{Anvil, Argument, Contract};
use anyhow::{Context, Result};
use serde_json::json;

/// A contract on the chain of a node.
#[derive(Clone, Debug)]
pub struct Deployed {
    contract: Contract,
    /// Its account.
    pub address: String,
}

impl Deployed {
    /// Puts the contract of this name onto a chain, with some coin.
    pub async fn new(node: &Anvil, name: &str, wei: u128) -> Result<Self> {
        Self::with(node, name, &[], wei).await
    }

    /// The same for a contract that is given something.
    pub async fn with(node: &Anvil, name: &str, arguments: &[Argument], wei: u128) -> Result<Self> {
        let contract = Contract::named(name).await?;
        let address = node.deploy(&contract, arguments, wei).await?;
        Ok(Self { contract, address })
    }

    /// What stands at an account that behaves like the contract of this name, such as its proxy.
    pub async fn at(name: &str, address: &str) -> Result<Self> {
        let contract = Contract::named(name).await?;
        let address = address.to_owned();
        Ok(Self { contract, address })
    }

    /// The data of a call.
    pub fn data(&self, method: &str, arguments: &[Argument]) -> Result<String> {
        self.contract.call(method, arguments)
    }

    /// Sends a call with wei; gives the hash of the transaction.
    pub async fn call(
        &self,
        node: &Anvil,
        method: &str,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<String> {
        let place = (&self.contract, self.address.as_str());
        node.call(place, method, arguments, wei).await
    }

    /// Sends a call of another account than the first one.
    pub async fn call_from(
        &self,
        node: &Anvil,
        from: &str,
        method: &str,
        arguments: &[Argument],
    ) -> Result<String> {
        let data = self.data(method, arguments)?;
        node.send(json!({"from": from, "to": self.address, "data": data}))
            .await
    }

    /// Lets a token pay: `transfer(address,uint256)`.
    pub async fn transfer(&self, node: &Anvil, to: &str, value: u128) -> Result<String> {
        let arguments = [Argument::Account(to.to_owned()), Argument::Number(value)];
        self.call(node, "transfer", &arguments, 0).await
    }

    /// Asks a method that returns an account.
    pub async fn account(
        &self,
        node: &Anvil,
        method: &str,
        arguments: &[Argument],
    ) -> Result<String> {
        let data = self.data(method, arguments)?;
        let asked = json!([{"to": self.address, "data": data}, "latest"]);
        let answer = node.rpc("eth_call", asked).await?;
        let word = answer.as_str().unwrap_or_default();
        let digits = word.len().checked_sub(40).and_then(|from| word.get(from..));
        let digits = digits.with_context(|| format!("{method} returned {answer}"))?;
        Ok(format!("0x{digits}"))
    }
}
