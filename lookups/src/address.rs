//! Addresses that no look-up asks: those at which clouds tell a machine its own credentials.
//!
//! A URL has values of events in it, so what answers there must not be reachable by accident or by
//! design. A name is checked by what it resolves to, just before it is connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether a machine's own services are at an address: link-local ones, and Amazon's in IPv6.
pub(crate) fn is_own_service(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address == ALIBABA,
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_own_service(IpAddr::V4(address)),
            None => {
                let [first, second, ..] = address.segments();
                address.is_unicast_link_local() || (first, second) == AMAZON
            }
        },
    }
}

/// Alibaba Cloud's, which is not link-local.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The network of `fd00:ec2::254` and its like.
const AMAZON: (u16, u16) = (0xfd00, 0x0ec2);

/// The IPv4 address that one of IPv6 stands for: a mapped one, or one behind a translator.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let last = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    address.to_ipv4_mapped().or(translated.then_some(last))
}

/// The host of a URL that must not be asked, if it is an address itself.
pub(crate) fn refused(url: &Url, allowed: &[String]) -> Option<String> {
    let host = url.host_str()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = bare.parse().ok()?;
    let named = allowed.iter().any(|name| name == host || name == bare);
    (is_own_service(address) && !named).then(|| host.to_owned())
}

/// Resolves names and leaves such addresses out, but for hosts that are allowed.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) allowed: Arc<[String]>,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let named = allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
            let kept: Vec<SocketAddr> =
                found.iter().copied().filter(|it| named || !is_own_service(it.ip())).collect();
            if kept.is_empty() && !found.is_empty() {
                let why = format!("{host} is an address of a machine's own services");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why).into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_services_are_known_in_every_spelling() {
        for (host, own) in [
            ("169.254.169.254", true),
            ("2852039166", true),
            ("0xa9fea9fe", true),
            ("0251.0376.0251.0376", true),
            ("169.254.170.2", true),
            ("100.100.100.200", true),
            ("[fd00:ec2::254]", true),
            ("[fd00:0ec2:0:0:0:0:0:23]", true),
            ("[::ffff:169.254.169.254]", true),
            ("[::ffff:a9fe:a9fe]", true),
            ("[64:ff9b::a9fe:a9fe]", true),
            ("[fe80::1]", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("[::1]", false),
            ("[fd00:ec3::254]", false),
            ("api.acme.com", false),
        ] {
            let url = Url::parse(&format!("http://{host}/latest")).expect("a URL");
            assert_eq!(refused(&url, &[]).is_some(), own, "{host}");
            let allowed = [url.host_str().expect("a host").to_owned()];
            assert_eq!(refused(&url, &allowed), None, "{host} by name");
        }
    }

    #[tokio::test]
    async fn a_name_is_what_it_resolves_to() {
        let names = |allowed: &[&str]| {
            let allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
            Names { allowed }
        };
        let resolved = names(&[]).resolve("localhost".parse().expect("a name")).await;
        assert!(resolved.is_ok_and(|mut addresses| addresses.next().is_some()));
        // An address is a name to a resolver, too.
        let own = "169.254.169.254";
        let resolved = names(&[]).resolve(own.parse().expect("a name")).await;
        assert!(resolved.is_err_and(|error| error.to_string().contains("own services")));
        let resolved = names(&[own]).resolve(own.parse().expect("a name")).await;
        assert!(resolved.is_ok());
    }
}
