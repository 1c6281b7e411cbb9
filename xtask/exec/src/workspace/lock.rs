//! One run at a time: a lock that the kernel takes back when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};

use super::files::Access;
use super::{Workspace, clock, trouble};
use model::problem::Problem;

/// Proof that this is the only run. Given back when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Workspace {
    /// Takes `out/lock` for a command. A file left by a dead process is no obstacle: what counts is the kernel's lock
    /// on it, not its presence.
    ///
    /// # Errors
    /// Another run holds it, by name; or the disk says no.
    pub fn lock(&self, command: &str) -> Result<Lock, Problem> {
        self.folder(self.out(), Access::Open)?;
        let path = self.below("lock")?;
        let name = self.shown(&path);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| trouble("write", name, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file, name)),
            Err(TryLockError::Error(e)) => return Err(trouble("lock", name, &e)),
        }
        sign(&mut file, command).map_err(|e| trouble("write", name, &e))?;
        self.empty_scratch()?;
        Ok(Lock { file })
    }

    /// Whether a run holds it now.
    pub fn is_locked(&self) -> bool {
        let file = File::open(self.out().join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Removes what runs that were killed left half written.
    fn empty_scratch(&self) -> Result<(), Problem> {
        let scratch = self.scratch()?;
        let entries = scratch.read_dir_utf8().map_err(|e| trouble("read folder", self.shown(&scratch), &e))?;
        entries.flatten().try_for_each(|entry| self.remove(entry.path()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // For people who look into the file; closing it is what gives the lock back.
        let _ = self.file.set_len(0);
    }
}

fn sign(file: &mut File, command: &str) -> io::Result<()> {
    file.set_len(0)?;
    let text = format!("pid {}\ncommand {command}\nsince {}\n", std::process::id(), clock::now());
    file.write_all(text.as_bytes())
}

fn held(file: &mut File, name: &str) -> Problem {
    let mut text = String::new();
    // The holder may be about to sign: then it stays unnamed.
    let _ = file.take(4096).read_to_string(&mut text);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let who = match (value("pid"), value("command"), value("since")) {
        (Some(pid), Some(command), Some(since)) => format!(": pid {pid}, `{command}` since {since}"),
        _ => String::new(),
    };
    Problem::new(format!("another run holds the lock{who}"))
        .at(name, None)
        .hint("wait for it, or stop it with Ctrl-C there")
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;

    #[test]
    fn the_second_is_refused_and_told_who_is_first() {
        let (_dir, space) = scratch();
        let lock = space.lock("bootstrap").unwrap();
        let problem = space.lock("destroy").unwrap_err();
        let start = format!("another run holds the lock: pid {}, `bootstrap` since 20", std::process::id());
        assert!(problem.what.starts_with(&start), "{}", problem.what);
        assert_eq!(problem.at.unwrap().to_string(), "out/lock");
        drop(lock);
        space.lock("destroy").unwrap();
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over() {
        let (_dir, space) = scratch();
        space.keep("lock", b"pid 1\ncommand bootstrap\nsince 2026-11-22T14:02:07Z\n").unwrap();
        space.keep("tmp/half", b"secret").unwrap();
        let _lock = space.lock("bootstrap").unwrap();
        assert!(!space.out().join("tmp/half").exists());
    }
}
