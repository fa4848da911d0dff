//! Bodies of requests: bounded in bytes and time, decoded with every fault named.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use paywatch_domain::limits;
use paywatch_wire::decode;
use paywatch_wire::request::Request as Decoded;
use sha2::{Digest, Sha256};

use crate::fault::Fault;

/// How long a body may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// The whole body of a request.
#[derive(Debug)]
pub(crate) struct Whole(Bytes);

impl Whole {
    /// Decodes it; a missing body is an empty object.
    pub(crate) fn decode<R: Decoded>(&self) -> Result<R, Fault> {
        let body = if self.0.is_empty() {
            b"{}".as_slice()
        } else {
            &self.0
        };
        decode(body).map_err(Fault::from)
    }

    /// Whether nothing was sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash by which two bodies under one idempotency key are compared.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        let max = limits::BODY_BYTES_MAX;
        let mut pieces = request.into_body().into_data_stream();
        let reading = async {
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|_| Fault::BodyIncomplete)?;
                if max < whole.len().saturating_add(piece.len()) {
                    return Err(Fault::BodyTooLarge { max });
                }
                whole.extend_from_slice(&piece);
            }
            Ok(Self(whole.into()))
        };
        tokio::time::timeout(ARRIVAL_MAX, reading)
            .await
            .unwrap_or(Err(Fault::BodyIncomplete))
    }
}
