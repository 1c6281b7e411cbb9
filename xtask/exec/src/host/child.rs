//! One real command: started in a group of its own, fed, listened to, ended with everything it spawned.

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
use tool::Call;
use tool::{Event, TaskId};
use tool::{Exit, Output, Tool};

/// Once a command has ended, its streams count as ended too after this long without a byte: what holds them open is a
/// descendant that was left behind.
const GRACE: Duration = Duration::from_secs(1);
/// … and after this long in any case: the descendant may be talkative.
const GRACE_AT_MOST: Duration = Duration::from_secs(10);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// What all commands have in common.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where they run.
    pub root: Utf8PathBuf,
    /// Where programs are looked up, by us and by them.
    pub path: OsString,
}

impl Setting {
    /// Where a program would be found.
    pub fn find(&self, tool: Tool) -> Option<Utf8PathBuf> {
        let found = which::which_in(tool.program(), Some(&self.path), &self.root).ok()?;
        Utf8PathBuf::from_path_buf(found).ok()
    }
}

/// A command that was started.
pub struct Child {
    handle: Arc<Handle>,
    group: u32,
    killed: Arc<AtomicBool>,
    streams: [Arc<Stream>; 2],
}

/// One of its streams, as its reader and the one who waits for it see it.
#[derive(Default)]
struct Stream {
    capture: Mutex<Capture>,
    /// How many bytes came so far.
    seen: AtomicU64,
    /// The reader waits for the tool, not for us.
    reading: AtomicBool,
    /// The command is over: what still comes is not heard.
    closed: AtomicBool,
    ended: AtomicBool,
}

impl Child {
    /// Starts a command. Its lines and its end go to `sender`.
    ///
    /// # Errors
    /// How it "ended": the program is missing, or could not be started.
    pub fn start(call: Call, setting: &Setting, sender: SyncSender<Event>) -> Result<Self, Exit> {
        let program = setting.find(call.tool).ok_or(Exit::Missing)?;
        spawn(call, &program, setting, sender).map_err(|e| Exit::NotStarted(format!("{program}: {e}")))
    }

    /// Ends it and everything in its group: politely, or at once.
    pub fn kill(&mut self, hard: bool) {
        self.killed.store(true, Ordering::SeqCst);
        if !group::signal(self.group, hard) {
            // No shell, or no process to spare for it. An ended leader is no error here.
            let _ = self.handle.send_signal(if hard { group::KILL } else { group::TERM });
        }
    }

    /// Whether it has ended but something it spawned holds its streams.
    pub fn left_something(&self) -> bool {
        self.streams.iter().any(|stream| !stream.ended.load(Ordering::SeqCst))
    }

    /// Blocks until it has ended or the time comes.
    pub fn wait_until(&self, end: Instant) {
        let _ = self.handle.wait_deadline(end);
    }
}

fn spawn(call: Call, program: &Utf8Path, setting: &Setting, sender: SyncSender<Event>) -> io::Result<Child> {
    let task = call.task;
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    let (command, feed) =
        with_stdin(command(&call, program, setting).stdout_file(out_end).stderr_file(err_end), &call)?;
    let streams: [Arc<Stream>; 2] = Default::default();
    let (reader_ends, readers) = mpsc::channel();
    // Threads first: where one cannot be had, nothing has been started yet, and closing the pipes ends the others.
    for (pipe, stream) in [out, err].into_iter().zip(&streams) {
        let (stream, sender, ends) = (stream.clone(), sender.clone(), reader_ends.clone());
        thread::Builder::new().spawn(move || listen(pipe, &stream, task, &sender, ends))?;
    }
    if let Some(pipe) = feed {
        thread::Builder::new().spawn(move || feed_all(pipe, &call.stdin))?;
    }
    let handle = Arc::new(command.start()?);
    // It holds our copies of the child's ends, which keep the streams open.
    drop(command);
    let group = handle.pids().first().copied().unwrap_or_default();
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
        // Nobody listens any more once the world is dropped.
        let _ = sender.send(waiter.end());
    });
    waiting.map(drop).inspect_err(|_| child.kill(true))?;
    Ok(child)
}

