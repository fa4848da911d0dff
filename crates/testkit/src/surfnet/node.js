// A Solana node (surfpool) with somebody who pays, for tests and the demo. Slots pass when something is sent, one
// for each transaction. The first argument is the file that this program writes its addresses to once it is ready;
// it then carries out one action for each POST to its own address: {"action": "..", ..} to {"result": ..} or {"error": ".."}.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const web3 = require("@solana/web3.js");
const token = require("@solana/spl-token");
const { Surfnet } = require(process.env.PAYWATCH_SURFPOOL);

// Slots pass by time too unless their length is given.
const surfnet = Surfnet.startWithConfig({ offline: true, blockProductionMode: "transaction", slotTimeMs: 400 });
const connection = new web3.Connection(surfnet.rpcUrl, { commitment: "confirmed", wsEndpoint: surfnet.wsUrl });
const payer = web3.Keypair.fromSecretKey(Uint8Array.from(surfnet.payerSecretKey));
// A program that says yes to everything.
const HOOK = web3.ComputeBudgetProgram.programId;
const programs = { token: token.TOKEN_PROGRAM_ID, token_2022: token.TOKEN_2022_PROGRAM_ID };
// Everybody whose key was made here, by address.
const people = new Map([[payer.publicKey.toBase58(), payer]]);

const account = (address) => new web3.PublicKey(address);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function person() {
  const key = web3.Keypair.generate();
  people.set(key.publicKey.toBase58(), key);
  return key;
}

// Sends instructions in one transaction; waits until it is in a block, well or badly.
async function send(instructions, signers = [], tables = []) {
  const { blockhash } = await connection.getLatestBlockhash();
  const message = new web3.TransactionMessage({ payerKey: payer.publicKey, recentBlockhash: blockhash, instructions });
  const compiled = tables.length ? message.compileToV0Message(tables) : message.compileToLegacyMessage();
  const transaction = new web3.VersionedTransaction(compiled);
  transaction.sign([payer, ...signers]);
  return sendRaw(transaction.serialize());
}

async function sendRaw(bytes) {
  const signature = await connection.sendRawTransaction(bytes, { skipPreflight: true });
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const status = (await connection.getSignatureStatuses([signature])).value[0];
    if (status) return { signature, slot: status.slot, error: status.err };
    await sleep(20);
  }
  throw new Error(`${signature} is in no block`);
}

// Sends what must succeed.
async function done(...what) {
  const sent = await send(...what);
  if (sent.error) throw new Error(JSON.stringify(sent.error));
  return sent;
}

async function programOf(mint) {
  return (await connection.getAccountInfo(account(mint))).owner;
}

// The associated account of an owner, and what makes it where it is missing.
async function associated(mint, owner) {
  const program = await programOf(mint);
  const address = token.getAssociatedTokenAddressSync(account(mint), account(owner), true, program);
  const make = token.createAssociatedTokenAccountIdempotentInstruction(
    payer.publicKey, address, account(owner), account(mint), program);
  return { address, make, program };
}

// An account that belongs to a token program and to nobody's wallet.
async function loose(mint, owner) {
  const program = await programOf(mint);
  const key = person();
  const info = await token.getMint(connection, account(mint), "confirmed", program);
  const space = token.getAccountLenForMint(info);
  const lamports = await connection.getMinimumBalanceForRentExemption(space);
  const make = [
    web3.SystemProgram.createAccount({
      fromPubkey: payer.publicKey, newAccountPubkey: key.publicKey, space, lamports, programId: program }),
    token.createInitializeAccount3Instruction(key.publicKey, account(mint), account(owner), program),
  ];
  return { key, make, program, lamports };
}

