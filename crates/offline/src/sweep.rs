//! From a plan to signed transactions, one for each address.

use anyhow::{Context as _, Result, bail};

use crate::address;
use crate::extended::Account;
use crate::message::{
    ASSOCIATED_TOKEN_PROGRAM, Instruction, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM,
    Touched, sign as sign_message,
};
use crate::plan::{Holding, Place, Plan, Token, TokenProgram, Way};
use crate::signer::Signer;
use crate::standard;
use crate::words::Words;

/// A signed transaction, and what it does in words.
#[derive(Debug)]
pub(crate) struct Swept {
    pub(crate) summary: String,
    pub(crate) base64: String,
}

/// Signs everything in a plan, or nothing.
pub(crate) fn sign(words: &Words, plan: &Plan) -> Result<Vec<Swept>> {
    let keys = Keys {
        words,
        way: plan.way,
    };
    let sweep = Sweep {
        plan,
        blockhash: address::parse("blockhash", &plan.blockhash)?,
        destination: address::parse_wallet("destination", &plan.destination)?,
        payer: plan.fee_payer.map(|place| keys.signer(place)).transpose()?,
    };
    if plan.from.is_empty() {
        bail!("the plan names no address to sweep");
    }
    let mut swept = Vec::with_capacity(plan.from.len());
    for holding in &plan.from {
        let named = || format!("address {} at index {}", holding.address, holding.index);
        if plan.fee_payer == Some(holding.place()) {
            bail!(
                "{} pays the fees, so what is left there is not known; sweep it alone",
                named()
            );
        }
        let signer = keys.signer(holding.place()).with_context(named)?;
        swept.push(sweep.one(holding, &signer).with_context(named)?);
    }
    Ok(swept)
}

/// The keys of a root in one way.
struct Keys<'a> {
    words: &'a Words,
    way: Way,
}

impl Keys<'_> {
    fn signer(&self, place: Place) -> Result<Signer> {
        match self.way {
            Way::Xpub => Account::of(self.words, place.account)?.signer(place.index),
            Way::Pool if place.account != 0 => bail!("the addresses of a pool have no account"),
            Way::Pool => standard::Wallet::of(self.words)?.signer(place.index),
        }
    }
}

struct Sweep<'a> {
    plan: &'a Plan,
    blockhash: [u8; 32],
    destination: [u8; 32],
    payer: Option<Signer>,
}

impl Sweep<'_> {
    fn one(&self, holding: &Holding, signer: &Signer) -> Result<Swept> {
        let from = signer.public();
        if address::text(&from) != holding.address {
            bail!(
                "these words have {} there; other words or another way made it",
                address::text(&from)
            );
        }
        if from == self.destination {
            bail!("it is the destination itself");
        }
        let mut instructions = Vec::new();
        let mut parts = Vec::new();
        for token in &holding.tokens {
            let amount = self.token(token, from, &mut instructions)?;
            parts.push(format!("{amount} of {}", token.mint));
        }
        let lamports = self.lamports(holding)?;
        if 0 < lamports {
            instructions.push(transfer(from, self.destination, lamports)?);
            parts.push(format!("{lamports} lamports"));
        }
        if instructions.is_empty() {
            bail!("nothing stands there that could be sent");
        }
        let signers: Vec<&Signer> = self.payer.iter().chain([signer]).collect();
        let signed = sign_message(&signers, &instructions, &self.blockhash)?;
        let (address, parts, id) = (&holding.address, parts.join(", "), signed.id);
        Ok(Swept {
            summary: format!(
                "{address}: {parts} to {}, transaction {id}",
                self.plan.destination
            ),
            base64: signed.base64,
        })
    }

    /// What is left to send once the fee is paid. An address must be left with nothing or with the rent of
    /// an account, so everything goes.
    fn lamports(&self, holding: &Holding) -> Result<u64> {
        if self.payer.is_some() {
            return Ok(holding.lamports);
        }
        let fee = self.plan.lamports_per_signature;
        holding.lamports.checked_sub(fee).with_context(|| {
            format!(
                "{} lamports are less than the fee of {fee}; name a fee_payer",
                holding.lamports
            )
        })
    }

    /// Sends all of a token; answers the amount.
    fn token(
        &self,
        token: &Token,
        from: [u8; 32],
        instructions: &mut Vec<Instruction>,
    ) -> Result<u64> {
        let amount: u64 = token
            .amount
            .parse()
            .ok()
            .with_context(|| format!("{} is no count of smallest units", token.amount))?;
        let mint = address::parse("mint", &token.mint)?;
        let program = address::parse(
            "the program",
            match token.program {
                TokenProgram::Token => TOKEN_PROGRAM,
                TokenProgram::Token2022 => TOKEN_2022_PROGRAM,
            },
        )?;
        let source = match &token.account {
            Some(account) => address::parse("account", account)?,
            None => address::token_account(&from, &program, &mint)?,
        };
        let target = address::token_account(&self.destination, &program, &mint)?;
        if let Some(payer) = &self.payer {
            let owner = self.destination;
            let made = make_account(payer.public(), target, owner, mint, program)?;
            instructions.push(made);
        }
        // TransferChecked: the network compares mint and decimals.
        let mut data = vec![12];
        data.extend(amount.to_le_bytes());
        data.push(token.decimals);
        let owner = Touched::read(from).signing();
        instructions.push(Instruction {
            program,
            accounts: vec![
                Touched::changed(source),
                Touched::read(mint),
                Touched::changed(target),
                owner,
            ],
            data,
        });
        if self.plan.close_emptied {
            // CloseAccount.
            instructions.push(Instruction {
                program,
                accounts: vec![
                    Touched::changed(source),
                    Touched::changed(self.destination),
                    owner,
                ],
                data: vec![9],
            });
        }
        Ok(amount)
    }
}

/// Transfer of the system program.
fn transfer(from: [u8; 32], to: [u8; 32], lamports: u64) -> Result<Instruction> {
    let mut data = 2_u32.to_le_bytes().to_vec();
    data.extend(lamports.to_le_bytes());
    Ok(Instruction {
        program: address::parse("the program", SYSTEM_PROGRAM)?,
        accounts: vec![Touched::changed(from).signing(), Touched::changed(to)],
        data,
    })
}

/// `CreateIdempotent`: makes the account in which a wallet holds a token, unless it exists.
fn make_account(
    payer: [u8; 32],
    account: [u8; 32],
    owner: [u8; 32],
    mint: [u8; 32],
    token_program: [u8; 32],
) -> Result<Instruction> {
    Ok(Instruction {
        program: address::parse("the program", ASSOCIATED_TOKEN_PROGRAM)?,
        accounts: vec![
            Touched::changed(payer).signing(),
            Touched::changed(account),
            Touched::read(owner),
            Touched::read(mint),
            Touched::read(address::parse("the program", SYSTEM_PROGRAM)?),
            Touched::read(token_program),
        ],
        data: vec![1],
    })
}
