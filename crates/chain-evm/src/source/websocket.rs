//! Announcements of new blocks over WebSocket (`eth_subscribe`, `newHeads`). What they say is believed of
//! no block: they are a reason to look. Nodes leave some out in reorganisations, and connections break.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{FutureExt, SinkExt, StreamExt};
use paywatch_chain::rpc::{Credentials, SetupError, words};
use paywatch_domain::BlockRef;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;

/// How long a connection and a subscription may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection on which nothing came for so long counts as broken.
const SILENCE_MAX: Duration = Duration::from_mins(2);
/// Between two attempts to connect: doubled after each that fails.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(1);
/// A header is a thousand times smaller.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Messages that may come before the answer to the subscription.
const MESSAGES_BEFORE_MAX: usize = 8;
const SUBSCRIBE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Connecting = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send>>;

/// A subscription that is renewed when it breaks.
pub(super) struct Heads {
    request: Request,
    /// Host and port: all of the address that may be shown.
    place: String,
    is_open: AtomicBool,
    /// Kept between two waits, so that nothing is lost when one of them is given up.
    state: Mutex<State>,
}

enum State {
    /// Nothing is tried before this time; the pause after the next failure.
    Closed(Option<Instant>, Duration),
    Connecting(Connecting, Duration),
    /// The connection, and when something last came.
    Open(Box<Stream>, Instant),
}

/// A message of the node's: the answer to the subscription, or what is announced.
#[derive(Deserialize)]
struct Said {
    id: Option<u64>,
    result: Option<String>,
    params: Option<Announced>,
}

#[derive(Deserialize)]
struct Announced {
    result: Option<Head>,
}

#[derive(Deserialize)]
struct Head {
    hash: String,
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heads({})", self.place)
    }
}

impl Heads {
    /// No connection is made yet.
    pub(super) fn new(url: &str, credentials: &Credentials) -> Result<Self, SetupError> {
        let refuse = |detail: &str| SetupError::Url {
            detail: format!("websocket: {detail}"),
        };
        let url = Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(refuse("it must begin with ws:// or wss://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("user and password are given apart from it"));
        }
        let request = url.as_str().into_client_request();
        let mut request = request.map_err(|_| refuse("no request can be made of it"))?;
        if let Credentials::User { user, password } = credentials {
            let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let login = HeaderValue::from_str(&login);
            let mut login = login.map_err(|_| refuse("no request can be made of the login"))?;
            login.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, login);
        }
        let place = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        Ok(Self {
            request,
            place,
            is_open: AtomicBool::new(false),
            state: Mutex::new(State::Closed(None, RETRY)),
        })
    }

    /// Whether blocks are announced now.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Ends when a block other than `tip` was announced last, or when announcements begin: what came
    /// before them is not known.
    pub(super) async fn announced(&self, tip: &BlockRef) {
        let mut state = self.state.lock().await;
        loop {
            let (next, is_news) = match &mut *state {
                State::Closed(until, pause) => {
                    if let Some(until) = until {
                        let _elapsed = timeout_at(*until, pending::<()>()).await;
                    }
                    let connecting = Box::pin(connect(self.request.clone()));
                    (State::Connecting(connecting, *pause), false)
                }
                State::Connecting(connecting, pause) => match connecting.as_mut().await {
                    Ok(stream) => (State::Open(Box::new(stream), Instant::now()), true),
                    Err(detail) => (self.broken(&detail, *pause), false),
                },
                State::Open(stream, heard_at) => {
                    let silent_at = *heard_at + SILENCE_MAX;
                    match timeout_at(silent_at, last_hash(stream)).await {
                        Ok(Ok(hash)) => {
                            *heard_at = Instant::now();
                            if hash.is_some_and(|hash| hash != tip.hash.as_str()) {
                                return;
                            }
                            continue;
                        }
                        Ok(Err(detail)) => (self.broken(&detail, RETRY), false),
                        Err(_) => (self.broken("nothing came for too long", RETRY), false),
                    }
                }
            };
            self.is_open
                .store(matches!(next, State::Open(..)), Ordering::Relaxed);
            *state = next;
            if is_news {
                return;
            }
        }
    }

    fn broken(&self, detail: &str, pause: Duration) -> State {
        tracing::debug!(place = %self.place, detail, "no announcements; the endpoint is polled");
        let until = Instant::now() + pause;
        State::Closed(Some(until), pause.saturating_mul(2).min(RETRY_MAX))
    }
}

/// Connects and subscribes.
async fn connect(request: Request) -> Result<Stream, String> {
    let subscribed = async {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connected = connect_async_with_config(request, Some(limits), true).await;
        let (mut stream, _) = connected.map_err(|error| told(&error))?;
        let sent = stream.send(Message::text(SUBSCRIBE)).await;
        sent.map_err(|error| told(&error))?;
        for _ in 0..MESSAGES_BEFORE_MAX {
            match next(&mut stream).await? {
                Some(Said {
                    id: Some(1),
                    result: Some(_),
                    ..
                }) => return Ok(stream),
                Some(Said { id: Some(1), .. }) => return Err("it has no newHeads".to_owned()),
                _ => {}
            }
        }
        Err("it does not answer the subscription".to_owned())
    };
    let late = || Err("it takes too long to connect".to_owned());
    timeout(CONNECT, subscribed)
        .await
        .unwrap_or_else(|_| late())
}

/// The last of the hashes that were announced, once there is a message.
async fn last_hash(stream: &mut Stream) -> Result<Option<String>, String> {
    let mut last = hash(next(stream).await?);
    // An end that follows comes again next time; what was said before it is news.
    while let Some(Ok(more)) = next(stream).now_or_never() {
        last = hash(more).or(last);
    }
    Ok(last)
}

fn hash(said: Option<Said>) -> Option<String> {
    Some(said?.params?.result?.hash)
}

/// The next message, if it is one that can be read.
async fn next(stream: &mut Stream) -> Result<Option<Said>, String> {
    match stream.next().await {
        Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).ok()),
        Some(Ok(Message::Close(_))) | None => Err("it closed the connection".to_owned()),
        // Pings are answered by the library.
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(told(&error)),
    }
}

fn told(error: &Error) -> String {
    words(&error.to_string())
}
