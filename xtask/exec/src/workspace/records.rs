//! Records of a run: the journal, one synced line at a time, and a log for each attempt of each step.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8PathBuf;

use super::files::Access;
use super::{Workspace, io_problem, size_limits};
use model::problem::Problem;

const JOURNAL: &str = "journal.jsonl";
/// Limit of a log, so that a tool that prints without end cannot fill the disk.
const LOG_CAP: usize = 64 * 1024 * 1024;
/// Last line of a log that reached the limit.
const LOG_CUT: &str = "... the rest is left out: this log has reached 64 MiB\n";

#[derive(Debug)]
pub(super) struct Log {
    attempt: u32,
    /// `None` after a write failed.
    file: Option<File>,
    written: usize,
}

impl Workspace {
    /// The journal, or the end of a very large one; empty if there is none.
    pub fn journal(&self) -> Result<String, Problem> {
        let path = self.journal_path()?;
        if let Some(memory) = &self.memory {
            return Ok(memory.text(&path).unwrap_or_default());
        }
        match size_limits::read_tail(&path, size_limits::JOURNAL_TAIL) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(io_problem("read", self.shown(&path), &e)),
        }
    }

    /// Appends a redacted line to the journal, and syncs it to disk.
    pub fn append_journal(&self, line: &str) -> Result<(), Problem> {
        let line = format!("{}\n", self.redact(line.trim_end()));
        if let Some(memory) = &self.memory {
            memory.append(&self.out.join(JOURNAL), &line);
            return Ok(());
        }
        self.create_folder(self.out(), Access::Public)?;
        let path = self.journal_path()?;
        let append = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
            // A run that was killed while writing leaves an incomplete line: this one must not continue it.
            let complete = ends_with_newline(&mut file)?;
            let line = if complete { line.clone() } else { format!("\n{line}") };
            file.write_all(line.as_bytes())?;
            if self.fsync { file.sync_data() } else { Ok(()) }
        };
        append().map_err(|e| io_problem("write", self.shown(&path), &e))
    }

    /// The log of an attempt, as the user would type its path.
    pub fn log_path(&self, step: &str, attempt: u32) -> String {
        self.shown(&self.log_file(step, attempt)).to_owned()
    }

    /// Whether logs are written: not in memory.
    pub fn writes_logs(&self) -> bool {
        self.memory.is_none()
    }

    /// Appends a redacted line to the log of an attempt. The first line of an attempt in this run replaces the log of
    /// earlier runs. A log that cannot be written is a deferred warning.
    pub fn log(&mut self, step: &str, attempt: u32, line: &str) {
        if !self.writes_logs() {
            return;
        }
        if self.logs.get(step).is_none_or(|log| log.attempt != attempt) {
            let file = self.open_log(step, attempt);
            self.logs.insert(step.to_owned(), Log { attempt, file, written: 0 });
        }
        let line = format!("{}\n", self.redact(line));
        let Some(log) = self.logs.get_mut(step) else { return };
        if let Err(e) = log.append(&line) {
            log.file = None;
            let path = self.log_path(step, attempt);
            self.warn_deferred(io_problem("write", &path, &e));
        }
    }

    fn open_log(&mut self, step: &str, attempt: u32) -> Option<File> {
        let path = self.log_file(step, attempt);
        let ready = self.checked_path("logs").and_then(|folder| self.create_folder(&folder, Access::Private));
        let opened = ready.and_then(|()| self.checked_path(path.strip_prefix(&self.out).unwrap_or(&path).as_str()));
        let opened = opened.and_then(|path| {
            let mut options = OpenOptions::new();
            let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
            opened.map_err(|e| io_problem("write", self.shown(&path), &e))
        });
        opened.map_err(|problem| self.warn_deferred(problem)).ok()
    }

    fn journal_path(&self) -> Result<Utf8PathBuf, Problem> {
        self.checked_path(JOURNAL)
    }

    fn log_file(&self, step: &str, attempt: u32) -> Utf8PathBuf {
        self.out.join("logs").join(format!("{}.{attempt}.log", step.replace('/', "-")))
    }
}

impl Log {
    fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.written + line.len() > LOG_CAP {
            let mut full = self.file.take();
            return full.as_mut().map_or(Ok(()), |file| file.write_all(LOG_CUT.as_bytes()));
        }
        self.written += line.len();
        file.write_all(line.as_bytes())
    }
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;
    use super::*;

    #[test]
    fn journal_lines_are_appended_after_an_incomplete_one() {
        let (_dir, space) = temp_workspace();
        assert_eq!(space.journal().unwrap(), "");
        space.append_journal("one").unwrap();
        let path = space.journal_path().unwrap();
        std::fs::write(&path, "one\n{\"tw").unwrap();
        space.append_journal("three").unwrap();
        space.append_journal("four").unwrap();
        assert_eq!(space.journal().unwrap(), "one\n{\"tw\nthree\nfour\n");
        std::fs::remove_file(&path).unwrap();
        space.append_journal("five").unwrap();
        assert_eq!(space.journal().unwrap(), "five\n");
    }

    #[test]
    fn logs_are_per_attempt_and_redacted() {
        let (_dir, mut space) = temp_workspace();
        space.register_secret("app1.join-secret", "abcdef0123456789");
        space.log("app1/cp/init", 1, "token arc002.abcdef0123456789");
        space.log("app1/cp/init", 1, "more");
        space.log("app1/cp/init", 2, "again");
        assert_eq!(space.log_path("app1/cp/init", 1), "out/logs/app1-cp-init.1.log");
        let read = |n| space.read(space.log_path("app1/cp/init", n).as_str().into()).unwrap();
        assert_eq!(read(1), "token arc002.<secret:app1.join-secret>\nmore\n");
        assert_eq!(read(2), "again\n");
    }

    #[test]
    fn a_new_run_replaces_the_log() {
        let (_dir, mut space) = temp_workspace();
        space.log("a", 1, "old");
        let mut later = Workspace::open(space.root(), "out".into());
        later.log("a", 1, "new");
        assert_eq!(later.read("out/logs/a.1.log".into()).unwrap(), "new\n");
    }

    #[test]
    fn unwritable_log_is_one_warning() {
        let (_dir, mut space) = temp_workspace();
        space.write("logs", b"in the way").unwrap();
        space.log("a", 1, "x");
        space.log("a", 1, "y");
        let warnings = space.deferred_warnings();
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].what, "cannot create folder `out/logs`");
        assert!(space.deferred_warnings().is_empty());
    }

    #[test]
    fn full_disk_is_reported_with_a_hint() {
        let mut log = Log { attempt: 1, file: OpenOptions::new().write(true).open("/dev/full").ok(), written: 0 };
        if log.file.is_none() {
            return; // macOS has no such device.
        }
        let problem = io_problem("write", "out/logs/a.1.log", &log.append("x\n").unwrap_err());
        assert_eq!(problem.why.as_deref(), Some("no space left on device"));
        assert_eq!(problem.hint.as_deref(), Some("df -h ."));
    }

    #[test]
    fn log_is_cut_at_its_limit() {
        let (_dir, space) = temp_workspace();
        space.write("log", b"").unwrap();
        let path = space.out().join("log");
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut log = Log { attempt: 1, file: Some(file), written: LOG_CAP - 1 };
        log.append("xy").unwrap();
        log.append("z").unwrap();
        assert_eq!(space.read(&path).unwrap(), LOG_CUT);
    }
}
