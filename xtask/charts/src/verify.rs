//! Whether releases fit the clusters that they go to. Each part of it judges one thing.
//! Knows nothing of Helm: it is given values and what was rendered from them.

pub mod amounts;
pub mod images;
pub mod keys;
pub mod memory;
pub mod namespaces;

use std::net::Ipv4Addr;

use model::token::{self, Token};

/// The address of every node in what is rendered: of the range that is kept for documentation (RFC 5737).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// Values as Helm would be fed them, with samples in place of what only a run knows: [`ADDRESS`], and base64 that
/// says what it is. A certificate and its key are left out: charts
/// parse what they are given (cilium 1.20 refuses all but a real pair), and make their own where there is none.
pub fn sampled(values: &str) -> String {
    let sample = |token: Token<'_>| {
        Some(match token {
            Token::Fact(name) if name.ends_with(".ip") => ADDRESS.to_string(),
            Token::Fact(_) => format!("sha256:{}", "0".repeat(64)),
            Token::Secret(name) if [".cert", ".key"].iter().any(|end| name.ends_with(end)) => String::new(),
            // printf sample | base64
            Token::Secret(_) => "c2FtcGxl".to_owned(),
            Token::Digest(_) => "0".repeat(32),
        })
    };
    token::complete(values, sample).expect("bug: there is a sample for every token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_a_sample() {
        let values = "ip: <fact:app1.cp.ip>\nca: <fact:app1.ca-hash>\nkey: <secret:x>\nof: <digest:a.yaml>\n\
                      cert: <secret:mesh-ca.cert>\n";
        let sampled = sampled(values);
        assert!(sampled.starts_with("ip: 192.0.2.10\nca: sha256:000") && sampled.ends_with("\ncert: \n"), "{sampled}");
    }
}
