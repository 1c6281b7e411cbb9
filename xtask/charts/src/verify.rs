//! Checks whether releases fit their clusters, from their values and what was rendered from them.

pub mod cilium;
pub mod images;
pub mod keys;
pub mod kinds;
pub mod memory;
pub mod namespaces;
pub mod quantities;

use std::net::Ipv4Addr;

use model::token::{self, Token};

/// The address of every node in rendered objects, of a range for documentation (RFC 5737).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// Values with samples in place of tokens that only a run can complete. Certificates and keys are left empty: charts parse
/// them (cilium 1.20 refuses all but a real pair), and generate their own if there is none.
pub fn with_samples(values: &str) -> String {
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
        let sampled = with_samples(values);
        assert!(sampled.starts_with("ip: 192.0.2.10\nca: sha256:000") && sampled.ends_with("\ncert: \n"), "{sampled}");
    }
}