// What the mint of a token with extensions may do, by the name in the watcher's configuration where it has one.
const extensions = {
  permanent_delegate: {
    type: token.ExtensionType.PermanentDelegate,
    make: (mint, me, program) => token.createInitializePermanentDelegateInstruction(mint, me, program),
  },
  transfer_hook: {
    type: token.ExtensionType.TransferHook,
    make: (mint, me, program) => token.createInitializeTransferHookInstruction(mint, me, HOOK, program),
  },
  // The authority that may allow amounts that nobody sees; no library makes this instruction
  // (https://docs.rs/spl-token-2022-interface, `ConfidentialTransferInstruction::InitializeMint`).
  confidential_transfer: {
    type: token.ExtensionType.ConfidentialTransferMint,
    make: (mint, me, programId) => new web3.TransactionInstruction({
      programId,
      keys: [{ pubkey: mint, isSigner: false, isWritable: true }],
      data: Buffer.concat([Buffer.from([27, 0]), me.toBuffer(), Buffer.from([1]), Buffer.alloc(32)]),
    }),
  },
  pausable: {
    type: token.ExtensionType.PausableConfig,
    make: (mint, me, program) => token.createInitializePausableConfigInstruction(mint, me, program),
  },
  non_transferable: {
    type: token.ExtensionType.NonTransferable,
    make: (mint, me, program) => token.createInitializeNonTransferableMintInstruction(mint, program),
  },
  frozen_accounts: {
    type: token.ExtensionType.DefaultAccountState,
    make: (mint, me, program) => token.createInitializeDefaultAccountStateInstruction(mint, token.AccountState.Frozen, program),
  },
  // Wallets show five times what there is.
  scaled_amounts: {
    type: token.ExtensionType.ScaledUiAmountConfig,
    make: (mint, me, program) => token.createInitializeScaledUiAmountConfigInstruction(mint, me, 5, program),
  },
  // Wallets show more each year.
  interest: {
    type: token.ExtensionType.InterestBearingConfig,
    make: (mint, me, program) => token.createInitializeInterestBearingMintInstruction(mint, me, 32_000, program),
  },
  // The authority that may close the mint: nothing to those who hold the token.
  close_authority: {
    type: token.ExtensionType.MintCloseAuthority,
    make: (mint, me, program) => token.createInitializeMintCloseAuthorityInstruction(mint, me, program),
  },
};

const native = (from, to, lamports) =>
  web3.SystemProgram.transfer({ fromPubkey: account(from), toPubkey: account(to), lamports: BigInt(lamports) });

// Moves tokens of the payer, or of somebody else, to an owner.
async function moved({ mint, to, amount, from = payer.publicKey.toBase58(), plain = false }) {
  const [source, target] = [await associated(mint, from), await associated(mint, to)];
  const info = await token.getMint(connection, account(mint), "confirmed", source.program);
  const key = people.get(from).publicKey;
  const move = plain
    ? token.createTransferInstruction(source.address, target.address, key, BigInt(amount), [], source.program)
    : token.createTransferCheckedInstruction(
        source.address, account(mint), target.address, key, BigInt(amount), info.decimals, [], source.program);
  if (token.getTransferHook(info)) move.keys.push({ pubkey: HOOK, isSigner: false, isWritable: false });
  return { source, target, move };
}

