//! `dial ADDRESS PORT`: whether a port answers, and if not, in the system's own words why.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use tool::{Exit, Output};

/// A host of the same machine answers within milliseconds; a packet that is dropped is not worth more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Exit 0 if it answers, 1 and the reason on stderr if not. macOS says `No route to host` where it keeps a program
/// from the local network.
pub fn answer(address: &str, port: &str) -> Output {
    let (Ok(ip), Ok(number)) = (address.parse::<IpAddr>(), port.parse::<u16>()) else {
        return said(2, format!("not an address and a port: {address} {port}\n"));
    };
    match TcpStream::connect_timeout(&SocketAddr::new(ip, number), PATIENCE) {
        Ok(_) => said(0, String::new()),
        Err(e) => said(1, format!("{address}:{port}: {e}\n")),
    }
}

fn said(code: i32, stderr: String) -> Output {
    Output { stderr, ..Output::of(Exit::Code(code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_port_answers_and_a_closed_one_says_why() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        assert!(answer("127.0.0.1", &port).ok());
        drop(listener);
        let refused = answer("127.0.0.1", &port);
        assert_eq!(refused.exit, Exit::Code(1));
        assert!(refused.stderr.contains("Connection refused"), "{}", refused.stderr);
        assert_eq!(answer("app1-api", "x").exit, Exit::Code(2));
    }
}
