//! Announcements of new blocks over WebSocket. What they say is believed of no block: they are a reason to
//! look. Nodes leave some out in reorganisations, and connections break.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
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

use super::credentials::Credentials;
use super::error::{SetupError, words};

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

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Connecting = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send>>;

/// What is subscribed to, and how what is announced is read.
#[derive(Clone, Copy, Debug)]
pub struct Subscription {
    /// The request for it, with the id 1.
    pub request: &'static str,
    /// The name of the block in what is announced (`params.result`); `None` where there is none.
    pub block: fn(&str) -> Option<String>,
}

/// A subscription that is renewed when it breaks.
pub struct Announcements {
    request: Request,
    subscription: Subscription,
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
    id: Option<Value>,
    result: Option<Value>,
    params: Option<Announced>,
}

#[derive(Deserialize)]
struct Announced {
    result: Option<Box<RawValue>>,
}

impl fmt::Debug for Announcements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Announcements({})", self.place)
    }
}

impl Announcements {
    /// No connection is made yet. The address begins with `ws://` or `wss://`.
    pub fn new(
        url: &str,
        credentials: &Credentials,
        subscription: Subscription,
    ) -> Result<Self, SetupError> {
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
            subscription,
            place,
            is_open: AtomicBool::new(false),
            state: Mutex::new(State::Closed(None, RETRY)),
        })
    }

    /// Whether blocks are announced now.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Ends when a block other than `known` was announced last, or when announcements begin: what came
    /// before them is not known.
    pub async fn announced(&self, known: &str) {
        let mut state = self.state.lock().await;
        loop {
            let (next, is_news) = match &mut *state {
                State::Closed(until, pause) => {
                    if let Some(until) = until {
                        let _elapsed = timeout_at(*until, pending::<()>()).await;
                    }
                    let connecting = Box::pin(connect(self.request.clone(), self.subscription));
                    (State::Connecting(connecting, *pause), false)
                }
                State::Connecting(connecting, pause) => match connecting.as_mut().await {
                    Ok(stream) => (State::Open(Box::new(stream), Instant::now()), true),
                    Err(detail) => (self.broken(&detail, *pause), false),
                },
                State::Open(stream, heard_at) => {
                    let silent_at = *heard_at + SILENCE_MAX;
                    match timeout_at(silent_at, self.last_block(stream)).await {
                        Ok(Ok(block)) => {
                            *heard_at = Instant::now();
                            if block.is_some_and(|block| block != known) {
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

    /// The last of the blocks that were announced, once there is a message.
    async fn last_block(&self, stream: &mut Stream) -> Result<Option<String>, String> {
        let mut last = self.block(next(stream).await?);
        // An end that follows comes again next time; what was said before it is news.
        while let Some(Ok(more)) = next(stream).now_or_never() {
            last = self.block(more).or(last);
        }
        Ok(last)
    }

    fn block(&self, said: Option<Said>) -> Option<String> {
        (self.subscription.block)(said?.params?.result?.get())
    }
}

/// Connects and subscribes.
async fn connect(request: Request, subscription: Subscription) -> Result<Stream, String> {
    let subscribed = async {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connected = connect_async_with_config(request, Some(limits), true).await;
        let (mut stream, _) = connected.map_err(|error| told(&error))?;
        let sent = stream.send(Message::text(subscription.request)).await;
        sent.map_err(|error| told(&error))?;
        for _ in 0..MESSAGES_BEFORE_MAX {
            match next(&mut stream).await? {
                Some(said) if said.id == Some(Value::from(1)) => {
                    let refused = || "it does not announce blocks".to_owned();
                    return said.result.map(|_| stream).ok_or_else(refused);
                }
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
