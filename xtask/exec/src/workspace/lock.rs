//! One run at a time: a file lock that the kernel releases when its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};

use super::files::Access;
use super::{Workspace, clock, io_problem};
use model::problem::Problem;

/// The lock of this run, released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Workspace {
    /// Takes `out/lock` for a command. What counts is the kernel's lock on the file, not its presence.
    ///
    /// # Errors
    /// Another run holds it (with its pid and command), or the file cannot be written.
    pub fn lock(&self, command: &str) -> Result<Lock, Problem> {
        self.create_folder(self.out(), Access::Public)?;
        let path = self.checked_path("lock")?;
        let name = self.shown(&path);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| io_problem("write", name, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by(&mut file, name)),
            Err(TryLockError::Error(e)) => return Err(io_problem("lock", name, &e)),
        }
        write_holder(&mut file, command).map_err(|e| io_problem("write", name, &e))?;
        self.empty_temp_folder()?;
        Ok(Lock { file })
    }

    pub fn is_locked(&self) -> bool {
        let file = File::open(self.out().join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn empty_temp_folder(&self) -> Result<(), Problem> {
        let temp = self.temp_folder()?;
        let entries = temp.read_dir_utf8().map_err(|e| io_problem("read folder", self.shown(&temp), &e))?;
        entries.flatten().try_for_each(|entry| self.remove_file(entry.path()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // For people who read the file; closing it is what releases the lock.
        let _ = self.file.set_len(0);
    }
}

fn write_holder(file: &mut File, command: &str) -> io::Result<()> {
    file.set_len(0)?;
    let text = format!("pid {}\ncommand {command}\nsince {}\n", std::process::id(), clock::now());
    file.write_all(text.as_bytes())
}

fn held_by(file: &mut File, name: &str) -> Problem {
    let mut text = String::new();
    // The holder may not have written its line yet: then it stays unnamed.
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
    use super::super::tests::temp_workspace;

    #[test]
    fn second_run_is_refused_with_the_holder() {
        let (_dir, space) = temp_workspace();
        let lock = space.lock("bootstrap").unwrap();
        let problem = space.lock("destroy").unwrap_err();
        let start = format!("another run holds the lock: pid {}, `bootstrap` since 20", std::process::id());
        assert!(problem.what.starts_with(&start), "{}", problem.what);
        assert_eq!(problem.at.unwrap().to_string(), "out/lock");
        drop(lock);
        space.lock("destroy").unwrap();
    }

    #[test]
    fn lock_file_of_a_dead_process_is_taken_over() {
        let (_dir, space) = temp_workspace();
        space.write("lock", b"pid 1\ncommand bootstrap\nsince 2026-11-22T14:02:07Z\n").unwrap();
        space.write("tmp/half", b"secret").unwrap();
        let _lock = space.lock("bootstrap").unwrap();
        assert!(!space.out().join("tmp/half").exists());
    }
}
