//! A command as the simulated tools see it, their response, and the files they share with the real disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::prelude::*;
use tool::{Exit, Tool, guest_exit};

/// The same value is passed until it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Identifies the run, from [`crate::SimState::next_run`].
    pub run: u64,
    pub tool: Tool,
    pub args: Vec<String>,
    pub stdin: Vec<u8>,
    pub env: Vec<(String, String)>,
    pub since: Duration,
}

impl Request {
    pub fn text(&self) -> Cow<'_, str> {
        text(&self.stdin)
    }

    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn line(&self) -> String {
        let inner = self.args.iter().position(|arg| arg == "--").map_or(0, |at| at + 1);
        let (options, command) = self.args.split_at(inner);
        let words = options.iter().chain(guest_exit::unwrap(command).0);
        words.fold(self.tool.program().to_owned(), |line, word| line + " " + word)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    Done(Output),
    /// Repeat the request after this time.
    Pending(Duration),
}

impl Response {
    /// Until a job is done, at least a moment.
    pub fn pending_until(next: Duration, now: Duration) -> Self {
        Response::Pending(next.saturating_sub(now).max(Duration::from_millis(1)))
    }
}

/// Files that tools read and write: kubeconfigs, chart archives, manifests.
pub trait Disk {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>>;
    /// Creates parent folders. The error is text as the tool would print it.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String>;
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryDisk(pub BTreeMap<String, Vec<u8>>);

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        self.0.get(path).cloned().map(Rc::new)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Almost all is UTF-8, which `from_utf8_lossy` would check piece by piece.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

pub(super) fn success(stdout: impl Into<String>) -> Output {
    Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) }
}

pub(super) fn failure(code: i32, stderr: impl Into<String>) -> Output {
    let mut stderr = stderr.into();
    if !stderr.ends_with('\n') {
        stderr.push('\n');
    }
    Output { stderr, ..Output::of(Exit::Code(code)) }
}

pub(super) type ToolResult<T> = Result<T, Output>;
