// Signs with the npm package ethers; see src/evm_wallet.rs.
const { readFileSync } = require("node:fs");
const { Wallet } = require("ethers");

const { key, transaction, delegation } = JSON.parse(readFileSync(process.argv[1], "utf8"));
const wallet = new Wallet(key);
const signed = async () => {
  if (transaction) return wallet.signTransaction(transaction);
  const { address, nonce, chainId, signature } = wallet.authorizeSync(delegation);
  return { address, nonce: `${nonce}`, chainId: `${chainId}`, signature: signature.serialized };
};
signed().then((answer) => console.log(JSON.stringify(answer)));
