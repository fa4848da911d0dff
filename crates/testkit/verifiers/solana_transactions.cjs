// Reads signed transactions with the npm packages of Solana; see src/solana_transactions.rs.
const { readFileSync } = require("node:fs");
const kit = require("@solana/kit");
const system = require("@solana-program/system");
const token = require("@solana-program/token");

// Programs that keep tokens take the same instructions.
const TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";

function step(instruction) {
  const program = instruction.programAddress;
  if (program === system.SYSTEM_PROGRAM_ADDRESS) {
    const { accounts, data } = system.parseTransferSolInstruction(instruction);
    return {
      does: "transfer",
      from: accounts.source.address,
      to: accounts.destination.address,
      amount: String(data.amount),
    };
  }
  if (program === token.ASSOCIATED_TOKEN_PROGRAM_ADDRESS) {
    const { accounts } = token.parseCreateAssociatedTokenIdempotentInstruction(instruction);
    return {
      does: "make",
      account: accounts.ata.address,
      owner: accounts.owner.address,
      mint: accounts.mint.address,
      program: accounts.tokenProgram.address,
    };
  }
  if (program !== token.TOKEN_PROGRAM_ADDRESS && program !== TOKEN_2022) {
    return { does: "unknown", program };
  }
  if (instruction.data[0] === 9) {
    const { accounts } = token.parseCloseAccountInstruction(instruction);
    return { does: "close", account: accounts.account.address, to: accounts.destination.address };
  }
  const { accounts, data } = token.parseTransferCheckedInstruction(instruction);
  return {
    does: "transfer_checked",
    from: accounts.source.address,
    to: accounts.destination.address,
    owner: accounts.authority.address,
    mint: accounts.mint.address,
    amount: String(data.amount),
    decimals: data.decimals,
    program,
  };
}

async function read(text) {
  const transaction = kit.getTransactionDecoder().decode(Buffer.from(text, "base64"));
  const message = kit.getCompiledTransactionMessageDecoder().decode(transaction.messageBytes);
  const signers = Object.entries(transaction.signatures);
  for (const [address, signature] of signers) {
    const key = await kit.getPublicKeyFromAddress(address);
    if (!signature || !(await kit.verifySignature(key, signature, transaction.messageBytes))) {
      throw new Error(`the signature of ${address} is not valid`);
    }
  }
  const whole = kit.decompileTransactionMessage(message);
  return {
    id: kit.getSignatureFromTransaction(transaction),
    payer: whole.feePayer.address,
    blockhash: whole.lifetimeConstraint.blockhash,
    signers: signers.map(([address]) => address),
    steps: whole.instructions.map(step),
  };
}

// The account in which a wallet holds a token.
async function account([owner, tokenProgram, mint]) {
  const [address] = await token.findAssociatedTokenPda({ owner, tokenProgram, mint });
  return address;
}

const { transactions, accounts } = JSON.parse(readFileSync(process.argv[1], "utf8"));
Promise.all([Promise.all(transactions.map(read)), Promise.all(accounts.map(account))]).then(
  ([read, accounts]) => console.log(JSON.stringify({ read, accounts })),
);
