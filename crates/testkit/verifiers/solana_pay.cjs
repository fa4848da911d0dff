// Reads payment URIs with the npm package @solana/pay; see src/solana_pay.rs.
const { readFileSync } = require("node:fs");
const { parseURL } = require("@solana/pay");

const { uris } = JSON.parse(readFileSync(process.argv[1], "utf8"));
console.log(JSON.stringify(uris.map((uri) => parseURL(uri))));
