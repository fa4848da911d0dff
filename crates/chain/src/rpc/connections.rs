//! Connections to one node, none of which is used twice in a row.
//!
//! bitcoind counts a connection as busy until just after it has sent an answer. A request that comes on it
//! in this moment is read and left until the server looks again, 50 ms later (`SELECT_TIMEOUT` in
//! <https://github.com/bitcoin/bitcoin/blob/master/src/httpserver.cpp>). Whoever asks the next thing as soon
//! as a new block was announced is in this moment now and then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Error};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// After this time an idle connection is not used again: bitcoind closes it after 30 seconds.
const IDLE: Duration = Duration::from_secs(20);
/// Idle connections that are kept by each client.
const IDLE_CONNECTIONS: usize = 4;
/// One waits for a new block, two others take turns.
const CLIENTS: usize = 3;

/// Clients with connections of their own, taken in turn.
pub(super) struct Connections {
    clients: [Client; CLIENTS],
    turn: AtomicUsize,
}

impl Connections {
    /// No connection is made yet.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            clients: [client()?, client()?, client()?],
            turn: AtomicUsize::new(0),
        })
    }

    /// A client that was not the last to be taken.
    pub(super) fn next(&self) -> &Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CLIENTS;
        let [first, second, third] = &self.clients;
        match turn {
            0 => first,
            1 => second,
            _ => third,
        }
    }
}

fn client() -> Result<Client, Error> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tcp_nodelay(true)
        .build()
}
