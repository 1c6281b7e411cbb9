//! multipass, kubectl, helm, cilium, openssl, curl and docker, by the name of the binary, over one simulated state.
//!
//! `FAKE_TOOL_STATE` names the state file. It is read and replaced under an exclusive lock on `<file>.lock`, always as a
//! whole, so that a kill at any moment leaves either the old state or the new one. Time is the file's own: it moves on
//! by what commands take, of which they really take a two-thousandth, and a hundred times as fast as ours in between.
//! Every command line is added to `<file>.asked`, one line of JSON each.
#![expect(clippy::disallowed_methods, reason = "a process of its own, on a real disk, in a test")]
#![expect(clippy::disallowed_macros, reason = "what it prints is what the tool would print")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sim::{Disk, Request, Response};
use tests::{Page, Times};
use tool::{Exit, Output, Tool};

/// How much faster than real time commands are, if `FAKE_TOOL_PACE` says nothing else.
const PACE: u32 = 2000;
/// How much faster time goes by between commands, if `FAKE_TOOL_IDLE` says nothing else. Where clocks of
/// several guests are compared it must be little: their answers are moments apart.
const IDLE: u32 = 100;

struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        fs::read(path).ok().map(Rc::new)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let path = Path::new(path);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        replace(path, bytes).map_err(|e| e.to_string())
    }
}

struct Book {
    file: PathBuf,
}

impl Book {
    /// Changes the state under the lock and writes it.
    fn turn<T>(&self, act: impl FnOnce(&mut Page) -> Result<T>) -> Result<T> {
        let lock = File::create(self.file.with_extension("lock")).context("the lock file")?;
        lock.lock().context("the lock")?;
        let mut page = self.read()?;
        let at = clock();
        page.times.now += idle(page.times.at, at);
        let outcome = act(&mut page)?;
        page.times.at = at;
        replace(&self.file, &page.bytes()?)?;
        Ok(outcome)
    }

    /// The time in there, as it stands at the head of the file; the rest is not read, nor is anybody kept waiting.
    fn now(&self) -> Result<Duration> {
        let Ok(file) = File::open(&self.file) else { return Ok(Duration::ZERO) };
        let mut head = String::new();
        BufReader::new(file).read_line(&mut head)?;
        let times: Times = serde_json::from_str(&head).context("the head of the state file")?;
        Ok(times.now + idle(times.at, clock()))
    }

    fn read(&self) -> Result<Page> {
        Page::read(&if self.file.exists() { fs::read(&self.file)? } else { Vec::new() })
    }

    fn note(&self, ask: &Request) -> Result<()> {
        let line = json!({ "pid": std::process::id(), "tool": ask.tool, "args": ask.args, "env": ask.env });
        let mut file = File::options().append(true).create(true).open(self.file.with_extension("asked"))?;
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }
}

/// Time out here, since 1970.
fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How far time in there has moved on between two moments out here.
fn idle(from: Duration, until: Duration) -> Duration {
    until.saturating_sub(from) * setting("FAKE_TOOL_IDLE", IDLE)
}

/// Writes a neighbour and renames it: the file is never half there.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let neighbour = path.with_file_name(name);
    fs::write(&neighbour, bytes)?;
    fs::rename(neighbour, path)
}

fn tool(name: &str) -> Result<Tool> {
    let all = [Tool::Multipass, Tool::Kubectl, Tool::Helm, Tool::Cilium, Tool::Docker, Tool::Openssl, Tool::Curl];
    // As `xtask` it answers those acts of our own that are the world's: machine, dial, sha256.
    all.into_iter()
        .chain([Tool::Builtin])
        .find(|t| t.program() == name)
        .with_context(|| format!("no tool is called {name}"))
}

fn setting(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// What the command reads. A terminal is never read: the real tools would wait there, and so would a test.
fn stdin() -> Result<Vec<u8>> {
    use std::io::IsTerminal;
    let mut bytes = Vec::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn run() -> Result<Output> {
    let mut args = std::env::args();
    let me = args.next().unwrap_or_default();
    let name = Path::new(&me).file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let Some(file) = std::env::var_os("FAKE_TOOL_STATE") else { bail!("FAKE_TOOL_STATE is not set") };
    let book = Book { file: file.into() };
    let (tool, args, stdin) = (tool(&name)?, args.collect(), stdin()?);
    let env = std::env::var("KUBECONFIG").map(|value| ("KUBECONFIG".to_owned(), value)).into_iter().collect();
    let pace = setting("FAKE_TOOL_PACE", PACE);
    let mut ask = Request { run: 0, tool, args, stdin, env, since: Duration::ZERO };
    book.note(&ask)?;
    // No command is answered at once: until then the state, which is large, is not even read.
    ask.since = book.now()?;
    let mut due = ask.since + ask.latency();
    std::thread::sleep(ask.latency() / pace);
    loop {
        let answer = book.turn(|page| {
            // Others may have moved time on meanwhile; it never goes back.
            page.times.now = page.times.now.max(due);
            if ask.run == 0 {
                ask.run = page.stage.next_run();
            }
            let answer = page.stage.answer(&ask, page.times.now, &mut RealDisk);
            if let Response::Pending(after) = &answer {
                due = page.times.now + *after;
            }
            Ok(answer)
        })?;
        match answer {
            Response::Done(output) => return Ok(output),
            Response::Pending(after) => std::thread::sleep(after / pace),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(output) => {
            // Whoever reads may be gone; that is no reason for another exit code.
            let _ = std::io::stdout().write_all(output.stdout.as_bytes());
            let _ = std::io::stderr().write_all(output.stderr.as_bytes());
            match output.exit {
                Exit::Code(code) => ExitCode::from(code.clamp(0, 255) as u8),
                _ => ExitCode::from(127),
            }
        }
        Err(error) => {
            eprintln!("fake_tool: {error:#}");
            ExitCode::from(99)
        }
    }
}
