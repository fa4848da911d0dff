//! How the endpoints of a chain are. What is shown is what is stored: nothing is derived from it.

use serde::{Deserialize, Serialize};

use super::{StoredError, VERSION, read};
use crate::chain::ChainEndpoint;
use crate::json_text;

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    endpoints: &'a [ChainEndpoint],
}

#[derive(Deserialize)]
struct Stored {
    endpoints: Vec<ChainEndpoint>,
}

/// The endpoints of a chain, for the database.
pub fn endpoints_to_json(endpoints: &[ChainEndpoint]) -> String {
    json_text(&Written {
        v: VERSION,
        endpoints,
    })
}

/// The endpoints of a chain, from the database.
///
/// # Errors
///
/// When the text is not such a form, or another release's.
pub fn endpoints_from_json(text: &str) -> Result<Vec<ChainEndpoint>, StoredError> {
    let Stored { endpoints } = read("endpoints", text)?;
    Ok(endpoints)
}
