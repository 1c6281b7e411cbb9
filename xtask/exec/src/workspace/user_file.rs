//! A file of the user outside `out/`, changed as kubectl does it: under a lock beside it, and with a copy of what it was.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::replacement::Replacement;
use super::{io_problem, size_limits};
use model::problem::Problem;

/// Removed when the change is over, also after an error.
struct Lock(Utf8PathBuf);

impl Lock {
    fn take(path: Utf8PathBuf) -> Result<Self, Problem> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Lock(path)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let what = format!("`{}` is being changed by another program", path.as_str().trim_end_matches(".lock"));
                let hint = format!("rm {path}   # if no kubectl is running");
                Err(Problem::new(what).why(format!("`{path}` exists")).hint(hint))
            }
            Err(e) => Err(io_problem("create", path.as_str(), &e)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Replaces the file by what `change` makes of its text (empty if there is none), with mode 0600 if it is new. What it was
/// stays in `<file>.archipelago-backup`. A symbolic link stays one. No change writes nothing.
///
/// # Errors
/// The file is locked, or cannot be read or written; or that of `change`. The file is then as it was.
pub fn change(path: &Utf8Path, change: impl FnOnce(&str) -> Result<String, Problem>) -> Result<bool, Problem> {
    let path = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let failed = |what: &'static str| move |e: io::Error, path: &Utf8Path| io_problem(what, path.as_str(), &e);
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let exists = path.is_file();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| failed("create")(e, folder))?;
    let _lock = Lock::take(Utf8PathBuf::from(format!("{path}.lock")))?;
    let old = match exists {
        true => size_limits::read_regular(&path, size_limits::ANY).map_err(|e| failed("read")(e, &path))?,
        false => vec![],
    };
    let text = String::from_utf8(old.clone()).map_err(|_| {
        Problem::new(format!("`{path}` is not UTF-8")).hint("export KUBECONFIG=$(cargo xtask kubeconfig)")
    })?;
    let new = change(&text)?;
    if new == text {
        return Ok(false);
    }
    let mode = path.metadata().map_or(0o600, |data| data.permissions().mode() & 0o777);
    let write = |to: &Utf8Path, bytes: &[u8]| {
        let mut replacement = Replacement::create_in(folder, mode)?;
        replacement.file.write_all(bytes)?;
        replacement.file.sync_all()?;
        replacement.replace(to)
    };
    if exists {
        let backup = Utf8PathBuf::from(format!("{path}.archipelago-backup"));
        write(&backup, &old).map_err(|e| failed("write")(e, &backup))?;
    }
    write(&path, new.as_bytes()).map_err(|e| failed("write")(e, &path))?;
    Ok(true)
}
