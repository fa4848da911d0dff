//! How a node knows us.

use std::fmt;
use std::path::PathBuf;

/// How a node knows us. Never shown.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// `rpcuser` and `rpcpassword`, or a line of `rpcauth`.
    User {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// The file `.cookie` that bitcoind writes anew at each start.
    CookieFile(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User { .. } => "User(***)",
            Self::CookieFile(_) => "CookieFile(***)",
        })
    }
}
