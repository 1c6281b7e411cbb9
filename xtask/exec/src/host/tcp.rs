//! `dial ADDRESS PORT`: whether a TCP port accepts connections, and if not, the system's error.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use tool::{Exit, Output};

/// A host on the same machine answers within milliseconds, unless packets are dropped.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Exit 0 if it accepts, 1 and the reason on stderr if not. macOS reports `No route to host` where it denies a program
/// access to the local network (canonical/multipass#3766).
pub fn connect(address: &str, port: &str) -> Output {
    let (code, stderr) = match (address.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(ip), Ok(number)) => match TcpStream::connect_timeout(&SocketAddr::new(ip, number), TIMEOUT) {
            Ok(_) => (0, String::new()),
            Err(e) => (1, format!("{address}:{port}: {e}\n")),
        },
        _ => (2, format!("not an address and a port: {address} {port}\n")),
    };
    Output { stderr, ..Output::of(Exit::Code(code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_port_succeeds_and_closed_port_reports_why() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        assert!(connect("127.0.0.1", &port).ok());
        drop(listener);
        let refused = connect("127.0.0.1", &port);
        assert_eq!(refused.exit, Exit::Code(1));
        assert!(refused.stderr.contains("Connection refused"), "{}", refused.stderr);
        assert_eq!(connect("app1-api", "x").exit, Exit::Code(2));
    }
}
