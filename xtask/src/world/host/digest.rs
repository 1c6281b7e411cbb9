//! `sha256 PATH`: the digest of a file that a tool downloaded.
//! Knows nothing of which digest is the right one.
#![expect(clippy::disallowed_methods, reason = "a download is the tool's file, not one that workspace wrote")]

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;
use sha2::{Digest, Sha256};

use crate::tools::{Exit, Output};

/// Exit 0 and the digest in hexadecimal, or 1 and the reason on stderr.
pub fn answer(path: &Utf8Path) -> Output {
    let plain = path.components().all(|part| part.as_str() != "..");
    let digest = if plain { digest(path) } else { Err(io::ErrorKind::InvalidFilename.into()) };
    match digest {
        Ok(digest) => Output { stdout: format!("{digest}\n"), ..Output::of(Exit::Code(0)) },
        Err(e) => Output { stderr: format!("{path}: {e}\n"), ..Output::of(Exit::Code(1)) },
    }
}

fn digest(path: &Utf8Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hash.update(&buffer[..n]),
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
        assert_eq!(answer(path).stdout, want);
        assert_eq!(answer(&path.join("../../x")).exit, Exit::Code(1));
        assert!(answer(Utf8Path::new("/nowhere")).stderr.contains("No such file"));
    }
}
