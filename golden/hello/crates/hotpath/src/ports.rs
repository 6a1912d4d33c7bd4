//! The ports that the process listens on: for calls, and for admin and probes.
use crate::env::Env;
use hotpath_telemetry::Failure;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted, as tokio's own listener has it.
const BACKLOG: u32 = 1_024;

/// A port: the variable that names its address, and its number where the variable is absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    variable: &'static str,
    number: u16,
}

/// The port for calls.
pub(crate) const CALLS: Port = Port { variable: "LISTEN", number: 50_051 };
/// The port for `/metrics` and probes.
pub(crate) const ADMIN: Port = Port { variable: "ADMIN", number: 9_090 };

impl Port {
    /// The address: by default all of this machine's, of both IP families.
    ///
    /// # Errors
    /// If the variable is no address.
    pub(crate) fn address(self, env: &Env) -> Result<SocketAddr, Failure> {
        env.get(self.variable, SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.number)))
    }

    /// Listens.
    ///
    /// # Errors
    /// If the variable is no address, or the address cannot be had: the variable, its value, and why.
    pub(crate) fn bind(self, env: &Env) -> Result<TcpListener, Failure> {
        let address = self.address(env)?;
        let bound = match bind(address) {
            // A machine without IPv6. An address that somebody chose is not replaced by another.
            Err(error) if error.kind() != ErrorKind::AddrInUse && env.text(self.variable).is_none() => {
                bind((Ipv4Addr::UNSPECIFIED, self.number).into())
            }
            bound => bound,
        };
        bound.map_err(|error| format!("{}={address}: {}", self.variable, reason(&error)).into())
    }

    /// Where this machine itself reaches the port, first what is likely.
    ///
    /// # Errors
    /// If the variable is no address.
    pub(crate) fn loopbacks(self, env: &Env) -> Result<Vec<SocketAddr>, Failure> {
        let address = self.address(env)?;
        let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
        let ips = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![v4],
            IpAddr::V6(ip) if ip.is_unspecified() => vec![v4, Ipv6Addr::LOCALHOST.into()],
            ip => vec![ip],
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect())
    }
}

/// Listens on `address`; on `[::]` for IPv4 too, whatever the machine's default is.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() && address.ip().is_unspecified() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    // A restart may take the port of connections that are not quite closed.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Why an address cannot be had, and what helps.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "address in use: stop what listens there, or choose another port".into(),
        ErrorKind::AddrNotAvailable => "address not available: no interface of this machine has it".into(),
        ErrorKind::PermissionDenied => "permission denied: choose a port from 1024 on".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn by_default_both_families_are_served() {
        let port = Port { variable: "LISTEN", number: 0 };
        let listener = port.bind(&Env::default()).unwrap();
        let number = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, number)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, number)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let held = TcpListener::bind(taken).await.unwrap();
        let env = Env::from_pairs([("ADMIN", taken.to_string())]);
        let error = ADMIN.bind(&env).unwrap_err().to_string();
        assert!(error.starts_with(&format!("ADMIN={taken}: address in use: ")), "{error}");
        drop(held);
    }

    #[test]
    fn a_wrong_address_is_named() {
        let error = CALLS.address(&Env::from_pairs([("LISTEN", "nowhere")])).unwrap_err();
        assert_eq!(error.to_string(), "LISTEN=nowhere: invalid socket address syntax");
    }

    #[test]
    fn the_machine_itself_reaches_it_by_loopback() {
        let reached = |address: &str| CALLS.loopbacks(&Env::from_pairs([("LISTEN", address)])).unwrap();
        let parsed = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(reached("[::]:1"), [parsed("127.0.0.1:1"), parsed("[::1]:1")]);
        assert_eq!(reached("0.0.0.0:1"), [parsed("127.0.0.1:1")]);
        assert_eq!(reached("192.0.2.7:1"), [parsed("192.0.2.7:1")]);
    }
}
