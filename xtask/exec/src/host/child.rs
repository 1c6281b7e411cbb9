//! One process: started in its own process group, its streams written and read, ended with everything it spawned.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use duct::unix::HandleExt;
use duct::{Expression, Handle, cmd};

use super::capture::Capture;
use super::group;
use super::lines::Lines;
use crate::workspace::ChildLock;
use tool::{Call, Event, Exit, Output, TaskId, Tool};

/// Once a command has ended, its streams count as ended after this long without a byte: a descendant that it left behind
/// holds them open.
const GRACE: Duration = Duration::from_secs(1);
/// … and after this long in any case, if that descendant goes on writing.
const MAX_GRACE: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub struct Environment {
    pub root: Utf8PathBuf,
    /// `PATH`, for us and for them.
    pub path: OsString,
    /// Inherited by what changes something.
    pub children: Option<Arc<ChildLock>>,
}

impl Environment {
    pub fn find(&self, tool: Tool) -> Option<Utf8PathBuf> {
        let found = which::which_in(tool.program(), Some(&self.path), &self.root).ok()?;
        Utf8PathBuf::from_path_buf(found).ok()
    }
}

pub struct Child {
    handle: Arc<Handle>,
    group: u32,
    killed: Arc<AtomicBool>,
    streams: [Arc<Stream>; 2],
}

/// The state of a stream, shared by its reader and the [`Waiter`].
#[derive(Default)]
struct Stream {
    capture: Mutex<Capture>,
    /// How many bytes were read.
    read: AtomicU64,
    /// The reader waits for the tool, not for the channel.
    reading: AtomicBool,
    /// The command has ended: further bytes are dropped.
    closed: AtomicBool,
    ended: AtomicBool,
}

impl Child {
    /// Starts a command. Its lines and its end go to `sender`.
    ///
    /// # Errors
    /// The program is missing, or could not be started.
    pub fn start(call: Call, environment: &Environment, sender: SyncSender<Event>) -> Result<Self, Exit> {
        let program = environment.find(call.tool).ok_or(Exit::Missing)?;
        spawn(call, &program, environment, sender).map_err(|e| Exit::NotStarted(format!("{program}: {e}")))
    }

    /// Ends it and everything in its group; with SIGKILL if `hard`.
    pub fn kill(&mut self, hard: bool) {
        self.killed.store(true, Ordering::SeqCst);
        if !group::signal(self.group, hard) {
            // There is no shell, or it cannot be started. An ended leader is not an error.
            let _ = self.handle.send_signal(if hard { group::KILL } else { group::TERM });
        }
    }

    /// Whether a descendant of it still holds its streams.
    pub fn has_descendants(&self) -> bool {
        self.streams.iter().any(|stream| !stream.ended.load(Ordering::SeqCst))
    }

    pub fn wait_until(&self, end: Instant) {
        let _ = self.handle.wait_deadline(end);
    }
}

fn spawn(call: Call, program: &Utf8Path, environment: &Environment, sender: SyncSender<Event>) -> io::Result<Child> {
    let task = call.task;
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    let (command, feed) =
        with_stdin(command(&call, program, environment).stdout_file(out_end).stderr_file(err_end), &call)?;
    let streams: [Arc<Stream>; 2] = Default::default();
    let (done, readers) = mpsc::channel();
    // Threads first: if one cannot be started there is no process yet, and closing the pipes ends the others.
    for (pipe, stream) in [out, err].into_iter().zip(&streams) {
        let (stream, sender, done) = (stream.clone(), sender.clone(), done.clone());
        thread::Builder::new().spawn(move || read_stream(pipe, &stream, task, &sender, done))?;
    }
    let (acts, line) = (call.acts, command_line(&call));
    if let Some(pipe) = feed {
        thread::Builder::new().spawn(move || write_stdin(pipe, &call.stdin))?;
    }
    let pid = |handle: &Handle| handle.pids().first().copied().unwrap_or_default();
    let handle = match acts.zip(environment.children.as_ref()) {
        Some((limit, children)) => children.start(task, &line, limit, || command.start(), pid)?,
        None => command.start()?,
    };
    let handle = Arc::new(handle);
    // It holds our copies of the child's ends, which would keep the streams open.
    drop(command);
    let group = pid(&handle);
    let mut child = Child { handle, group, killed: Arc::default(), streams };
    let waiter = Waiter {
        task,
        handle: child.handle.clone(),
        group,
        killed: child.killed.clone(),
        streams: child.streams.clone(),
        readers,
    };
    let waiting = thread::Builder::new().spawn(move || {
        // The receiver is gone once the world is dropped.
        let _ = sender.send(waiter.wait());
    });
    waiting.map(drop).inspect_err(|_| child.kill(true))?;
    Ok(child)
}

