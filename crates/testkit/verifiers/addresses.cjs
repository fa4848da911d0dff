// Derives addresses with the npm packages bitcoinjs-lib and bip32; see src/addresses.rs.
const { readFileSync } = require("node:fs");
const { BIP32Factory } = require("bip32");
const bitcoin = require("bitcoinjs-lib");
const curve = require("@bitcoinerlab/secp256k1");

bitcoin.initEccLib(curve);
const bip32 = BIP32Factory(curve);

const payments = {
  pkh: (keys, network) => bitcoin.payments.p2pkh({ pubkey: keys[0], network }),
  wpkh: (keys, network) => bitcoin.payments.p2wpkh({ pubkey: keys[0], network }),
  "sh(wpkh)": (keys, network) =>
    bitcoin.payments.p2sh({ redeem: payments.wpkh(keys, network), network }),
  tr: (keys, network) =>
    bitcoin.payments.p2tr({ internalPubkey: keys[0].slice(1), network }),
  "wsh(sortedmulti)": (keys, network, m) => {
    const pubkeys = keys.map((key) => Buffer.from(key)).sort(Buffer.compare);
    const redeem = bitcoin.payments.p2ms({ m, pubkeys, network });
    return bitcoin.payments.p2wsh({ redeem, network });
  },
};

const questions = JSON.parse(readFileSync(process.argv[1], "utf8"));
const answers = questions.map((question) => {
  const network = bitcoin.networks[question.network];
  const parents = question.keys.map((key) => bip32.fromBase58(key, network).derive(0));
  return question.indexes.map((index) => {
    const keys = parents.map((parent) => parent.derive(index).publicKey);
    return payments[question.form](keys, network, question.threshold).address;
  });
});
console.log(JSON.stringify(answers));
