//! Certificates, keys and digests, derived from names: the same run gives the same bytes, and nothing is protected.

use crate::external_secrets::utc;
pub use tool::extract::{base64, unbase64};

/// sha256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    hmac_sha256::Hash::hash(bytes).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A PEM block whose content is text: `certificate of ca-app1-cp-3`.
pub fn pem(label: &str, what: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(what.as_bytes()))
}

pub fn what(pem: &str) -> Option<String> {
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    String::from_utf8(unbase64(&body)?).ok()
}

pub fn authority(ca: &str) -> String {
    pem("CERTIFICATE", &format!("authority {ca}"))
}

/// The CA of a base64 certificate, as in a kubeconfig.
pub fn authority_in(data: &str) -> Option<String> {
    made_of(data, "authority ")
}

/// `sha256:…` of a CA's public key, as kubeadm pins it.
pub fn pin(ca: &str) -> String {
    format!("sha256:{}", sha256(format!("public key of {ca}").as_bytes()))
}

/// The part of a certificate with its validity, in DER (RFC 5280, 4.1); times in seconds since 1970.
pub fn leaf(from: u64, until: u64) -> String {
    let sequence = |inside: String| format!("\x30{}{inside}", char::from(inside.len() as u8));
    // `YYMMDDHHMMSSZ`, of fifteen bytes with its head.
    let time = |seconds| format!("\x17\x0d{}", utc(seconds)[2..].replace(['-', ':', 'T'], ""));
    let (serial, signature, issuer) = ("\x02\x01\x01", sequence(String::new()), sequence(String::new()));
    let validity = sequence(time(from) + &time(until));
    pem("CERTIFICATE", &sequence(sequence(format!("{serial}{signature}{issuer}{validity}"))))
}

pub fn admin(ca: &str) -> String {
    pem("CERTIFICATE", &format!("kubernetes-admin by {ca}"))
}

/// The CA that signed a base64 administrator's certificate.
pub fn signer_in(data: &str) -> Option<String> {
    made_of(data, "kubernetes-admin by ")
}

fn made_of(data: &str, kind: &str) -> Option<String> {
    let block = String::from_utf8(unbase64(data)?).ok()?;
    let made = what(&block).filter(|made| block.trim() == pem("CERTIFICATE", made).trim())?;
    made.strip_prefix(kind).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_titled() {
        assert_eq!(what(&authority("ca-x")).unwrap(), "authority ca-x");
        assert_ne!(pin("ca-x"), pin("ca-y"));
        let coded = |block: String| base64(block.as_bytes());
        assert_eq!(authority_in(&coded(authority("ca-x"))).as_deref(), Some("ca-x"));
        assert_eq!(signer_in(&coded(admin("ca-x"))).as_deref(), Some("ca-x"));
        assert_eq!((authority_in(&coded(admin("ca-x"))), signer_in("")), (None, None));
        assert_eq!(authority_in(&coded(pem("KEY", "authority ca-x"))), None);
    }
}
