//! Commands of outside tools as values: the exact argv, stdin, and what is captured from the output.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use model::token;

pub mod answer;
pub mod awk;
pub mod builtin;
pub mod certificate;
pub mod cilium;
pub mod curl;
pub mod docker;
pub mod expect;
pub mod extract;
pub mod guest_exit;
pub mod helm;
pub mod kubectl;
pub mod openssl;

pub mod tar;
pub mod vault;
mod world;

pub use expect::Expect;
pub use world::{Call, Event, TaskId, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    Multipass,
    Kubectl,
    Helm,
    Cilium,
    Docker,
    Openssl,
    Curl,
    Tar,
    /// xtask itself: see [`crate::builtin`].
    Builtin,
}

impl Tool {
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
            Tool::Builtin => "xtask",
        }
    }
}

/// What a command reads on standard input. It is always closed afterwards: some tools hang on an open one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    #[default]
    Closed,
    /// A generated file by its path below `out/`, interpolated with facts and secrets.
    File(String),
    /// A text, interpolated likewise.
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extractor {
    /// The whole of stdout, trimmed.
    Stdout,
    /// A scalar in JSON, by RFC 6901 pointer.
    Pointer(String),
    /// The first capture of a regular expression over stdout (multi-line mode).
    Match(String),
    /// The number of the next revision of a Helm release (`NAMESPACE/NAME`), from the table of all.
    NextRevision(String),
    /// The first capture of a regular expression over stdout, with a final newline, in base64.
    MatchBase64(String),
}

/// A value captured from a successful command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The name, as in `<fact:name>` or `<secret:name>`.
    pub name: String,
    pub from: Extractor,
    /// A secret is stored in `out/secrets` (0600); the command's stdout is then neither shown nor logged.
    pub secret: bool,
}

/// One command, with tokens in place of values known at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub tool: Tool,
    pub args: Vec<String>,
    pub stdin: Stdin,
    pub env: Vec<(String, String)>,
    /// Whether it changes anything; a probe never does.
    pub mutates: bool,
    /// Whether a non-zero exit is ignored: the step's probe decides.
    pub ignore_exit: bool,
    /// The exit code after which no other attempt can end better: its step fails at once.
    pub final_exit: Option<i32>,
    /// A failure whose stderr matches this regular expression is none: the same is under way elsewhere, and the step's
    /// probe is waited for.
    pub under_way: Option<&'static str>,
    pub captures: Vec<Capture>,
    /// Ends what it began elsewhere, as in a machine, once it was killed here.
    pub end: Option<Box<Command>>,
}

impl Command {
    pub fn ask<S: Into<String>>(tool: Tool, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Command {
            tool,
            args,
            stdin: Stdin::Closed,
            env: vec![],
            mutates: false,
            ignore_exit: false,
            final_exit: None,
            under_way: None,
            captures: vec![],
            end: None,
        }
    }

    pub fn act<S: Into<String>>(tool: Tool, args: impl IntoIterator<Item = S>) -> Self {
        Command { mutates: true, ..Command::ask(tool, args) }
    }

    #[must_use]
    pub fn stdin_file(mut self, file: impl Into<String>) -> Self {
        self.stdin = Stdin::File(file.into());
        self
    }

    #[must_use]
    pub fn stdin_text(mut self, text: impl Into<String>) -> Self {
        self.stdin = Stdin::Text(text.into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn under_way(mut self, stderr: &'static str) -> Self {
        self.under_way = Some(stderr);
        self
    }

    #[must_use]
    pub fn ignore_exit(mut self) -> Self {
        self.ignore_exit = true;
        self
    }

    #[must_use]
    pub fn capture(mut self, name: impl Into<String>, from: Extractor) -> Self {
        self.captures.push(Capture { name: name.into(), from, secret: false });
        self
    }

    #[must_use]
    pub fn capture_secret(mut self, name: impl Into<String>, from: Extractor) -> Self {
        self.captures.push(Capture { name: name.into(), from, secret: true });
        self
    }

    /// Whether its stdout must not be seen.
    pub fn sensitive(&self) -> bool {
        self.captures.iter().any(|l| l.secret)
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let told = match &self.stdin {
            Stdin::Text(text) => Some(text.as_str()),
            _ => None,
        };
        self.args.iter().map(String::as_str).chain(self.env.iter().map(|(_, v)| v.as_str())).chain(told)
    }

    pub fn arg_tokens(&self) -> Vec<token::Token<'_>> {
        self.args.iter().flat_map(|a| token::tokens(a)).collect()
    }
}

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

/// Quotes an argument for a POSIX shell, except for tokens.
pub fn quoted(arg: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+<>".contains(c);
    if !arg.is_empty() && arg.chars().all(bare) && (!arg.contains(['<', '>']) || !token::tokens(arg).is_empty()) {
        Cow::Borrowed(arg)
    } else {
        Cow::Owned(format!("'{}'", arg.replace('\'', r"'\''")))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    Code(i32),
    /// By a signal of somebody else.
    Signal(i32),
    TimedOut,
    /// Ended by the user's interrupt.
    Stopped,
    /// Not on PATH.
    Missing,
    /// It could not be started; the reason.
    NotStarted(String),
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Output {
    pub exit: Exit,
    /// Empty for a sensitive command without captures.
    pub stdout: String,
    pub stderr: String,
    /// Whether the middle of a long stream was dropped.
    pub cut: bool,
}

impl Output {
    pub fn of(exit: Exit) -> Self {
        Output { exit, stdout: String::new(), stderr: String::new(), cut: false }
    }

    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub ask: Duration,
    pub act: Duration,
    pub attempts: u32,
    /// Pause before the next attempt; doubles each time, up to eight times as long.
    pub pause: Duration,
    /// How long after an act the probe may still fail before the attempt counts as failed.
    pub settle: Duration,
}

impl Limits {
    pub const QUICK: Limits = Limits {
        ask: Duration::from_secs(60),
        act: Duration::from_secs(120),
        attempts: 3,
        pause: Duration::from_secs(2),
        settle: Duration::from_secs(10),
    };

    #[must_use]
    pub const fn minutes(self, act: u64) -> Self {
        Limits { act: Duration::from_secs(60 * act), ..self }
    }

    #[must_use]
    pub const fn settle(self, seconds: u64) -> Self {
        Limits { settle: Duration::from_secs(seconds), ..self }
    }

    /// Number of attempts, and seconds between them.
    #[must_use]
    pub const fn attempts(self, attempts: u32, pause: u64) -> Self {
        Limits { attempts, pause: Duration::from_secs(pause), ..self }
    }
}
