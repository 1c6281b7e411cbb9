//! Secrets: one file each below `out/secrets` (0700), 0600 from the first moment, and out of every log.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

use camino::Utf8PathBuf;

use super::files::{Access, sync_folder};
use super::{Workspace, trouble};
use model::problem::Problem;

/// Values shorter than this are not scrubbed: they would tear holes into harmless text.
const SHORTEST_SCRUBBED: usize = 8;
/// As many bytes as the standard library looks for at once.
const BEGINNING: usize = 32;
/// Length of a minted secret: what the secret half of a bootstrap token must have.
const MINTED: usize = 16;

impl Workspace {
    /// Keeps secrets that belong together. Whoever is interrupted leaves some of the names without a file, never a
    /// new value beside an old one.
    ///
    /// # Errors
    /// A name that is no file name, or the disk says no.
    pub fn keep_secrets(&mut self, batch: &[(&str, &str)]) -> Result<(), Problem> {
        for (name, value) in batch {
            self.see(name, value);
        }
        let paths = batch.iter().map(|(name, _)| self.secret_path(name)).collect::<Result<Vec<_>, _>>()?;
        let folder = self.out.join("secrets");
        self.folder(&folder, Access::Private)?;
        paths.iter().try_for_each(|path| self.remove(path))?;
        if self.lasting {
            sync_folder(&folder).map_err(|e| trouble("write", self.shown(&folder), &e))?;
        }
        for (path, (_, value)) in paths.iter().zip(batch) {
            self.put(path, value.as_bytes(), Access::Private)?;
        }
        Ok(())
    }

    /// The value of a secret, if it is kept. An empty file holds none.
    ///
    /// # Errors
    /// A name that is no file name, or a file that cannot be read.
    pub fn secret(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let path = self.secret_path(name)?;
        let Some(bytes) = self.bytes(&path)? else { return Ok(None) };
        let value = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        self.see(name, &value);
        Ok((!value.is_empty()).then_some(value))
    }

    /// Makes a random secret, `[a-z][a-z0-9]{15}`, and keeps it.
    ///
    /// # Errors
    /// There is no randomness, or the disk says no.
    pub fn mint(&mut self, name: &str) -> Result<(), Problem> {
        let value = File::open("/dev/urandom")
            .and_then(|source| letters(io::BufReader::with_capacity(64, source).bytes()))
            .map_err(|e| trouble("read", "/dev/urandom", &e))?;
        self.keep_secrets(&[(name, &value)])
    }

    /// Text with every known secret value replaced by its token.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (value, name) in &self.seen {
            if holds(&text, value) {
                text = Cow::Owned(text.replace(value.as_str(), &format!("<secret:{name}>")));
            }
        }
        text
    }

    /// Remembers a value that must not be shown.
    pub fn see(&mut self, name: &str, value: &str) {
        if value.len() >= SHORTEST_SCRUBBED {
            self.seen.insert(value.to_owned(), name.to_owned());
        }
    }

    /// Learns the secrets of earlier runs. What cannot be read cannot be shown either.
    pub(super) fn see_kept_secrets(&mut self) {
        for name in self.names_in(&self.out.join("secrets")) {
            let _ = self.secret(&name);
        }
    }

    fn secret_path(&self, name: &str) -> Result<Utf8PathBuf, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Problem::new(format!("not a name for a secret: `{name}`")));
        }
        self.below(&format!("secrets/{name}"))
    }
}

/// Whether a secret stands in a text. Its beginning alone is looked for first: what is short is found fast.
fn holds(text: &str, value: &str) -> bool {
    let most = value.len().min(BEGINNING);
    value.len() <= text.len()
        && value.get(..most).is_none_or(|beginning| text.contains(beginning))
        && text.contains(value)
}

/// A letter and then letters or digits, each as likely as the other: bytes that would favour some are passed over.
fn letters(source: impl Iterator<Item = io::Result<u8>>) -> io::Result<String> {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(MINTED);
    for byte in source {
        let byte = usize::from(byte?);
        let choices = if text.is_empty() { 26 } else { 36 };
        if byte < 256 / choices * choices {
            text.push(char::from(ALPHABET[byte % choices]));
        }
        if text.len() == MINTED {
            return Ok(text);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::scratch;
    use super::*;

    #[test]
    fn secrets_are_private_and_outlive_the_run() {
        let (_dir, mut space) = scratch();
        space.keep_secrets(&[("ca.cert", "c2VjcmV0LWNlcnQ="), ("ca.key", "c2VjcmV0LWtleQ==")]).unwrap();
        let mode = |p: &str| space.out().join(p).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets"), mode("secrets/ca.key")), (0o700, 0o600));
        let mut later = Workspace::open(space.root(), "out".into());
        assert_eq!(later.scrub("key=c2VjcmV0LWtleQ==;"), "key=<secret:ca.key>;");
        assert_eq!(later.secret("ca.cert").unwrap().as_deref(), Some("c2VjcmV0LWNlcnQ="));
        assert_eq!(later.secret("other").unwrap(), None);
    }

    #[test]
    fn an_interrupted_batch_leaves_no_mixture() {
        let (_dir, mut space) = scratch();
        space.keep_secrets(&[("a", "old-value-a"), ("b", "old-value-b")]).unwrap();
        // `b` cannot be removed: the batch fails after `a` is gone and before anything new is there.
        std::fs::remove_file(space.out().join("secrets/b")).unwrap();
        std::fs::create_dir_all(space.out().join("secrets/b/c")).unwrap();
        assert!(space.keep_secrets(&[("a", "new-value-a"), ("b", "new-value-b")]).is_err());
        assert_eq!(space.secret("a").unwrap(), None);
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let (_dir, mut space) = scratch();
        for name in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(space.keep_secrets(&[(name, "value")]).is_err(), "{name}");
        }
    }

    #[test]
    fn minted_secrets_fit_a_bootstrap_token() {
        let (_dir, mut space) = scratch();
        let mut mint = |name| {
            space.mint(name).unwrap();
            space.secret(name).unwrap().unwrap()
        };
        let (a, b) = (mint("a"), mint("b"));
        assert_ne!(a, b);
        assert!(a.len() == MINTED && a.starts_with(|c: char| c.is_ascii_lowercase()));
        assert!(a.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    }

    #[test]
    fn every_letter_is_as_likely() {
        // 255 down to 234 are passed over for the first letter: 234 is 9 * 26. Then nothing is above 252, 7 * 36.
        let made = letters((0..=255u8).rev().map(Ok)).unwrap();
        assert_eq!(made, "zqponmlkjihgfedc");
        assert!(letters(std::iter::empty()).is_err());
    }
}
