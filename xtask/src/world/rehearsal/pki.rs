//! Certificates, keys and digests of the embedded world: made of names, so that the same story has the same bytes.
//! Knows nothing of who signs what; nothing here protects anything.

pub use crate::tools::reading::{base64, unbase64};
use sha2::{Digest, Sha256};

/// sha256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A PEM block whose content says what it is: `certificate of ca-app1-cp-3`.
pub fn pem(label: &str, what: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(what.as_bytes()))
}

/// What a block was made of.
#[cfg(test)]
pub fn what(pem: &str) -> Option<String> {
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    String::from_utf8(unbase64(&body)?).ok()
}

/// The certificate of an authority.
pub fn authority(ca: &str) -> String {
    pem("CERTIFICATE", &format!("authority {ca}"))
}

/// `sha256:…` of an authority's public key, as kubeadm pins it.
pub fn pin(ca: &str) -> String {
    format!("sha256:{}", sha256(format!("public key of {ca}").as_bytes()))
}

/// The administrator's certificate, signed by an authority.
pub fn admin(ca: &str) -> String {
    pem("CERTIFICATE", &format!("kubernetes-admin by {ca}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_what_it_is() {
        assert_eq!(what(&authority("ca-x")).unwrap(), "authority ca-x");
        assert_ne!(pin("ca-x"), pin("ca-y"));
    }
}
