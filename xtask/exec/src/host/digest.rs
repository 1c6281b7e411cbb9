//! `sha256 PATH` and `check PATH DIGEST`: prints or verifies the digest of a download.
#![expect(clippy::disallowed_methods, reason = "downloads are written by tools, not by workspace")]

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;

use crate::workspace::hex;
use tool::builtin::MISMATCH;
use tool::{Exit, Output};

/// Exit 0 and the digest in hexadecimal, or 1 and the reason on stderr.
pub fn print(path: &Utf8Path) -> Output {
    match sha256(path) {
        Ok(digest) => Output { stdout: format!("{digest}\n"), ..Output::of(Exit::Code(0)) },
        Err(e) => failed(format!("{path}: {e}")),
    }
}

/// Exit 0 if the file has this digest, `sha256:…` or `sha512:…`; 3 and both on stderr if it has another.
pub fn check(path: &Utf8Path, expected: &str) -> Output {
    let (kind, hex) = expected.split_once(':').unwrap_or(("", expected));
    let got = match kind {
        "sha256" => sha256(path),
        "sha512" => sha512(path),
        _ => return failed(format!("unsupported digest, not sha256 or sha512: `{expected}`")),
    };
    match got {
        Ok(got) if got == hex => Output::of(Exit::Code(0)),
        Ok(got) => Output {
            stderr: format!("digest mismatch for {path}\nwant {expected}\ngot  {kind}:{got}\n"),
            ..Output::of(Exit::Code(MISMATCH))
        },
        Err(e) => failed(format!("{path}: {e}")),
    }
}

fn failed(why: String) -> Output {
    Output { stderr: why + "\n", ..Output::of(Exit::Code(1)) }
}

fn sha256(path: &Utf8Path) -> io::Result<String> {
    let mut hash = hmac_sha256::Hash::new();
    read(path, &mut |bytes| hash.update(bytes))?;
    Ok(hex(&hash.finalize()))
}

fn sha512(path: &Utf8Path) -> io::Result<String> {
    let mut hash = hmac_sha512::Hash::new();
    read(path, &mut |bytes| hash.update(bytes))?;
    Ok(hex(&hash.finalize()))
}

fn read(path: &Utf8Path, update: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    if path.components().any(|part| part.as_str() == "..") {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        assert_eq!(print(path).stdout, want);
        assert_eq!(print(&path.join("../../x")).exit, Exit::Code(1));
        assert!(print(Utf8Path::new("/nowhere")).stderr.contains("No such file"));
    }

    #[test]
    fn digest_mismatch_reports_both() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        let long = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert_eq!(check(path, &format!("sha512:{long}")).exit, Exit::Code(0));
        let other = check(path, &format!("sha256:{}", "0".repeat(64)));
        assert!(other.exit == Exit::Code(MISMATCH) && other.stderr.contains("\ngot  sha256:ba7816bf"), "{other:?}");
        assert!(check(path, "md5:1").stderr.contains("md5:1"));
    }
}
