// Compiles contracts with the npm package solc; see src/anvil_contracts.rs.
const { readFileSync } = require("node:fs");
const solc = require("solc");

const sources = JSON.parse(readFileSync(process.argv[1], "utf8"));
const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true },
    outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.methodIdentifiers"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const faults = (output.errors ?? []).filter((error) => error.severity === "error");
if (faults.length > 0) {
  throw new Error(faults.map((fault) => fault.formattedMessage).join("\n"));
}
const contracts = Object.values(output.contracts).flatMap(Object.entries);
const compiled = contracts.map(([name, { evm }]) => [
  name,
  { code: evm.bytecode.object, methods: evm.methodIdentifiers },
]);
console.log(JSON.stringify(Object.fromEntries(compiled)));
