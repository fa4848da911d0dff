//! The forms that the database keeps: versioned and stable, readable by every later release.
//!
//! Amounts are decimal counts of atomic units and times are milliseconds, as in the columns beside
//! them. A form with an unknown field or version is damage, not something to skip over.

mod decision;
mod endpoints;
mod said;
mod task;
mod terms;

pub use decision::{operator_fact_from_json, operator_fact_kind, operator_fact_to_json};
pub use endpoints::{endpoints_from_json, endpoints_to_json};
pub use task::{findings_from_json, findings_to_json, task_from_json, task_to_json};

use paywatch_domain::{Amount, Finality, Rate, Said, Terms};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::forms::FinalityForm;
use crate::json_text;

/// The version that is written now.
const VERSION: u32 = 1;

/// Stored text that cannot be read: which form, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Not JSON, or not of the form's shape.
    #[error("the stored {form} cannot be read: {detail}")]
    Shape {
        /// Which form.
        form: &'static str,
        /// What is wrong and where.
        detail: String,
    },
    /// Written by another release.
    #[error("the stored {form} has version {found}; this release reads version {VERSION}")]
    Version {
        /// Which form.
        form: &'static str,
        /// Its version.
        found: u32,
    },
    /// A value that cannot stand in its field.
    #[error("the stored {form} has a damaged {field}: {value:?}")]
    Value {
        /// Which form.
        form: &'static str,
        /// Which field.
        field: &'static str,
        /// What stands there.
        value: String,
    },
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

fn read<T: DeserializeOwned>(form: &'static str, text: &str) -> Result<T, StoredError> {
    let shape = |error: serde_json::Error| StoredError::Shape {
        form,
        detail: error.to_string(),
    };
    let VersionOnly { v } = serde_json::from_str(text).map_err(shape)?;
    if v != VERSION {
        return Err(StoredError::Version { form, found: v });
    }
    serde_json::from_str(text).map_err(shape)
}

/// Reads the values of one stored form.
#[derive(Clone, Copy)]
struct Values {
    form: &'static str,
}

impl Values {
    fn damaged(self, field: &'static str, value: &str) -> StoredError {
        StoredError::Value {
            form: self.form,
            field,
            value: value.into(),
        }
    }

    fn parse<T: std::str::FromStr>(
        self,
        field: &'static str,
        text: &str,
    ) -> Result<T, StoredError> {
        text.parse().map_err(|_| self.damaged(field, text))
    }

    fn amount(self, field: &'static str, text: &str) -> Result<Amount, StoredError> {
        Amount::parse_atomic(text).map_err(|_| self.damaged(field, text))
    }
}

/// The stored form of terms.
pub fn terms_to_json(terms: &Terms) -> String {
    json_text(&terms::TermsForm::from(terms))
}

/// Reads what [`terms_to_json`] wrote.
///
/// # Errors
/// [`StoredError`] when the text was not written so.
pub fn terms_from_json(text: &str) -> Result<Terms, StoredError> {
    read::<terms::TermsForm>(terms::FORM, text)?.into_domain()
}

/// The stored form of the rate of an option, as it stands in the terms.
pub fn rate_to_json(rate: &Rate) -> String {
    json_text(&terms::StoredRate::from(rate))
}

/// The stored form of what was last said.
pub fn said_to_json(said: &Said) -> String {
    json_text(&said::SaidForm::from(said))
}

/// Reads what [`said_to_json`] wrote.
///
/// # Errors
/// [`StoredError`] when the text was not written so.
pub fn said_from_json(text: &str) -> Result<Said, StoredError> {
    read::<said::SaidForm>(said::FORM, text)?.into_domain()
}

/// The stored form of a finality.
pub fn finality_to_json(finality: &Finality) -> String {
    json_text(&FinalityForm::from(finality))
}

/// Reads what [`finality_to_json`] wrote.
///
/// # Errors
/// [`StoredError`] when the text was not written so.
pub fn finality_from_json(text: &str) -> Result<Finality, StoredError> {
    let form: FinalityForm = serde_json::from_str(text).map_err(|error| StoredError::Shape {
        form: "finality",
        detail: error.to_string(),
    })?;
    Ok(form.into())
}
