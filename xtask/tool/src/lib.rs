//! The outside tools as values: an exact command line, what it is fed, and what is read from its answer.
//! Knows nothing of processes; argv builders and output readers for each tool are in `tools/`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use model::token;

pub mod awk;
pub mod cilium;
pub mod curl;
pub mod docker;
pub mod expect;
pub mod helm;
pub mod kubectl;
pub mod openssl;
pub mod own;
pub mod reading;
pub mod tar;
pub mod vault;
mod world;

pub use expect::Want;
pub use world::{Call, Event, TaskId, World};

/// A program that commands are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// Virtual machines.
    Multipass,
    /// The Kubernetes client on this machine.
    Kubectl,
    /// Chart releases.
    Helm,
    /// cilium-cli: status, connectivity test, sysdump. Never an owner of the release.
    Cilium,
    /// Services outside Kubernetes.
    Docker,
    /// The mesh certificate authority.
    Openssl,
    /// Downloads that are not charts.
    Curl,
    /// Unpacks downloads.
    Tar,
    /// Small acts of xtask itself that stand in a plan like any other: see [`crate::own`].
    Own,
}

impl Tool {
    /// The name of its executable.
    pub fn program(self) -> &'static str {
        match self {
            Tool::Multipass => "multipass",
            Tool::Kubectl => "kubectl",
            Tool::Helm => "helm",
            Tool::Cilium => "cilium",
            Tool::Docker => "docker",
            Tool::Openssl => "openssl",
            Tool::Curl => "curl",
            Tool::Tar => "tar",
            Tool::Own => "xtask",
        }
    }
}

/// What a command reads on standard input. It is always closed afterwards: some tools hang on an open one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Closed,
    /// A generated file, named by its path below `out/`, completed with facts and secrets.
    File(String),
    /// A short text, completed likewise.
    Text(String),
}

/// Where in an answer a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The whole of stdout, trimmed.
    Stdout,
    /// A scalar in JSON, by RFC 6901 pointer.
    Pointer(String),
    /// The first capture of a regular expression over stdout (multi-line mode).
    Match(String),
    /// The number that the next revision of a Helm release (`NAMESPACE/NAME`) will have, from the table of all.
    NextRevision(String),
    /// The first capture of a regular expression over stdout, with a final newline, in base64.
    MatchBase64(String),
}

/// A value that a successful command teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learn {
    /// The name, as in `<fact:name>` or `<secret:name>`.
    pub name: String,
    /// Where it stands.
    pub from: Reading,
    /// A secret is kept in `out/secrets` (0600) and never shown; the command's stdout is then neither logged nor kept.
    pub secret: bool,
}

/// One command: the very arguments, with tokens in place of what only the run knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub tool: Tool,
    /// Its arguments. No secrets here.
    pub args: Vec<String>,
    /// What it is fed.
    pub stdin: Stdin,
    /// Environment on top of the user's own.
    pub env: Vec<(String, String)>,
    /// Whether it changes anything. A probe's command never does.
    pub mutates: bool,
    /// Whether a non-zero exit is acceptable: the step's probe is the judge.
    pub any_exit: bool,
    /// What its answer teaches.
    pub learn: Vec<Learn>,
}

impl Command {
    /// A command that only reads.
    pub fn ask<S: Into<String>>(tool: Tool, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Command { tool, args, stdin: Stdin::Closed, env: vec![], mutates: false, any_exit: false, learn: vec![] }
    }

    /// A command that changes something.
    pub fn act<S: Into<String>>(tool: Tool, args: impl IntoIterator<Item = S>) -> Self {
        Command { mutates: true, ..Command::ask(tool, args) }
    }

    /// Feeds it a generated file.
    #[must_use]
    pub fn fed(mut self, file: impl Into<String>) -> Self {
        self.stdin = Stdin::File(file.into());
        self
    }

    /// Feeds it a short text.
    #[must_use]
    pub fn told(mut self, text: impl Into<String>) -> Self {
        self.stdin = Stdin::Text(text.into());
        self
    }

