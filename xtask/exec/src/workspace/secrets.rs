//! Secrets: one file each below `out/secrets` (0700), created with mode 0600, and redacted in every log.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

use camino::Utf8PathBuf;

use super::files::{Access, sync_folder};
use super::{Workspace, io_problem};
use model::problem::Problem;

/// Shorter values are not redacted: they occur in harmless text.
const MIN_REDACTED: usize = 8;
/// As many bytes as the standard library searches for at once.
const PREFIX: usize = 32;
/// Length of a generated secret: that of the secret half of a bootstrap token.
const GENERATED: usize = 16;

impl Workspace {
    /// Stores secrets that belong together. An interrupted call leaves some of them without a file, never a new value
    /// beside an old one.
    ///
    /// # Errors
    /// An invalid name, or a file that cannot be written.
    pub fn store_secrets(&mut self, batch: &[(&str, &str)]) -> Result<(), Problem> {
        for (name, value) in batch {
            self.register_secret(name, value);
        }
        let paths = batch.iter().map(|(name, _)| self.secret_path(name)).collect::<Result<Vec<_>, _>>()?;
        let folder = self.out.join("secrets");
        self.create_folder(&folder, Access::Private)?;
        paths.iter().try_for_each(|path| self.remove_file(path))?;
        if self.fsync {
            sync_folder(&folder).map_err(|e| io_problem("write", self.shown(&folder), &e))?;
        }
        for (path, (_, value)) in paths.iter().zip(batch) {
            self.write_file(path, value.as_bytes(), Access::Private)?;
        }
        Ok(())
    }

    /// The value of a secret, `None` if there is no such file or it is empty.
    ///
    /// # Errors
    /// An invalid name, or a file that cannot be read.
    pub fn secret(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let path = self.secret_path(name)?;
        let Some(bytes) = self.read_bytes(&path)? else { return Ok(None) };
        let value = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        self.register_secret(name, &value);
        Ok((!value.is_empty()).then_some(value))
    }

    /// Stores a random secret, `[a-z][a-z0-9]{15}`.
    pub fn generate_secret(&mut self, name: &str) -> Result<(), Problem> {
        let value = File::open("/dev/urandom")
            .and_then(|source| random_text(io::BufReader::with_capacity(64, source).bytes()))
            .map_err(|e| io_problem("read", "/dev/urandom", &e))?;
        self.store_secrets(&[(name, &value)])
    }

    /// Text with every known secret value replaced by its token.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (value, name) in &self.secrets {
            if contains(&text, value) {
                text = Cow::Owned(text.replace(value.as_str(), &format!("<secret:{name}>")));
            }
        }
        text
    }

    pub fn register_secret(&mut self, name: &str, value: &str) {
        if value.len() >= MIN_REDACTED {
            self.secrets.insert(value.to_owned(), name.to_owned());
        }
    }

    /// Registers the secrets of earlier runs. One that cannot be read cannot be printed either.
    pub(super) fn load_secrets(&mut self) {
        for name in self.file_names(&self.out.join("secrets")) {
            let _ = self.secret(&name);
        }
    }

    fn secret_path(&self, name: &str) -> Result<Utf8PathBuf, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Problem::new(format!("invalid secret name: `{name}`")));
        }
        self.checked_path(&format!("secrets/{name}"))
    }
}

/// Whether a text contains a secret. Only its prefix is searched for first, which is fast.
fn contains(text: &str, value: &str) -> bool {
    let prefix = value.len().min(PREFIX);
    value.len() <= text.len() && value.get(..prefix).is_none_or(|prefix| text.contains(prefix)) && text.contains(value)
}

/// A letter, then letters or digits, uniformly distributed: bytes that would favour some are skipped.
fn random_text(source: impl Iterator<Item = io::Result<u8>>) -> io::Result<String> {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(GENERATED);
    for byte in source {
        let byte = usize::from(byte?);
        let choices = if text.is_empty() { 26 } else { 36 };
        if byte < 256 / choices * choices {
            text.push(char::from(ALPHABET[byte % choices]));
        }
        if text.len() == GENERATED {
            return Ok(text);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::temp_workspace;
    use super::*;

    #[test]
    fn secrets_are_private_and_persistent() {
        let (_dir, mut space) = temp_workspace();
        space.store_secrets(&[("ca.cert", "c2VjcmV0LWNlcnQ="), ("ca.key", "c2VjcmV0LWtleQ==")]).unwrap();
        let mode = |p: &str| space.out().join(p).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets"), mode("secrets/ca.key")), (0o700, 0o600));
        let mut later = Workspace::open(space.root(), "out".into());
        assert_eq!(later.redact("key=c2VjcmV0LWtleQ==;"), "key=<secret:ca.key>;");
        assert_eq!(later.secret("ca.cert").unwrap().as_deref(), Some("c2VjcmV0LWNlcnQ="));
        assert_eq!(later.secret("other").unwrap(), None);
    }

    #[test]
    fn interrupted_batch_never_mixes_old_and_new_values() {
        let (_dir, mut space) = temp_workspace();
        space.store_secrets(&[("a", "old-value-a"), ("b", "old-value-b")]).unwrap();
        // `b` cannot be removed: the batch fails after `a` is gone and before anything new is there.
        std::fs::remove_file(space.out().join("secrets/b")).unwrap();
        std::fs::create_dir_all(space.out().join("secrets/b/c")).unwrap();
        assert!(space.store_secrets(&[("a", "new-value-a"), ("b", "new-value-b")]).is_err());
        assert_eq!(space.secret("a").unwrap(), None);
    }

    #[test]
    fn invalid_names_are_refused() {
        let (_dir, mut space) = temp_workspace();
        for name in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(space.store_secrets(&[(name, "value")]).is_err(), "{name}");
        }
    }

    #[test]
    fn generated_secrets_fit_a_bootstrap_token() {
        let (_dir, mut space) = temp_workspace();
        let mut generate = |name| {
            space.generate_secret(name).unwrap();
            space.secret(name).unwrap().unwrap()
        };
        let (a, b) = (generate("a"), generate("b"));
        assert_ne!(a, b);
        assert!(a.len() == GENERATED && a.starts_with(|c: char| c.is_ascii_lowercase()));
        assert!(a.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    }

    #[test]
    fn random_letters_are_uniform() {
        // 255 down to 234 are skipped for the first letter: 234 is 9 * 26. Then nothing is above 252, 7 * 36.
        let text = random_text((0..=255u8).rev().map(Ok)).unwrap();
        assert_eq!(text, "zqponmlkjihgfedc");
        assert!(random_text(std::iter::empty()).is_err());
    }
}
