//! Certificates, keys and digests of the embedded world: made of names, so that the same story has the same bytes.
//! Knows nothing of who signs what; nothing here protects anything.

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

/// As much of a certificate as says when it is valid, in DER (RFC 5280, 4.1): of two times as `YYMMDDHHMMSSZ`.
pub fn leaf(from: &str, until: &str) -> String {
    let sequence = |inside: String| format!("\x30{}{inside}", char::from(inside.len() as u8));
    let time = |text: &str| format!("\x17{}{text}", char::from(text.len() as u8));
    let (serial, signature, issuer) = ("\x02\x01\x01", sequence(String::new()), sequence(String::new()));
    let validity = sequence(time(from) + &time(until));
    pem("CERTIFICATE", &sequence(sequence(format!("{serial}{signature}{issuer}{validity}"))))
}

/// The administrator's certificate, signed by an authority.
pub fn admin(ca: &str) -> String {
    pem("CERTIFICATE", &format!("kubernetes-admin by {ca}"))
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, padded.
pub fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { letter.into() } else { '=' });
        }
    }
    out
}

/// What a letter stands for: its place in [`LETTERS`].
fn value(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The bytes of base64 text; `None` if it is not.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut word, mut bits) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes().filter(|b| !b.is_ascii_whitespace()) {
        word = word << 6 | u32::from(value(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 255) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(unbase64(coded).unwrap(), plain.as_bytes());
        }
        assert_eq!(unbase64("a-b"), None);
    }

    #[test]
    fn a_block_says_what_it_is() {
        assert_eq!(what(&authority("ca-x")).unwrap(), "authority ca-x");
        assert_ne!(pin("ca-x"), pin("ca-y"));
    }
}
