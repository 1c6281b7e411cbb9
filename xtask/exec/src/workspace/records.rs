//! Records of a run: the journal, one synced line at a time, and a log for each attempt of each step.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8PathBuf;

use super::files::Access;
use super::{Workspace, bounds, trouble};
use model::problem::Problem;

/// The journal, below `out/`.
const JOURNAL: &str = "journal.jsonl";
/// A log ends here, so that a tool that never stops talking cannot fill the disk.
const LOG_CAP: usize = 64 * 1024 * 1024;
/// What a log is then closed with.
const LOG_CUT: &str = "... the rest is left out: this log has reached 64 MiB\n";

/// The log of one attempt.
#[derive(Debug)]
pub(super) struct Log {
    attempt: u32,
    /// Nothing once it cannot be written.
    file: Option<File>,
    written: usize,
}

impl Workspace {
    /// The journal as it stands, or the end of one that has grown beyond all measure; empty if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn journal(&self) -> Result<String, Problem> {
        let path = self.journal_path()?;
        if let Some(shelf) = &self.shelf {
            return Ok(shelf.text(&path).unwrap_or_default());
        }
        match bounds::end(&path, bounds::JOURNAL) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(trouble("read", self.shown(&path), &e)),
        }
    }

    /// Adds a line to the journal, scrubbed, and waits until the disk has it.
    ///
    /// # Errors
    /// The disk says no.
    pub fn journal_add(&self, line: &str) -> Result<(), Problem> {
        let line = format!("{}\n", self.scrub(line.trim_end()));
        if let Some(shelf) = &self.shelf {
            shelf.add(&self.out.join(JOURNAL), &line);
            return Ok(());
        }
        self.folder(self.out(), Access::Open)?;
        let path = self.journal_path()?;
        let add = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
            // A run that was killed within its write leaves half a line: it must not swallow this one.
            let whole = ends_with_newline(&mut file)?;
            let line = if whole { line.clone() } else { format!("\n{line}") };
            file.write_all(line.as_bytes())?;
            if self.lasting { file.sync_data() } else { Ok(()) }
        };
        add().map_err(|e| trouble("write", self.shown(&path), &e))
    }

    /// Where the log of an attempt is, as the user would type it.
    pub fn log_path(&self, step: &str, attempt: u32) -> String {
        self.shown(&self.log_file(step, attempt)).to_owned()
    }

    /// Whether logs are kept at all.
    pub fn keeps_logs(&self) -> bool {
        self.shelf.is_none()
    }

    /// Adds a line to the log of an attempt, scrubbed. The first line of an attempt in this run empties the log of
    /// earlier runs. A log that cannot be written becomes a complaint: it is no reason to stop.
    pub fn log(&mut self, step: &str, attempt: u32, line: &str) {
        if !self.keeps_logs() {
            return;
        }
        if self.logs.get(step).is_none_or(|log| log.attempt != attempt) {
            let file = self.open_log(step, attempt);
            self.logs.insert(step.to_owned(), Log { attempt, file, written: 0 });
        }
        let line = format!("{}\n", self.scrub(line));
        let Some(log) = self.logs.get_mut(step) else { return };
        if let Err(e) = log.add(&line) {
            log.file = None;
            let path = self.log_path(step, attempt);
            self.complain(trouble("write", &path, &e));
        }
    }

    fn open_log(&mut self, step: &str, attempt: u32) -> Option<File> {
        let path = self.log_file(step, attempt);
        let ready = self.below("logs").and_then(|folder| self.folder(&folder, Access::Private));
        let opened = ready.and_then(|()| self.below(path.strip_prefix(&self.out).unwrap_or(&path).as_str()));
        let opened = opened.and_then(|path| {
            let mut options = OpenOptions::new();
            let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
            opened.map_err(|e| trouble("write", self.shown(&path), &e))
        });
        opened.map_err(|problem| self.complain(problem)).ok()
    }

    fn journal_path(&self) -> Result<Utf8PathBuf, Problem> {
        self.below(JOURNAL)
    }

    fn log_file(&self, step: &str, attempt: u32) -> Utf8PathBuf {
        self.out.join("logs").join(format!("{}.{attempt}.log", step.replace('/', "-")))
    }
}

impl Log {
    fn add(&mut self, line: &str) -> io::Result<()> {
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
    use super::super::tests::scratch;
    use super::*;

    #[test]
    fn the_journal_only_grows_and_half_a_line_stays_alone() {
        let (_dir, space) = scratch();
        assert_eq!(space.journal().unwrap(), "");
        space.journal_add("one").unwrap();
        let path = space.journal_path().unwrap();
        std::fs::write(&path, "one\n{\"tw").unwrap();
        space.journal_add("three").unwrap();
        space.journal_add("four").unwrap();
        assert_eq!(space.journal().unwrap(), "one\n{\"tw\nthree\nfour\n");
        std::fs::remove_file(&path).unwrap();
        space.journal_add("five").unwrap();
        assert_eq!(space.journal().unwrap(), "five\n");
    }

    #[test]
    fn logs_are_by_attempt_and_hold_no_secret() {
        let (_dir, mut space) = scratch();
        space.see("app1.join-secret", "abcdef0123456789");
        space.log("app1/cp/init", 1, "token arc002.abcdef0123456789");
        space.log("app1/cp/init", 1, "more");
        space.log("app1/cp/init", 2, "again");
        assert_eq!(space.log_path("app1/cp/init", 1), "out/logs/app1-cp-init.1.log");
        let read = |n| space.read(space.log_path("app1/cp/init", n).as_str().into()).unwrap();
        assert_eq!(read(1), "token arc002.<secret:app1.join-secret>\nmore\n");
        assert_eq!(read(2), "again\n");
    }

    #[test]
    fn a_new_run_begins_a_new_log() {
        let (_dir, mut space) = scratch();
        space.log("a", 1, "old");
        let mut later = Workspace::open(space.root(), "out".into());
        later.log("a", 1, "new");
        assert_eq!(later.read("out/logs/a.1.log".into()).unwrap(), "new\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_one_complaint() {
        let (_dir, mut space) = scratch();
        space.keep("logs", b"in the way").unwrap();
        space.log("a", 1, "x");
        space.log("a", 1, "y");
        let complaints = space.complaints();
        assert_eq!(complaints.len(), 1);
        assert_eq!(complaints[0].what, "cannot make folder `out/logs`");
        assert!(space.complaints().is_empty());
    }

    #[test]
    fn a_full_disk_is_said_by_its_name() {
        let mut log = Log { attempt: 1, file: OpenOptions::new().write(true).open("/dev/full").ok(), written: 0 };
        if log.file.is_none() {
            return; // macOS has no such device.
        }
        let problem = trouble("write", "out/logs/a.1.log", &log.add("x\n").unwrap_err());
        assert_eq!(problem.why.as_deref(), Some("no space left on device"));
        assert_eq!(problem.hint.as_deref(), Some("df -h ."));
    }

    #[test]
    fn a_log_has_an_end() {
        let (_dir, space) = scratch();
        space.keep("log", b"").unwrap();
        let path = space.out().join("log");
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut log = Log { attempt: 1, file: Some(file), written: LOG_CAP - 1 };
        log.add("xy").unwrap();
        log.add("z").unwrap();
        assert_eq!(space.read(&path).unwrap(), LOG_CUT);
    }
}
