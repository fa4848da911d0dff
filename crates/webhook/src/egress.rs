//! The guard on outgoing requests: where a webhook may go, checked on every attempt.
//!
//! Merchants choose webhook addresses, so an address is untrusted input that this machine connects
//! to (server-side request forgery). Literal addresses are checked when the URL is read; names are
//! checked when they are resolved, inside the connector, so that the address that was checked is
//! the address that is used.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use paywatch_domain::limits::URL_CHARS_MAX;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// An address that webhooks are not sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("webhooks are not sent to {address}: {reason}")]
pub struct Blocked {
    /// The address, IPv4 where it is one in IPv6 clothing.
    pub address: IpAddr,
    /// Why, in words.
    pub reason: &'static str,
}

/// Why a webhook URL is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Not an absolute URL with a host, or longer than [`URL_CHARS_MAX`].
    #[error("the webhook address is not a URL: {0}")]
    Malformed(String),
    /// Neither https nor an http that the operator allows.
    #[error("the webhook address must begin with https://")]
    Scheme,
    /// A user name or password in the URL would end up in logs.
    #[error("the webhook address must not contain a user name or password")]
    Credentials,
    /// The host is a literal address that webhooks are not sent to.
    #[error(transparent)]
    Blocked(#[from] Blocked),
}

impl From<url::ParseError> for UrlRefused {
    fn from(error: url::ParseError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// What the operator allows beyond https to public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRules {
    /// Networks that are allowed although they are not public; http is allowed to them too.
    pub networks_allowed: Vec<IpNet>,
    /// Whether http is allowed to every address.
    pub http_allowed: bool,
}

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// https.
    Encrypted,
    /// http.
    Plain,
}

/// Decides about URLs and addresses.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    rules: EgressRules,
}

impl Guard {
    /// A guard with these rules.
    pub fn new(rules: EgressRules) -> Self {
        Self { rules }
    }

    /// Reads a merchant's URL and checks what can be checked without resolving its name.
    pub fn read_url(&self, text: &str) -> Result<Url, UrlRefused> {
        if text.chars().count() > URL_CHARS_MAX {
            let problem = format!("longer than {URL_CHARS_MAX} characters");
            return Err(UrlRefused::Malformed(problem));
        }
        let url = Url::parse(text)?;
        self.check_url(&url)?;
        Ok(url)
    }

    /// Checks scheme, credentials and a literal address; answers how a request to it travels.
    pub fn check_url(&self, url: &Url) -> Result<Transport, UrlRefused> {
        let transport = match url.scheme() {
            "https" => Transport::Encrypted,
            "http" if self.rules.http_allowed || !self.rules.networks_allowed.is_empty() => {
                Transport::Plain
            }
            _ => return Err(UrlRefused::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::Credentials);
        }
        match url.host() {
            None => return Err(UrlRefused::Malformed("no host".to_owned())),
            Some(Host::Domain(_)) => {}
            Some(Host::Ipv4(address)) => self.check_address(IpAddr::V4(address), transport)?,
            Some(Host::Ipv6(address)) => self.check_address(IpAddr::V6(address), transport)?,
        }
        Ok(transport)
    }

