//! Reads the fields of a JSON object and collects everything that is wrong with them.
//!
//! A plain deserialiser stops at the first fault; a merchant wants to see all of them at once, each
//! by name. `null` is the same as a missing field.

use paywatch_domain::{Amount, AmountError, limits};
use serde_json::{Map, Value};

use crate::field::{Code, FieldError};

/// Everything that is wrong with a request so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes what is wrong at a JSON pointer. What several options share is noted once.
    pub(super) fn refuse(
        &mut self,
        pointer: impl Into<String>,
        code: Code,
        detail: impl Into<String>,
    ) {
        let error = FieldError::new(pointer, code, detail);
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// Notes that `value` is of another type than `wanted`.
    pub(super) fn wrong_type(&mut self, pointer: &str, wanted: &str, value: &Value) {
        let detail = format!("must be {wanted}, and is {}", kind(value));
        self.refuse(pointer, Code::TypeInvalid, detail);
    }

    /// Reads an amount; notes why when it is none.
    pub(super) fn amount(&mut self, pointer: &str, text: &str, decimals: u8) -> Option<Amount> {
        let read = Amount::parse(text, decimals);
        if let Err(error) = &read {
            self.refuse(pointer, Code::from(*error), error.to_string());
        }
        read.ok()
    }

    /// Nothing, or all faults.
    pub(super) fn into_result(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

/// One JSON object under reading.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: String,
    known: Vec<&'static str>,
    faults: &'a mut Faults,
}

/// What a JSON value is called in a sentence.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name as a token of a JSON pointer (RFC 6901), cut short where it is absurdly long.
pub(super) fn token(name: &str) -> String {
    let cut: String = name.chars().take(64).collect();
    cut.replace('~', "~0").replace('/', "~1")
}

impl<'a> Fields<'a> {
    /// Reads the object at `at`; notes an error when it is none.
    pub(super) fn of(value: &'a Value, at: &str, faults: &'a mut Faults) -> Option<Self> {
        let Value::Object(map) = value else {
            faults.wrong_type(at, "an object", value);
            return None;
        };
        Some(Self {
            map,
            at: at.into(),
            known: Vec::new(),
            faults,
        })
    }

    /// The JSON pointer of a field.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, token(name))
    }

    /// Notes an error of a field.
    pub(super) fn refuse(&mut self, name: &str, code: Code, detail: impl Into<String>) {
        let pointer = self.pointer(name);
        self.faults.refuse(pointer, code, detail);
    }

    /// A field of any type with its pointer and the list of errors, to read it deeper.
    pub(super) fn deeper(
        &mut self,
        name: &'static str,
    ) -> Option<(&'a Value, String, &mut Faults)> {
        let value = self.value(name)?;
        let pointer = self.pointer(name);
        Some((value, pointer, self.faults))
    }

    /// A field of any type; `None` when it is missing or `null`.
    pub(super) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field stands in the request, be it right or wrong.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether a field is a list without items.
    pub(super) fn is_empty_list(&self, name: &'static str) -> bool {
        let items = self.map.get(name).and_then(Value::as_array);
        items.is_some_and(Vec::is_empty)
    }

    /// Notes a required field that is missing.
    pub(super) fn require<T>(&mut self, name: &'static str, found: Option<T>) -> Option<T> {
        let missing = self.map.get(name).is_none_or(Value::is_null);
        if missing {
            self.refuse(name, Code::Required, format!("`{name}` is required"));
        }
        found
    }

    /// A short text: not empty, without control characters, at most `chars_max` characters.
    pub(super) fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.text_without(name, chars_max, char::is_control)
    }

    /// A text that people paste: like [`Fields::text`], and it may hold line breaks and tabs.
    pub(super) fn pasted(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.text_without(name, chars_max, |letter| {
            letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')
        })
    }

    fn text_without(
        &mut self,
        name: &'static str,
        chars_max: usize,
        refused: impl Fn(char) -> bool,
    ) -> Option<String> {
        let value = self.value(name)?;
        let Value::String(text) = value else {
            let at = self.pointer(name);
            self.faults.wrong_type(&at, "a text", value);
            return None;
        };
        if chars_max < text.chars().count() {
            let detail = format!("at most {chars_max} characters are possible");
            self.refuse(name, Code::TextTooLong, detail);
            return None;
        }
        if text.trim().is_empty() || text.chars().any(refused) {
            let detail = "must not be empty nor hold control characters";
            self.refuse(name, Code::TextInvalid, detail);
            return None;
        }
        Some(text.clone())
    }

    /// The text of an amount, not yet read as one: how many decimals are possible is known later.
    pub(super) fn amount_text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if limits::AMOUNT_CHARS_MAX < text.len() => {
                let error = AmountError::TooLong;
                self.refuse(name, error.into(), error.to_string());
                None
            }
            Value::String(text) => Some(text.clone()),
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)) => {
                let at = self.pointer(name);
                let wanted = "a decimal text such as \"0.0015\" (JSON numbers lose digits)";
                self.faults.wrong_type(&at, wanted, value);
                None
            }
        }
    }

    /// A whole number from `range`.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        code: Code,
    ) -> Option<u64> {
        let value = self.value(name)?;
        if !value.is_number() {
            let at = self.pointer(name);
            self.faults.wrong_type(&at, "a whole number", value);
            return None;
        }
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            let detail = format!("must be a whole number from {least} to {most}");
            self.refuse(name, code, detail);
        }
        number
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        if value.as_bool().is_none() {
            let at = self.pointer(name);
            self.faults.wrong_type(&at, "a boolean", value);
        }
        value.as_bool()
    }

    /// A list.
    pub(super) fn list(&mut self, name: &'static str) -> Option<&'a [Value]> {
        let value = self.value(name)?;
        if let Value::Array(items) = value {
            return Some(items);
        }
        let at = self.pointer(name);
        self.faults.wrong_type(&at, "a list", value);
        None
    }

    /// Where faults go, to read the items of a list.
    pub(super) fn faults(&mut self) -> &mut Faults {
        self.faults
    }

    /// Notes every field that was not asked for.
    pub(super) fn finish(self) {
        let known = self.known.join(", ");
        for name in self.map.keys() {
            if !self.known.contains(&name.as_str()) {
                let pointer = format!("{}/{}", self.at, token(name));
                let shown: String = name.chars().take(64).collect();
                let detail = if known.is_empty() {
                    format!("`{shown}` is not known; this request has no fields")
                } else {
                    format!("`{shown}` is not known; known here: {known}")
                };
                self.faults.refuse(pointer, Code::UnknownField, detail);
            }
        }
    }
}
