//! From which address a request comes, behind proxies too.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the client: of the connection, or, where that is a proxy of the operator, the last one of
/// `X-Forwarded-For` that no such proxy has. `None` where that cannot be read, which is nobody's.
pub(crate) fn address(parts: &Parts, proxies: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let mut address = peer.ip().to_canonical();
    let is_proxy = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let mut hops = Vec::new();
    for header in parts.headers.get_all(FORWARDED_FOR) {
        hops.extend(header.to_str().ok()?.split(','));
    }
    while is_proxy(&address) {
        let Some(hop) = hops.pop() else {
            break;
        };
        address = hop.trim().parse::<IpAddr>().ok()?.to_canonical();
    }
    Some(address)
}

/// Whether an address lies in one of the networks of a key, which stand there in CIDR form.
pub(crate) fn is_in(networks: &[String], address: Option<IpAddr>) -> bool {
    networks.is_empty()
        || address.is_some_and(|address| {
            let networks = networks
                .iter()
                .filter_map(|text| text.parse::<IpNet>().ok());
            networks
                .into_iter()
                .any(|network| network.contains(&address))
        })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> Option<String> {
        let mut request = Request::builder();
        for header in forwarded {
            request = request.header(FORWARDED_FOR, *header);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let peer: SocketAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        address(&parts, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let table: [(&str, &[&str], Option<&str>); 8] = [
            ("203.0.113.9:1", &[], Some("203.0.113.9")),
            ("203.0.113.9:1", &["198.51.100.1"], Some("203.0.113.9")),
            ("10.0.0.1:1", &["198.51.100.1"], Some("198.51.100.1")),
            (
                "10.0.0.1:1",
                &["1.1.1.1, 198.51.100.1, 10.0.0.2"],
                Some("198.51.100.1"),
            ),
            (
                "10.0.0.1:1",
                &["1.1.1.1", "198.51.100.1"],
                Some("198.51.100.1"),
            ),
            ("[::ffff:10.0.0.1]:1", &["2001:db8::1"], Some("2001:db8::1")),
            ("10.0.0.1:1", &["unknown"], None),
            ("10.0.0.1:1", &[], Some("10.0.0.1")),
        ];
        for (peer, forwarded, expected) in table {
            assert_eq!(
                client(peer, forwarded).as_deref(),
                expected,
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn an_address_must_be_in_a_network_where_there_is_one() {
        let networks = ["192.0.2.0/24", "2001:db8::/32"].map(str::to_owned);
        let is = |address: &str| is_in(&networks, address.parse().ok());
        assert!(is("192.0.2.7") && is("2001:db8::7"));
        assert!(!is("192.0.3.7") && !is("nobody"));
        assert!(is_in(&[], None));
    }
}
