//! openssl command lines.

use super::{Command, Extractor, Tool};

pub fn version() -> Command {
    Command::ask(Tool::Openssl, ["version"])
}

/// A certificate authority as secrets `<name>.cert` and `<name>.key`, base64 of PEM. Neither `-keyout` nor `-out` is
/// given: only then OpenSSL and LibreSSL both write to stdout.
pub fn authority(name: &str, config: &str) -> Command {
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"];
    let args = ["req", "-x509", "-config", config, "-days", "3650"];
    let pem = |what: &str| Extractor::MatchBase64(format!(r"(-----BEGIN {what}-----[\s\S]*?-----END {what}-----)"));
    Command::act(Tool::Openssl, args.iter().chain(&curve).copied())
        .capture_secret(format!("{name}.key"), pem("(?:EC )?PRIVATE KEY"))
        .capture_secret(format!("{name}.cert"), pem("CERTIFICATE"))
}
