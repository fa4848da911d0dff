//! Requests of operators: API keys and merchants.

use std::net::IpAddr;

use paywatch_domain::{MerchantId, Scope, UnixMillis, limits};
use schemars::JsonSchema;
use serde_json::Value;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;
use crate::time::parse_rfc3339;

/// How requests name a scope.
#[derive(JsonSchema)]
#[schemars(inline, extend("enum" = Scope::ALL.map(Scope::as_str)))]
#[expect(dead_code, reason = "describes a text; nothing is of this type")]
struct ScopeName(String);

/// Makes an API key, in the mode of the key that asks.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What it may do; at least one.
    #[schemars(with = "Vec<ScopeName>", length(min = 1))]
    pub scopes: Vec<Scope>,
    /// For people.
    pub label: Option<String>,
    /// The networks that it may be used from, such as `192.0.2.0/24`; all of them when empty.
    #[schemars(default)]
    pub networks: Vec<String>,
    /// From when on it is refused; never when nothing is said.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<UnixMillis>,
    /// Whose key it is; the merchant's of the key that asks when nothing is said.
    #[schemars(with = "Option<String>")]
    pub merchant_id: Option<MerchantId>,
}

/// Reads a list of texts; what is not one of them is named by its place.
fn texts<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    code: Code,
    detail: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let items = fields.list(name)?;
    let mut all = Vec::with_capacity(items.len().min(limits::API_KEY_ITEMS_MAX));
    for (place, item) in items.iter().enumerate().take(limits::API_KEY_ITEMS_MAX) {
        let at = format!("{}/{place}", fields.pointer(name));
        match item {
            Value::String(text) => match read(text) {
                Some(value) => all.push(value),
                None => fields.faults().refuse(at, code, detail),
            },
            other => fields.faults().wrong_type(&at, "a text", other),
        }
    }
    if limits::API_KEY_ITEMS_MAX < items.len() {
        let detail = format!("at most {} are possible", limits::API_KEY_ITEMS_MAX);
        fields.refuse(name, code, detail);
    }
    Some(all)
}

/// A network in CIDR form, as it was given.
fn network(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let most = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = bits.parse::<u8>().ok().filter(|_| is_plain)?;
    (bits <= most).then(|| text.to_owned())
}

impl Request for CreateApiKey {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        let detail = format!("must be one of {known}");
        let scopes = texts(
            &mut fields,
            "scopes",
            Code::ScopeUnknown,
            &detail,
            Scope::parse,
        );
        let scopes = fields.require("scopes", scopes);
        if fields.is_empty_list("scopes") {
            fields.refuse("scopes", Code::Required, "name at least one scope");
        }
        let label = fields.text("label", limits::TEXT_CHARS_MAX);
        let detail = "must be a network such as 192.0.2.0/24 or 2001:db8::/32";
        let networks = texts(
            &mut fields,
            "networks",
            Code::NetworkInvalid,
            detail,
            network,
        );
        let expires_at = fields.text("expires_at", limits::TEXT_CHARS_MAX);
        let expires_at = expires_at.and_then(|text| {
            let time = parse_rfc3339(&text).ok();
            if time.is_none() {
                let detail = "must be a time such as 2026-12-01T09:30:00.000Z";
                fields.refuse("expires_at", Code::TimeInvalid, detail);
            }
            time
        });
        let merchant_id = fields.text("merchant_id", limits::TEXT_CHARS_MAX);
        let merchant_id = merchant_id.and_then(|text| {
            let id = text.parse::<MerchantId>().ok();
            if id.is_none() {
                fields.refuse(
                    "merchant_id",
                    Code::IdInvalid,
                    "must be the id of a merchant",
                );
            }
            id
        });
        fields.finish();
        let mut scopes = scopes?;
        scopes.sort_unstable();
        scopes.dedup();
        Some(Self {
            scopes,
            label,
            networks: networks.unwrap_or_default(),
            expires_at,
            merchant_id,
        })
    }
}

/// The overlap when the request names none.
fn overlap_s() -> u64 {
    limits::API_KEY_OVERLAP_S
}

/// Puts another API key in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RotateApiKey {
    /// For how long the old key is good beside the new one, in seconds.
    #[schemars(default = "overlap_s", range(max = limits::API_KEY_OVERLAP_S_MAX))]
    pub overlap_s: u64,
}

impl Request for RotateApiKey {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let range = 0..=limits::API_KEY_OVERLAP_S_MAX;
        let asked = fields.whole("overlap_s", range, Code::OverlapInvalid);
        fields.finish();
        Some(Self {
            overlap_s: asked.unwrap_or_else(overlap_s),
        })
    }
}

/// Registers a merchant.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateMerchant {
    /// For operators.
    #[schemars(length(min = 1, max = limits::TEXT_CHARS_MAX))]
    pub name: String,
}

impl Request for CreateMerchant {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let name = fields.text("name", limits::TEXT_CHARS_MAX);
        let name = fields.require("name", name);
        fields.finish();
        Some(Self { name: name? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_api_keys_are_in_cidr_form() {
        for good in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(network(good).as_deref(), Some(good));
        }
        for bad in [
            "192.0.2.0",
            "192.0.2.0/33",
            "::/129",
            "shop/24",
            "1.2.3.4/+8",
            "1.2.3.4/",
            "",
        ] {
            assert_eq!(network(bad), None, "{bad}");
        }
    }
}