    /// Adds to its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Accepts any exit code.
    #[must_use]
    pub fn any_exit(mut self) -> Self {
        self.any_exit = true;
        self
    }

    /// Reads a fact from its answer.
    #[must_use]
    pub fn learn(mut self, name: impl Into<String>, from: Reading) -> Self {
        self.learn.push(Learn { name: name.into(), from, secret: false });
        self
    }

    /// Reads a secret from its answer.
    #[must_use]
    pub fn learn_secret(mut self, name: impl Into<String>, from: Reading) -> Self {
        self.learn.push(Learn { name: name.into(), from, secret: true });
        self
    }

    /// Whether its stdout must not be seen.
    pub fn hushed(&self) -> bool {
        self.learn.iter().any(|l| l.secret)
    }

    /// Every text that may hold a token: arguments, environment and short input.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let told = match &self.stdin {
            Stdin::Text(text) => Some(text.as_str()),
            _ => None,
        };
        self.args.iter().map(String::as_str).chain(self.env.iter().map(|(_, v)| v.as_str())).chain(told)
    }

    /// Tokens in the arguments, for the rule that no secret stands there.
    pub fn arg_tokens(&self) -> Vec<token::Token<'_>> {
        self.args.iter().flat_map(|a| token::tokens(a)).collect()
    }
}

/// The command as one line that a shell would take.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            f.write_str(name)?;
            f.write_str("=")?;
            f.write_str(&quoted(value))?;
            f.write_str(" ")?;
        }
        f.write_str(self.tool.program())?;
        for arg in &self.args {
            f.write_str(" ")?;
            f.write_str(&quoted(arg))?;
        }
        Ok(())
    }
}

/// An argument as a POSIX shell wants it; tokens stay bare so that a plan reads well.
pub fn quoted(arg: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+<>".contains(c);
    if !arg.is_empty() && arg.chars().all(bare) && (!arg.contains(['<', '>']) || !token::tokens(arg).is_empty()) {
        Cow::Borrowed(arg)
    } else {
        Cow::Owned(format!("'{}'", arg.replace('\'', r"'\''")))
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that we did not send.
    Signal(i32),
    /// We ended it: its time was over.
    TimedOut,
    /// We ended it: the user said stop.
    Stopped,
    /// There is no such program on PATH.
    Missing,
    /// It could not be started; the reason.
    NotStarted(String),
}

/// The answer of a command, capped by the world that ran it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output; empty when hushed and nothing is to be learnt.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Whether the world dropped the middle of a stream that was too long to keep.
    pub cut: bool,
}

impl Output {
    /// An answer with nothing but an exit.
    pub fn of(exit: Exit) -> Self {
        Output { exit, stdout: String::new(), stderr: String::new(), cut: false }
    }

    /// Whether it ended with code 0.
    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// How long things may take. Every step has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One run of the probe.
    pub ask: Duration,
    /// One command of the act.
    pub act: Duration,
    /// How often the whole act is tried.
    pub attempts: u32,
    /// Pause before the next attempt; doubles each time, up to eight times as long.
    pub pause: Duration,
    /// How long after an act the probe may still say no before the attempt counts as failed.
    pub settle: Duration,
}

impl Limits {
    /// For what answers at once.
    pub const QUICK: Limits = Limits {
        ask: Duration::from_secs(60),
        act: Duration::from_secs(120),
        attempts: 3,
        pause: Duration::from_secs(2),
        settle: Duration::from_secs(10),
    };

    /// The act may take this many minutes.
    #[must_use]
    pub const fn minutes(self, act: u64) -> Self {
        Limits { act: Duration::from_secs(60 * act), ..self }
    }

    /// The probe may go on saying no for this many seconds after the act.
    #[must_use]
    pub const fn settle(self, seconds: u64) -> Self {
        Limits { settle: Duration::from_secs(seconds), ..self }
    }

    /// Attempts, and seconds between them.
    #[must_use]
    pub const fn attempts(self, attempts: u32, pause: u64) -> Self {
        Limits { attempts, pause: Duration::from_secs(pause), ..self }
    }
}