fn command(call: &Call, program: &Utf8Path, setting: &Setting) -> Expression {
    let leader = |command: &mut std::process::Command| {
        command.process_group(0);
        Ok(())
    };
    let command = cmd(program.as_std_path(), &call.args)
        .dir(&setting.root)
        .env("PATH", &setting.path)
        .before_spawn(leader)
        .unchecked();
    call.env.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Gives it a stdin that ends: nothing at all, or a pipe and the end that we write to.
fn with_stdin(command: Expression, call: &Call) -> io::Result<(Expression, Option<PipeWriter>)> {
    if call.stdin.is_empty() {
        return Ok((command.stdin_null(), None));
    }
    let (theirs, ours) = io::pipe()?;
    Ok((command.stdin_file(theirs), Some(ours)))
}

/// A tool need not read what it is fed; then the pipe breaks, and that is its own affair.
fn feed_all(mut pipe: PipeWriter, bytes: &[u8]) {
    let _ = pipe.write_all(bytes);
}

/// Reads a stream to its end. `_ends` tells the waiter by being dropped.
fn listen(mut pipe: PipeReader, stream: &Stream, task: TaskId, sender: &SyncSender<Event>, _ends: Sender<()>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = Lines::default();
    let tell = |line| {
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
            // Drained, so that a descendant that was left behind does not stumble over a full pipe.
            Ok(_) if stream.closed.load(Ordering::SeqCst) => {}
            Ok(n) => {
                stream.seen.fetch_add(n as u64, Ordering::SeqCst);
                stream.capture.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..n]);
                lines.feed(&buffer[..n], tell);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.end(tell);
    stream.ended.store(true, Ordering::SeqCst);
}

/// Waits for the end of a command and of its streams.
struct Waiter {
    task: TaskId,
    handle: Arc<Handle>,
    group: u32,
    killed: Arc<AtomicBool>,
    streams: [Arc<Stream>; 2],
    readers: Receiver<()>,
}

impl Waiter {
    fn end(self) -> Event {
        let exit = match self.handle.wait() {
            Ok(answer) => exit(answer.status),
            Err(e) => Exit::NotStarted(format!("its end could not be learnt: {e}")),
        };
        let killed = self.killed.load(Ordering::SeqCst);
        if killed {
            // The leader obeyed; what it spawned may not have.
            group::signal(self.group, true);
        }
        let whole = self.settle(if killed { GRACE } else { GRACE_AT_MOST });
        let [(stdout, cut_out), (stderr, cut_err)] = self.streams.each_ref().map(|stream| stream.close());
        Event::Ended(self.task, Output { exit, stdout, stderr, cut: cut_out || cut_err || !whole })
    }

    /// Waits until both readers are done, or only a descendant keeps them waiting. Whether all was heard.
    fn settle(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        let mut quiet_since = Instant::now();
        let mut seen = self.seen();
        while let Err(RecvTimeoutError::Timeout) = self.readers.recv_timeout(GLANCE) {
            let now = Instant::now();
            if self.seen() != seen || self.busy() {
                (seen, quiet_since) = (self.seen(), now);
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

    fn seen(&self) -> u64 {
        self.streams.iter().map(|stream| stream.seen.load(Ordering::SeqCst)).sum()
    }

    /// Whether a reader has bytes that it could not hand on yet, because nobody asked for events.
    fn busy(&self) -> bool {
        let busy = |s: &Arc<Stream>| !s.ended.load(Ordering::SeqCst) && !s.reading.load(Ordering::SeqCst);
        self.streams.iter().any(busy)
    }
}

impl Stream {
    /// Stops listening: its text, and whether some of it is missing.
    fn close(&self) -> (String, bool) {
        self.closed.store(true, Ordering::SeqCst);
        let capture = std::mem::take(&mut *self.capture.lock().unwrap_or_else(PoisonError::into_inner));
        (capture.text(), capture.is_cut())
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::NotStarted("it ended neither by itself nor by a signal".into()),
    }
}
