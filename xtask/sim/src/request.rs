//! A command as the simulated tools see it, what they answer, and the files they share with the real disk.
//! Knows nothing of what any tool does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tool::{Exit, Output, Tool};

/// One run of a command. The same value is shown to the stage until it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Names the run; a run that changes the stage over time is known by it. From [`super::Stage::next_run`].
    pub run: u64,
    /// The program.
    pub tool: Tool,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Environment on top of the user's own.
    pub env: Vec<(String, String)>,
    /// When it was started.
    pub since: Duration,
}

impl Request {
    /// What it reads, as text.
    pub fn text(&self) -> Cow<'_, str> {
        text(&self.stdin)
    }

    /// A variable of its environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The command line, for the list of what the stage does not know.
    pub fn line(&self) -> String {
        format!("{} {}", self.tool.program(), self.args.join(" "))
    }
}

/// What the stage says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// It ended; whatever it changed is changed.
    Done(Output),
    /// It is still at it, or waits for something: ask again after this time.
    Pending(Duration),
}

/// Files of the machine that tools read and write: kubeconfigs, chart archives, manifests.
pub trait Disk {
    /// The bytes of a file, if it is there.
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>>;
    /// Writes a file and the folders above it.
    ///
    /// # Errors
    /// The reason, as the tool would print it.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String>;
}

/// A disk that is gone with the value: for tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryDisk(
    /// Bytes by path.
    pub BTreeMap<String, Vec<u8>>,
);

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        self.0.get(path).cloned().map(Rc::new)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Bytes as text. What is UTF-8, as almost all is, is only looked at: `from_utf8_lossy` goes through it piece by piece.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Exit 0 with this on stdout.
pub(super) fn success(stdout: impl Into<String>) -> Output {
    Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) }
}

/// This exit code with this on stderr.
pub(super) fn failure(code: i32, stderr: impl Into<String>) -> Output {
    let mut stderr = stderr.into();
    if !stderr.ends_with('\n') {
        stderr.push('\n');
    }
    Output { stderr, ..Output::of(Exit::Code(code)) }
}

/// What a step of a simulated tool comes to: an answer early (`Err`), or a value to go on with.
pub(super) type ToolResult<T> = Result<T, Output>;
