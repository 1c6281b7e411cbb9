//! A new file that atomically replaces another, and is removed if it does not get there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(super) struct Replacement {
    pub(super) file: File,
    path: Utf8PathBuf,
}

impl Replacement {
    /// `mode`: its permissions, less the umask.
    pub(super) fn create_in(folder: &Utf8Path, mode: u32) -> io::Result<Self> {
        loop {
            // A killed process may have left one of this name.
            let name = format!(".new-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return Ok(Replacement { file: opened?, path }),
            }
        }
    }

    pub(super) fn replace(self, path: &Utf8Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // After `replace` there is no file of this name.
        let _ = std::fs::remove_file(&self.path);
    }
}
