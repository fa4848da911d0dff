//! A deterministic simulator: it runs the production workers, store and deliverer in worlds that are
//! drawn from seeds, ends their process at any write, and lets an independent auditor look.
//!
//! * [`random`], [`clock`]: what drives everything; nothing else is random, and no real time is read.
//! * [`scenario`]: what a seed stands for, and how a failing one is made smaller.
//! * [`chain`]: the truth about chains (`ledger`, `nature`, `marks`), endpoints that fail and lie (`node`),
//!   and the adapter behind the real port (`source`); [`finality`]: what makes money final on them.
//! * [`payer`], [`order`], [`merchant`]: what people do; [`told`]: what events say to them.
//! * [`process`], [`crash`], [`template`]: the process under test, its end, and its first database.
//! * [`world`]: moves all of it on, one moment after the other.
//! * [`audit`]: what must be so, one function an invariant, in `checks`.
//! * [`campaign`]: many seeds, on several threads, and what is printed about them; [`machine`]: a core for
//!   each of the threads.

pub mod audit;
pub mod campaign;
pub mod chain;
pub mod clock;
pub mod crash;
pub mod finality;
pub mod keys;
pub mod machine;
pub mod merchant;
pub mod order;
pub mod payer;
pub mod process;
pub mod random;
pub mod scenario;
pub mod template;
pub mod told;
pub mod world;
