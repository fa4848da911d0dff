// Derives addresses with the npm package @stricahq/bip32ed25519; see src/solana_addresses.rs.
const { readFileSync } = require("node:fs");
const { bech32 } = require("bech32");
const { Bip32PublicKey } = require("@stricahq/bip32ed25519");
const { getAddressDecoder } = require("@solana/kit");

const { key, indexes } = JSON.parse(readFileSync(process.argv[1], "utf8"));
const bytes = Buffer.from(bech32.fromWords(bech32.decode(key, 1023).words));
const parent = Bip32PublicKey.fromBytes(bytes).derive(0);
const text = getAddressDecoder();
console.log(JSON.stringify(indexes.map((index) => text.decode(parent.derive(index).toPublicKey().pubKey))));