const actions = {
  // Somebody new; their address.
  person: async () => person().publicKey.toBase58(),

  // Slots in which nothing happens to anybody but the payer.
  pass: async ({ slots }) => {
    for (let slot = 0; slot < slots; slot += 1) await done([native(payer.publicKey, payer.publicKey, slot)]);
    return connection.getSlot("confirmed");
  },

  // Lamports, with references of Solana Pay.
  pay: async ({ to, lamports, references = [] }) => {
    const transfer = native(payer.publicKey, to, lamports);
    for (const reference of references) {
      transfer.keys.push({ pubkey: account(reference), isSigner: false, isWritable: false });
    }
    return send([transfer]);
  },

  // Lamports, or tokens where a mint is named, for several people in one transaction.
  pay_many: async ({ payments }) => {
    const steps = [];
    for (const { to, lamports, mint, amount } of payments) {
      if (mint === undefined) {
        steps.push(native(payer.publicKey, to, lamports));
      } else {
        const { target, move } = await moved({ mint, to, amount });
        steps.push(target.make, move);
      }
    }
    return done(steps);
  },

  // A mint of the payer's, with extensions by the names of `extensions`; its address.
  mint: async ({ decimals, program = "token", fee_bps: fee, extensions: names = [], supply = "1000000000000" }) => {
    const [key, programId] = [person(), programs[program]];
    const [mint, me] = [key.publicKey, payer.publicKey];
    const chosen = names.map((name) => extensions[name]);
    const types = chosen.map(({ type }) => type);
    const prepare = chosen.map(({ make }) => make(mint, me, programId));
    if (fee !== undefined) {
      types.push(token.ExtensionType.TransferFeeConfig);
      prepare.push(token.createInitializeTransferFeeConfigInstruction(mint, me, me, fee, 2n ** 62n, programId));
    }
    const space = token.getMintLen(types);
    const lamports = await connection.getMinimumBalanceForRentExemption(space);
    await done([
      web3.SystemProgram.createAccount({ fromPubkey: me, newAccountPubkey: mint, space, lamports, programId }),
      ...prepare,
      token.createInitializeMint2Instruction(mint, decimals, me, names.includes("frozen_accounts") ? me : null, programId),
    ], [key]);
    if (names.includes("frozen_accounts")) await actions.thaw({ mint, to: me });
    await actions.issue({ mint, to: me, amount: supply });
    return mint.toBase58();
  },

  // Allows an owner's frozen account to be used; makes it where it is missing.
  thaw: async ({ mint, to }) => {
    const { address, make, program } = await associated(mint, to);
    return done([make, token.createThawAccountInstruction(address, account(mint), payer.publicKey, [], program)]);
  },

  // Forbids it again.
  freeze: async ({ mint, to }) => {
    const { address, program } = await associated(mint, to);
    return done([token.createFreezeAccountInstruction(address, account(mint), payer.publicKey, [], program)]);
  },

  // New tokens for an owner.
  issue: async ({ mint, to, amount }) => {
    const { address, make, program } = await associated(mint, to);
    const issue = token.createMintToInstruction(account(mint), address, payer.publicKey, BigInt(amount), [], program);
    return done([make, issue]);
  },

  // Tokens of the payer's; the owner's account is made where it is missing.
  send_tokens: async ({ references = [], ...what }) => {
    const { target, move } = await moved(what);
    for (const reference of references) {
      move.keys.push({ pubkey: account(reference), isSigner: false, isWritable: false });
    }
    return done([target.make, move]);
  },

  // The instruction that names no mint, to an account that is there.
  send_tokens_plainly: async (what) => done([(await moved({ ...what, plain: true })).move]),

  // Several transfers in one transaction.
  send_tokens_twice: async (what) => {
    const { target, move } = await moved(what);
    return done([target.make, move, move]);
  },

  // The instruction that holds others (https://github.com/solana-program/token, p-token): two plain transfers.
  batch: async (what) => {
    const { source, target } = await moved(what);
    const one = Buffer.alloc(9, 3);
    one.writeBigUInt64LE(BigInt(what.amount), 1);
    const data = Buffer.concat([Buffer.from([255, 3, one.length]), one, Buffer.from([3, one.length]), one]);
    const keys = [
      { pubkey: source.address, isSigner: false, isWritable: true },
      { pubkey: target.address, isSigner: false, isWritable: true },
      { pubkey: payer.publicKey, isSigner: true, isWritable: false },
    ];
    const batch = new web3.TransactionInstruction({ programId: target.program, keys: [...keys, ...keys], data });
    return done([target.make, batch]);
  },

  // Tokens in an account that belongs to an account of another token come back to the wallet: programs call each other,
  // and no instruction of the transaction transfers anything.
  recover: async ({ mint, other, to, amount }) => {
    const outer = await associated(other, to);
    const { target: nested, move } = await moved({ mint, to: outer.address, amount });
    const target = await associated(mint, to);
    await done([outer.make, nested.make, target.make, move]);
    return done([token.createRecoverNestedInstruction(
      nested.address, account(mint), target.address, outer.address, account(other), account(to), target.program,
    )], [people.get(to)]);
  },

  // A payment and its refund in one transaction.
  send_and_take_back: async ({ mint, to, amount }) => {
    const there = await moved({ mint, to, amount });
    const back = await moved({ mint, from: to, to: payer.publicKey, amount });
    return done([there.target.make, there.move, back.move], [people.get(to)]);
  },

  // The permanent delegate takes tokens without the owner.
  claw_back: async ({ mint, from, amount }) => {
    const { address, program } = await associated(mint, from);
    const target = await associated(mint, payer.publicKey);
    const { decimals } = await token.getMint(connection, account(mint), "confirmed", program);
    return done([token.createTransferCheckedInstruction(
      address, account(mint), target.address, payer.publicKey, BigInt(amount), decimals, [], program)]);
  },

  // An account that is not the associated one.
  issue_elsewhere: async ({ mint, to, amount }) => {
    const { key, make, program } = await loose(mint, to);
    const issue = token.createMintToInstruction(account(mint), key.publicKey, payer.publicKey, BigInt(amount), [], program);
    return done([...make, issue], [key]);
  },

  // An account with tokens in it gets another owner: nothing is transferred.
  hand_over: async ({ mint, to, amount }) => {
    const { key, make, program } = await loose(mint, payer.publicKey);
    const issue = token.createMintToInstruction(account(mint), key.publicKey, payer.publicKey, BigInt(amount), [], program);
    await done([...make, issue], [key]);
    return done([token.createSetAuthorityInstruction(
      key.publicKey, payer.publicKey, token.AuthorityType.AccountOwner, account(to), [], program)]);
  },

  // An empty account is closed, and its rent goes to somebody; with the lamports.
  close: async ({ mint, to }) => {
    const { key, make, program, lamports } = await loose(mint, payer.publicKey);
    await done(make, [key]);
    const closed = await done([
      token.createCloseAccountInstruction(key.publicKey, account(to), payer.publicKey, [], program)]);
    return { ...closed, lamports };
  },

  // Lamports as a token.
  wrap: async ({ to, lamports }) => {
    const { address, make } = await associated(token.NATIVE_MINT, to);
    const fill = native(payer.publicKey, address, lamports);
    return done([make, fill, token.createSyncNativeInstruction(address)]);
  },

  // Lamports to an account that only a lookup table names.
  pay_by_table: async ({ to, lamports }) => {
    const [make, table] = web3.AddressLookupTableProgram.createLookupTable({
      authority: payer.publicKey, payer: payer.publicKey, recentSlot: await connection.getSlot("confirmed") });
    const extend = web3.AddressLookupTableProgram.extendLookupTable({
      payer: payer.publicKey, authority: payer.publicKey, lookupTable: table, addresses: [account(to)] });
    await done([make, extend]);
    await actions.pass({ slots: 2 });
    const { value } = await connection.getAddressLookupTable(table);
    return done([native(payer.publicKey, to, lamports)], [], [value]);
  },

  // Pays, and then more than there is: all of it fails.
  fail: async ({ to, lamports }) =>
    send([native(payer.publicKey, to, lamports), native(payer.publicKey, to, 2n ** 62n)]),

  // Something that was signed elsewhere, in base64.
  submit: async ({ transaction }) => sendRaw(Buffer.from(transaction, "base64")),
};

async function answer(request) {
  let body = "";
  for await (const part of request) body += part;
  const { action, ...work } = JSON.parse(body);
  if (!Object.hasOwn(actions, action)) throw new Error(`there is no action ${action}`);
  return actions[action](work);
}

const server = http.createServer(async (request, response) => {
  let reply;
  try {
    reply = { result: await answer(request) };
  } catch (error) {
    reply = { error: `${error?.message ?? error} ${error?.logs ?? ""}` };
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(reply));
});

server.listen(0, "127.0.0.1", async () => {
  // The first slot has a block once there is a second one.
  await actions.pass({ slots: 2 });
  const ready = {
    rpc: surfnet.rpcUrl, websocket: surfnet.wsUrl,
    actions: `http://127.0.0.1:${server.address().port}`, payer: payer.publicKey.toBase58(),
  };
  const file = process.argv[2];
  fs.writeFileSync(`${file}.new`, JSON.stringify(ready));
  fs.renameSync(`${file}.new`, file);
});