fn command_line(call: &Call) -> String {
    let args = call.args.iter().map(|arg| tool::quoted(arg));
    std::iter::once(call.tool.program().into()).chain(args).collect::<Vec<_>>().join(" ")
}

fn command(call: &Call, program: &Utf8Path, environment: &Environment) -> Expression {
    let leader = |command: &mut std::process::Command| {
        command.process_group(0);
        Ok(())
    };
    let command = cmd(program.as_std_path(), &call.args)
        .dir(&environment.root)
        .env("PATH", &environment.path)
        .before_spawn(leader)
        .unchecked();
    call.env.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Its stdin is null, or a pipe of which we get the writing end.
fn with_stdin(command: Expression, call: &Call) -> io::Result<(Expression, Option<PipeWriter>)> {
    if call.stdin.is_empty() {
        return Ok((command.stdin_null(), None));
    }
    let (reader, writer) = io::pipe()?;
    Ok((command.stdin_file(reader), Some(writer)))
}

/// A tool need not read its stdin: a broken pipe is not an error.
fn write_stdin(mut pipe: PipeWriter, bytes: &[u8]) {
    let _ = pipe.write_all(bytes);
}

/// Reads a stream to its end. The waiter is notified when `_done` is dropped.
fn read_stream(mut pipe: PipeReader, stream: &Stream, task: TaskId, sender: &SyncSender<Event>, _done: Sender<()>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = Lines::default();
    let send = |line| {
        if !stream.closed.load(Ordering::SeqCst) {
            let _ = sender.send(Event::Line(task, line));
        }
    };
    loop {
        stream.reading.store(true, Ordering::SeqCst);
        let read = pipe.read(&mut buffer);
        stream.reading.store(false, Ordering::SeqCst);
        match read {
            Ok(0) => break,
            // Drained, so that a descendant does not block on a full pipe.
            Ok(_) if stream.closed.load(Ordering::SeqCst) => {}
            Ok(n) => {
                stream.read.fetch_add(n as u64, Ordering::SeqCst);
                stream.capture.lock().unwrap_or_else(PoisonError::into_inner).append(&buffer[..n]);
                lines.feed(&buffer[..n], send);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.finish(send);
    stream.ended.store(true, Ordering::SeqCst);
}

/// Waits for the exit of a command and the end of its streams.
struct Waiter {
    task: TaskId,
    handle: Arc<Handle>,
    group: u32,
    killed: Arc<AtomicBool>,
    streams: [Arc<Stream>; 2],
    readers: Receiver<()>,
}

impl Waiter {
    fn wait(self) -> Event {
        let exit = match self.handle.wait() {
            Ok(output) => exit(output.status),
            Err(e) => Exit::NotStarted(format!("cannot wait for it: {e}")),
        };
        let killed = self.killed.load(Ordering::SeqCst);
        if killed {
            // The leader has ended; what it spawned may not have.
            group::signal(self.group, true);
        }
        let complete = self.drain(if killed { GRACE } else { MAX_GRACE });
        let [(stdout, cut_out), (stderr, cut_err)] = self.streams.each_ref().map(|stream| stream.close());
        Event::Ended(self.task, Output { exit, stdout, stderr, cut: cut_out || cut_err || !complete })
    }

    /// Waits until both readers are done, or only a descendant holds the streams. Returns whether all was read.
    fn drain(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        let mut quiet_since = Instant::now();
        let mut read = self.bytes_read();
        while let Err(RecvTimeoutError::Timeout) = self.readers.recv_timeout(POLL_INTERVAL) {
            let now = Instant::now();
            if self.bytes_read() != read || self.busy() {
                (read, quiet_since) = (self.bytes_read(), now);
            }
            if now - quiet_since >= GRACE {
                return true;
            }
            if now >= end {
                return false;
            }
        }
        true
    }

    fn bytes_read(&self) -> u64 {
        self.streams.iter().map(|stream| stream.read.load(Ordering::SeqCst)).sum()
    }

    /// Whether a reader is blocked on the channel.
    fn busy(&self) -> bool {
        let busy = |s: &Arc<Stream>| !s.ended.load(Ordering::SeqCst) && !s.reading.load(Ordering::SeqCst);
        self.streams.iter().any(busy)
    }
}

impl Stream {
    /// Drops further bytes. Returns the text, and whether it is truncated.
    fn close(&self) -> (String, bool) {
        self.closed.store(true, Ordering::SeqCst);
        let capture = std::mem::take(&mut *self.capture.lock().unwrap_or_else(PoisonError::into_inner));
        (capture.text(), capture.is_truncated())
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::NotStarted("it ended neither with an exit code nor by a signal".into()),
    }
}
