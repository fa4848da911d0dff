// Derives addresses with the npm package ethers; see src/evm_addresses.rs.
const { readFileSync } = require("node:fs");
const { HDNodeWallet } = require("ethers");

const { key, indexes } = JSON.parse(readFileSync(process.argv[1], "utf8"));
const parent = HDNodeWallet.fromExtendedKey(key);
console.log(JSON.stringify(indexes.map((index) => parent.deriveChild(index).address)));
