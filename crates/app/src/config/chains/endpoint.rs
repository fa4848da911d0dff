//! One endpoint of a chain: where it is, how it knows us, how often it may be asked.

use std::num::NonZeroU32;
use std::path::PathBuf;

use paywatch_chain::rpc::{Budget, Credentials};
use serde::Deserialize;

use super::Reader;

/// The keys of an endpoint, which a chain with one endpoint may have among its own.
pub(super) const KEYS: [&str; 12] = [
    "url",
    "url_file",
    "url_env",
    "websocket",
    "websocket_file",
    "websocket_env",
    "user",
    "password_file",
    "password_env",
    "cookie_file",
    "requests_per_second",
    "burst",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointForm {
    url: Option<String>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    websocket: Option<String>,
    websocket_file: Option<PathBuf>,
    websocket_env: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    cookie_file: Option<PathBuf>,
    requests_per_second: Option<NonZeroU32>,
    burst: Option<NonZeroU32>,
}

/// An endpoint that can be asked.
pub(super) struct Reached {
    pub(super) url: String,
    pub(super) websocket: Option<String>,
    pub(super) credentials: Credentials,
    pub(super) budget: Budget,
}

/// A text that may be a secret, by where it stands.
struct Kept<'a> {
    key: String,
    plain: Option<&'a String>,
    file: Option<&'a PathBuf>,
    variable: Option<&'a String>,
}

impl Reader<'_> {
    /// Reads the endpoint with this number; what is wrong with it goes to the problems.
    pub(super) fn endpoint(&mut self, number: usize, form: &EndpointForm) -> Option<Reached> {
        let place = format!("endpoints[{number}]");
        let url = Kept {
            key: format!("{place}.url"),
            plain: form.url.as_ref(),
            file: form.url_file.as_ref(),
            variable: form.url_env.as_ref(),
        };
        let websocket = Kept {
            key: format!("{place}.websocket"),
            plain: form.websocket.as_ref(),
            file: form.websocket_file.as_ref(),
            variable: form.websocket_env.as_ref(),
        };
        if url.is_missing() {
            self.problem(&url.key, "is missing; give url, url_file or url_env");
            return None;
        }
        let url = self.kept(&url);
        let websocket = if websocket.is_missing() {
            Some(None)
        } else {
            self.kept(&websocket).map(Some)
        };
        let credentials = self.credentials(&place, form);
        let budget = form
            .requests_per_second
            .map_or_else(Budget::unlimited, |rate| {
                Budget::per_second(rate, form.burst.unwrap_or(rate))
            });
        Some(Reached {
            url: url?,
            websocket: websocket?,
            credentials: credentials?,
            budget,
        })
    }

    /// A text from the file, from the environment, or as it is written.
    fn kept(&mut self, kept: &Kept<'_>) -> Option<String> {
        let file = kept.file.map(|file| {
            let text = std::fs::read_to_string(self.folder.join(file));
            text.map(|text| text.trim_end().to_owned())
                .map_err(|error| format!("{} cannot be read: {error}", file.display()))
        });
        let variable = kept.variable.map(|variable| {
            let text = self.environment.get(variable).cloned();
            text.ok_or_else(|| format!("the variable {variable} is not set"))
        });
        let plain = kept.plain.cloned().map(Ok);
        match [plain, file, variable]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .as_slice()
        {
            [Ok(text)] => Some(text.clone()),
            [Err(detail)] => {
                self.problem(&kept.key, detail.as_str());
                None
            }
            _ => {
                self.problem(&kept.key, "is given in more than one way; keep one of them");
                None
            }
        }
    }

    fn credentials(&mut self, place: &str, form: &EndpointForm) -> Option<Credentials> {
        if let Some(file) = &form.cookie_file {
            return Some(Credentials::CookieFile(self.folder.join(file)));
        }
        let Some(user) = form.user.clone() else {
            return Some(Credentials::None);
        };
        let password = Kept {
            key: format!("{place}.password"),
            plain: None,
            file: form.password_file.as_ref(),
            variable: form.password_env.as_ref(),
        };
        if password.is_missing() {
            let key = format!("{place}.user");
            self.problem(&key, "needs a password_file or a password_env beside it");
            return None;
        }
        let password = self.kept(&password)?;
        Some(Credentials::User { user, password })
    }
}

impl Kept<'_> {
    fn is_missing(&self) -> bool {
        self.plain.is_none() && self.file.is_none() && self.variable.is_none()
    }
}