    /// Checks one address that a request would connect to.
    pub fn check_address(&self, address: IpAddr, transport: Transport) -> Result<(), Blocked> {
        let address = address.to_canonical();
        if self
            .rules
            .networks_allowed
            .iter()
            .any(|network| network.contains(&address))
        {
            return Ok(());
        }
        if transport == Transport::Plain && !self.rules.http_allowed {
            let reason = "http is allowed to the configured networks only";
            return Err(Blocked { address, reason });
        }
        match blocked_reason(address) {
            Some(reason) => Err(Blocked { address, reason }),
            None => Ok(()),
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// What is not a public IPv4 unicast address (IANA special-purpose registry, RFC 6890).
const BLOCKED_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "a private network"),
    (v4(100, 64, 0, 0, 10), "a carrier's shared network"),
    (v4(127, 0, 0, 0, 8), "this machine"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private network"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private network"),
    (v4(198, 18, 0, 0, 15), "a benchmarking network"),
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
];

/// IPv6 networks that lead to another address, to this machine or to no single machine.
const BLOCKED_V6: [(Ipv6Net, &str); 15] = [
    (
        v6(0, 0, 0, 96),
        "this machine or an IPv4-compatible address",
    ),
    (v6(0x64, 0xff9b, 0, 96), "a NAT64 address"),
    (v6(0x64, 0xff9b, 1, 48), "a NAT64 address"),
    (v6(0x100, 0, 0, 64), "a discard address"),
    (v6(0x2001, 0, 0, 23), "a Teredo or protocol address"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation address"),
    (v6(0x2002, 0, 0, 16), "a 6to4 address"),
    (v6(0x3fff, 0, 0, 20), "a documentation address"),
    (v6(0x5f00, 0, 0, 16), "a segment routing address"),
    (v6(0xfc00, 0, 0, 7), "a private network"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a site-local address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
    (v6(0x4000, 0, 0, 2), "not a public address"),
    (v6(0x8000, 0, 0, 1), "not a public address"),
];

/// The only block from which public IPv6 addresses are given out (RFC 4291, section 2.4).
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

fn blocked_reason(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reason_of(&BLOCKED_V4, |network| network.contains(&address)),
        IpAddr::V6(address) => reason_of(&BLOCKED_V6, |network| network.contains(&address))
            .or_else(|| (!PUBLIC_V6.contains(&address)).then_some("not a public address")),
    }
}

fn reason_of<N>(
    table: &[(N, &'static str)],
    contains: impl Fn(&N) -> bool,
) -> Option<&'static str> {
    table
        .iter()
        .find(|(network, _)| contains(network))
        .map(|(_, reason)| *reason)
}

/// Turns names into addresses. Behind a trait so that tests can answer with any address.
pub trait Lookup: Send + Sync {
    /// All addresses of `host`, IPv4 and IPv6; the ports are not used.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
    }
}

/// The resolver inside the HTTP client: hands on only addresses that the guard allows.
pub(crate) struct GuardedResolver {
    pub(crate) guard: Arc<Guard>,
    pub(crate) transport: Transport,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, transport) = (Arc::clone(&self.guard), self.transport);
        let found = self.lookup.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let allowed = keep_allowed(&guard, transport, found.await?)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The allowed ones of `found`; the first refusal when none is.
fn keep_allowed(
    guard: &Guard,
    transport: Transport,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut allowed = Vec::with_capacity(found.len());
    let mut refusal = None;
    for socket in found {
        match guard.check_address(socket.ip(), transport) {
            Ok(()) => allowed.push(socket),
            Err(blocked) => refusal = refusal.or(Some(blocked)),
        }
    }
    match refusal {
        Some(blocked) if allowed.is_empty() => Err(blocked.into()),
        Some(_) | None => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(networks: &[&str], http_allowed: bool) -> Guard {
        let networks_allowed = networks.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(EgressRules {
            networks_allowed,
            http_allowed,
        })
    }

    /// URL and whether its literal address passes under the default rules.
    const URLS: &[(&str, bool)] = &[
        ("https://1.1.1.1/hook", true),
        ("https://[2606:4700:4700::1111]/hook", true),
        ("https://172.32.0.1/", true),
        ("https://100.128.0.1/", true),
        ("https://198.20.0.1/", true),
        ("https://[::ffff:1.1.1.1]/", true),
        ("https://0.0.0.0/", false),
        ("https://10.0.0.1/", false),
        ("https://100.64.0.1/", false),
        ("https://127.0.0.1:8080/", false),
        ("https://127.255.255.254/", false),
        ("https://169.254.169.254/latest/meta-data", false),
        ("https://172.16.0.1/", false),
        ("https://172.31.255.255/", false),
        ("https://192.0.0.8/", false),
        ("https://192.0.2.1/", false),
        ("https://192.88.99.1/", false),
        ("https://192.168.1.1/", false),
        ("https://198.18.0.1/", false),
        ("https://198.19.255.255/", false),
        ("https://198.51.100.1/", false),
        ("https://203.0.113.1/", false),
        ("https://224.0.0.1/", false),
        ("https://240.0.0.1/", false),
        ("https://255.255.255.255/", false),
        // The same machine in octal, hexadecimal, one number, short and full-width forms.
        ("https://0177.0.0.1/", false),
        ("https://0x7f.0.0.1/", false),
        ("https://0x7f000001/", false),
        ("https://2130706433/", false),
        ("https://127.1/", false),
        ("https://127.0.0.1./", false),
        ("https://１２７.０.０.１/", false),
        ("https://127%2e0%2e0%2e1/", false),
        ("https://0xa9fea9fe/", false),
        ("https://[::]/", false),
        ("https://[::1]/", false),
        ("https://[0:0:0:0:0:0:0:1]/", false),
        ("https://[::ffff:127.0.0.1]/", false),
        ("https://[::ffff:a00:1]/", false),
        ("https://[::127.0.0.1]/", false),
        ("https://[::ffff:0:127.0.0.1]/", false),
        ("https://[64:ff9b::7f00:1]/", false),
        ("https://[64:ff9b:1::1]/", false),
        ("https://[100::1]/", false),
        ("https://[2001::1]/", false),
        ("https://[2001:db8::1]/", false),
        ("https://[2002:7f00:1::1]/", false),
        ("https://[3fff::1]/", false),
        ("https://[4000::1]/", false),
        ("https://[5f00::1]/", false),
        ("https://[fc00::1]/", false),
        ("https://[fd12:3456::1]/", false),
        ("https://[fe80::1]/", false),
        ("https://[fec0::1]/", false),
        ("https://[ff02::1]/", false),
    ];

    #[test]
    fn literal_addresses() {
        let guard = Guard::default();
        for (text, allowed) in URLS {
            let outcome = guard.read_url(text);
            match (&outcome, *allowed) {
                (Ok(_), true) | (Err(UrlRefused::Blocked(_)), false) => {}
                _ => panic!("{text}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn other_refusals() {
        let guard = Guard::default();
        let scheme = [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://1.1.1.1/",
        ];
        for text in scheme {
            assert_eq!(guard.read_url(text), Err(UrlRefused::Scheme), "{text}");
        }
        for text in [
            "https://user@example.com/",
            "https://user:word@example.com/",
        ] {
            assert_eq!(guard.read_url(text), Err(UrlRefused::Credentials), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_CHARS_MAX));
        let malformed = [
            "",
            "example.com/hook",
            "https://",
            "https://[fe80::1%25eth0]/",
            "https://256.1.1.1/",
            &long,
        ];
        for text in malformed {
            let outcome = guard.read_url(text);
            assert!(
                matches!(outcome, Err(UrlRefused::Malformed(_))),
                "{text}: {outcome:?}"
            );
        }
        assert!(guard.read_url("https://example.com:8443/hook?a=b").is_ok());
    }

    #[test]
    fn allowed_networks_open_exactly_themselves() {
        let guard = guard(&["10.1.0.0/16", "fd00::/8"], false);
        // URL and whether it passes.
        let table = [
            ("https://10.1.2.3/", true),
            ("http://10.1.2.3/", true),
            ("https://[::ffff:10.1.2.3]/", true),
            ("https://[fd00::5]/", true),
            ("http://[fd00::5]/", true),
            ("https://10.2.0.1/", false),
            ("https://127.0.0.1/", false),
            ("https://[fc00::5]/", false),
            // A wrapper is not the network that it wraps.
            ("https://[2002:a01:203::1]/", false),
            ("https://[64:ff9b::a01:203]/", false),
            // Unencrypted requests stay inside the allowed networks.
            ("http://1.1.1.1/", false),
            ("https://1.1.1.1/", true),
        ];
        for (text, allowed) in table {
            assert_eq!(guard.read_url(text).is_ok(), allowed, "{text}");
        }
    }

    #[test]
    fn http_when_the_operator_allows_it() {
        let guard = guard(&[], true);
        assert!(guard.read_url("http://example.com/").is_ok());
        assert!(guard.read_url("http://1.1.1.1/").is_ok());
        assert!(matches!(
            guard.read_url("http://127.0.0.1/"),
            Err(UrlRefused::Blocked(_))
        ));
    }

    #[test]
    fn every_resolved_address_is_filtered() {
        let sockets = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter()
                .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
                .collect()
        };
        let found = sockets(&[
            "10.0.0.1",
            "1.1.1.1",
            "::1",
            "2606:4700::1",
            "::ffff:192.168.0.1",
        ]);
        let kept = keep_allowed(&Guard::default(), Transport::Encrypted, found.clone()).unwrap();
        assert_eq!(kept, sockets(&["1.1.1.1", "2606:4700::1"]));

        let private = guard(&["10.0.0.0/8"], false);
        let kept = keep_allowed(&private, Transport::Plain, found.clone()).unwrap();
        assert_eq!(
            kept,
            sockets(&["10.0.0.1"]),
            "no unencrypted request to the public ones"
        );

        let refused = keep_allowed(&Guard::default(), Transport::Encrypted, sockets(&["::1"]));
        let blocked = *refused.unwrap_err().downcast::<Blocked>().unwrap();
        assert_eq!(blocked.address, "::1".parse::<IpAddr>().unwrap());
        assert!(
            keep_allowed(&Guard::default(), Transport::Plain, vec![])
                .unwrap()
                .is_empty()
        );
    }
}
