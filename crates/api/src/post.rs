//! Requests that change something: body, idempotency key, and the answer of a command.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use paywatch_engine::commands::{Answered, CommandError, Idempotent};
use paywatch_wire::request::Request as Decoded;

use crate::body::Whole;
use crate::fault::Fault;
use crate::idempotency;

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A POST with its body and its idempotency key.
#[derive(Debug)]
pub(crate) struct Post {
    body: Whole,
    idempotent: Option<Idempotent>,
}

impl Post {
    /// The decoded body, and what makes two requests the same.
    pub(crate) fn decode<R: Decoded>(self) -> Result<(R, Option<Idempotent>), Fault> {
        Ok((self.body.decode()?, self.idempotent))
    }
}

impl<S: Send + Sync> FromRequest<S> for Post {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let key = idempotency::key(request.headers())?;
        let path = request.uri().path().to_owned();
        let is_json = says_json(request.headers());
        let body = Whole::from_request(request, state).await?;
        if !is_json && !body.is_empty() {
            return Err(Fault::MediaTypeUnsupported);
        }
        let idempotent = key.map(|key| Idempotent {
            path,
            key,
            body_hash: body.hash(),
        });
        Ok(Self { body, idempotent })
    }
}

/// Whether a body may be JSON by what is said about it; nothing said is fine.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(said) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let said = said.to_str().unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// A command's answer as it is sent.
pub(crate) fn answer(answered: Answered) -> Result<Response, Fault> {
    let (answer, replayed) = match answered {
        Answered::Fresh(answer) => (answer, false),
        Answered::Replayed(answer) => (answer, true),
    };
    let status = StatusCode::from_u16(answer.status).map_err(|_| Fault::Internal)?;
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        answer.body,
    )
        .into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Fields(errors) => Self::Fields(errors),
            CommandError::Unavailable(errors) => Self::Unavailable(errors),
            CommandError::Refused {
                status,
                code,
                detail,
            } => match StatusCode::from_u16(status) {
                Ok(status) => Self::Refused {
                    status,
                    code,
                    detail,
                },
                Err(_) => Self::Internal,
            },
            CommandError::IdempotencyReused => Self::IdempotencyReused,
            CommandError::IdempotencyInUse => Self::IdempotencyInUse,
            CommandError::Store(error) => error.into(),
            CommandError::HighWater(_) | CommandError::Secret(_) => {
                tracing::error!(%error, "a command failed");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_unless_something_else_is_said() {
        let said = |text: &str| {
            let value = text.parse().expect("a header's value");
            says_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        assert!(says_json(&HeaderMap::new()));
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.shop+json",
        ] {
            assert!(said(good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "json",
        ] {
            assert!(!said(bad), "{bad}");
        }
    }
}
