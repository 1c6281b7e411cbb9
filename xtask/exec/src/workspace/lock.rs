//! One run at a time: a file lock that the kernel releases when its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, test_kill_process};

use super::files::Access;
use super::{Workspace, clock, io_problem};
use model::problem::Problem;

/// Below `out/`.
const CHILDREN: &str = "lock.children";
/// A command that is over its limit is asked to end, and killed after this long.
const GRACE: Duration = Duration::from_secs(10);

/// The lock of this run, released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    children: Arc<ChildLock>,
}

/// The lock that commands that change something inherit, so that it is held until the last of them has ended, also if
/// their run was killed. In the file is a line for each as it is started, with its pid, and as it ends.
#[derive(Debug)]
pub struct ChildLock {
    file: Mutex<File>,
}

/// A command of a run that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub pid: Option<i32>,
    pub command: String,
    /// When its limit is over, in seconds since 1970.
    pub until: u64,
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
        let path = self.checked_path(CHILDREN)?;
        let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let children = open.map_err(|e| io_problem("write", self.shown(&path), &e))?;
        Ok(Lock { file, children: Arc::new(ChildLock { file: Mutex::new(children) }) })
    }

    pub fn is_locked(&self) -> bool {
        let file = File::open(self.out().join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The run that holds the lock, if one does: `pid 12, `bootstrap` since 2026-11-22T14:02:07Z`.
    pub fn lock_holder(&self) -> Option<String> {
        let mut file = File::open(self.out().join("lock")).ok().filter(|_| self.is_locked())?;
        Some(holder(&mut file).unwrap_or_else(|| "another run".to_owned()))
    }

    fn empty_temp_folder(&self) -> Result<(), Problem> {
        let temp = self.temp_folder()?;
        let entries = temp.read_dir_utf8().map_err(|e| io_problem("read folder", self.shown(&temp), &e))?;
        entries.flatten().try_for_each(|entry| self.remove_file(entry.path()))
    }
}

impl Lock {
    pub fn children(&self) -> Arc<ChildLock> {
        self.children.clone()
    }

    /// Commands of an earlier run that still hold the lock of its children. If there are none this run has it.
    ///
    /// # Errors
    /// The lock is held, and its file names no command; or the file cannot be read.
    pub fn orphans(&self) -> Result<Vec<Orphan>, Problem> {
        let name = format!("out/{CHILDREN}");
        let mut file = self.children.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).map_err(|e| io_problem("write", &name, &e))?;
                return Ok(vec![]);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(io_problem("lock", &name, &e)),
        }
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(|e| io_problem("read", &name, &e))?;
        let started = orphans(&text);
        let alive: Vec<Orphan> = started.iter().filter(|orphan| orphan.is_alive()).cloned().collect();
        let orphans = if alive.is_empty() { started } else { alive };
        if orphans.is_empty() {
            let what = "a command of an earlier run is still at work, and holds the lock of its run";
            return Err(Problem::new(what).at(&name, None).hint(format!("lsof {name}   # names it")));
        }
        Ok(orphans)
    }
}

impl ChildLock {
    /// Starts a command that inherits the lock; `pid` reads the pid of what was started.
    pub fn start<T>(
        &self,
        task: u64,
        command: &str,
        limit: Duration,
        start: impl FnOnce() -> io::Result<T>,
        pid: impl FnOnce(&T) -> u32,
    ) -> io::Result<T> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let until = clock::now_ms() / 1000 + (limit + GRACE).as_secs();
        // Before it is started: a run that is killed in between leaves no command unnamed.
        writeln!(file, "{task} until {until} {}", command.replace(['\n', '\r'], " "))?;
        fcntl_setfd(&*file, FdFlags::empty())?;
        let started = start();
        fcntl_setfd(&*file, FdFlags::CLOEXEC)?;
        match &started {
            Ok(child) => writeln!(file, "{task} pid {}", pid(child))?,
            Err(_) => writeln!(file, "{task} ended")?,
        }
        started
    }

    /// Records that a command has ended.
    pub fn end(&self, task: u64) {
        // Only names the commands of a killed run; what counts is the lock.
        let _ = writeln!(self.file.lock().unwrap_or_else(PoisonError::into_inner), "{task} ended");
    }
}

impl Orphan {
    fn is_alive(&self) -> bool {
        self.pid.and_then(Pid::from_raw).is_none_or(|pid| test_kill_process(pid).is_ok())
    }
}

/// The commands that were started and did not end, in their order.
fn orphans(text: &str) -> Vec<Orphan> {
    let mut all: Vec<(&str, Orphan)> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(task), Some(what)) = (words.next(), words.next()) else { continue };
        let value = words.next().unwrap_or_default();
        match what {
            "until" => {
                let command = words.next().unwrap_or_default().to_owned();
                all.push((task, Orphan { pid: None, command, until: value.parse().unwrap_or_default() }));
            }
            "pid" => {
                let pid = value.parse().ok();
                all.iter_mut().filter(|(started, _)| *started == task).for_each(|(_, orphan)| orphan.pid = pid);
            }
            _ => all.retain(|(started, _)| *started != task),
        }
    }
    all.into_iter().map(|(_, orphan)| orphan).collect()
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

fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    // The holder may not have written its line yet: then it stays unnamed.
    let _ = file.take(4096).read_to_string(&mut text);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Some(format!("pid {}, `{}` since {}", value("pid")?, value("command")?, value("since")?))
}

fn held_by(file: &mut File, name: &str) -> Problem {
    let who = holder(file).map(|who| format!(": {who}")).unwrap_or_default();
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
    fn commands_of_a_dead_run_are_those_that_did_not_end() {
        let text = "1 until 90 helm upgrade a\n1 pid 12\n2 until 80 kubectl apply\n2 pid 13\n2 ended\n3 until 70 x\n4 ";
        let found = super::orphans(text);
        let named: Vec<_> = found.iter().map(|o| (o.pid, o.command.as_str(), o.until)).collect();
        assert_eq!(named, [(Some(12), "helm upgrade a", 90), (None, "x", 70)]);
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
