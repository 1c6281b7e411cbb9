//! The `World` of real processes: each command has its own process group, each wait blocks on one channel.
//!
//! Threads, per command: one reads each stream, one writes stdin, one waits for the exit. All send to one bounded
//! channel, so a tool that prints too much is blocked by its own pipe instead of filling our memory.
#![expect(clippy::disallowed_methods, reason = "this module starts processes and threads, and reads the clock")]

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use model::problem::Problem;
use tool::{Call, Event, Exit, Output, TaskId, Tool, World};

mod capture;
mod child;
mod digest;
mod group;
mod install;
pub mod keyboard;
mod lines;
mod machine;
mod signals;
mod tcp;

use crate::workspace::ChildLock;
use child::{Child, Environment};

/// Capacity of the channel. A line has at most [`lines::MAX_LINE`] bytes, so this bounds its memory at 4 MiB.
const CHANNEL_CAPACITY: usize = 1024;
/// How long a dropped `Host` waits for the processes that it killed.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Host {
    began: Instant,
    environment: Environment,
    /// `None` only in `drop`.
    events: Option<Receiver<Event>>,
    sender: SyncSender<Event>,
    /// Events without a thread, such as the end of a program that does not exist.
    ready: VecDeque<Event>,
    running: BTreeMap<TaskId, Running>,
    /// Ended commands with descendants that still hold their pipes.
    leftovers: Vec<Child>,
    signals: Option<signals::Listener>,
}

enum Running {
    Process(Child),
    /// A builtin command on a thread. It ends by itself within seconds.
    Thread,
    /// Its end is in `ready`.
    Finished,
}

impl Host {
    /// Commands run in `root`. Programs are searched in `bin` first, then in `path` (the value of `PATH`).
    pub fn new(root: &Utf8Path, bin: &Utf8Path, path: &str) -> Self {
        let (sender, events) = mpsc::sync_channel(CHANNEL_CAPACITY);
        Host {
            began: Instant::now(),
            environment: Environment {
                root: root.to_owned(),
                path: search_path(&root.join(bin), path),
                children: None,
            },
            events: Some(events),
            sender,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            leftovers: Vec::new(),
            signals: None,
        }
    }

    /// From now on Ctrl-C, SIGTERM and SIGHUP are events and do not end this process.
    pub fn listen_for_signals(&mut self) -> Result<(), Problem> {
        let listener = signals::Listener::new(self.sender.clone())
            .map_err(|e| Problem::new("cannot listen to signals").why(e.to_string()))?;
        self.signals = Some(listener);
        Ok(())
    }

    /// From now on commands that change something inherit the lock of this run's children.
    pub fn share_lock(&mut self, children: Arc<ChildLock>) {
        self.environment.children = Some(children);
    }

    pub fn find(&self, tool: Tool) -> Option<Utf8PathBuf> {
        self.environment.find(tool)
    }

    fn thread(&mut self, task: TaskId, run: impl FnOnce() -> Output + Send + 'static) -> Running {
        let sender = self.sender.clone();
        let spawned = thread::Builder::new().spawn(move || {
            // The receiver is gone once the world is dropped.
            let _ = sender.send(Event::Ended(task, run()));
        });
        match spawned {
            Ok(_) => Running::Thread,
            Err(e) => self.finished(task, Exit::NotStarted(e.to_string())),
        }
    }

    fn finished(&mut self, task: TaskId, exit: Exit) -> Running {
        self.ready.push_back(Event::Ended(task, Output::of(exit)));
        Running::Finished
    }

    fn next(&mut self, until: Option<Duration>) -> Event {
        if let Some(event) = self.ready.pop_front() {
            return event;
        }
        let left = until.map(|until| until.saturating_sub(self.began.elapsed()));
        let events = self.events.as_ref().expect("bug: the world is dropped");
        // `self.sender` keeps the channel open, so an error can only be the timeout.
        match left {
            Some(left) => events.recv_timeout(left).unwrap_or(Event::Tick),
            None => events.recv().unwrap_or(Event::Tick),
        }
    }
}

impl World for Host {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn start(&mut self, call: Call) {
        let task = call.task;
        let running = if call.tool == Tool::Builtin {
            let environment = self.environment.clone();
            self.thread(task, move || builtin(&environment, &call.args))
        } else {
            match Child::start(call, &self.environment, self.sender.clone()) {
                Ok(child) => Running::Process(child),
                Err(exit) => self.finished(task, exit),
            }
        };
        self.running.insert(task, running);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        match self.running.get_mut(&task) {
            Some(Running::Process(child)) => child.kill(hard),
            Some(Running::Thread) => {
                // The thread cannot be ended; its own end is ignored.
                let finished = self.finished(task, Exit::Signal(if hard { group::KILL } else { group::TERM }));
                self.running.insert(task, finished);
            }
            Some(Running::Finished) | None => {}
        }
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        loop {
            let event = self.next(until);
            match &event {
                Event::Tick | Event::Interrupt => return event,
                Event::Line(task, _) if self.running.contains_key(task) => return event,
                Event::Ended(task, _) => {
                    if let Some(running) = self.running.remove(task) {
                        if let (Running::Process(_), Some(children)) = (&running, &self.environment.children) {
                            children.end(*task);
                        }
                        if let Running::Process(child) = running
                            && child.has_descendants()
                        {
                            self.leftovers.push(child);
                        }
                        return event;
                    }
                }
                // Late lines of an ended command; digests come from the driver, not from a world.
                _ => {}
            }
        }
    }
}

/// Kills every command that still runs, and the descendants of ended ones.
impl Drop for Host {
    fn drop(&mut self) {
        // Threads that are about to send must not block.
        self.events = None;
        let running = std::mem::take(&mut self.running).into_values();
        let mut children: Vec<Child> = std::mem::take(&mut self.leftovers);
        children.extend(running.filter_map(|r| if let Running::Process(child) = r { Some(child) } else { None }));
        children.iter_mut().for_each(|child| child.kill(true));
        let end = Instant::now() + DROP_TIMEOUT;
        children.iter().for_each(|child| child.wait_until(end));
    }
}

fn builtin(environment: &Environment, args: &[String]) -> Output {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let out = environment.root.join("out");
    match words[..] {
        ["machine"] => machine::report(environment, None),
        ["machine", tool] => machine::report(environment, Some(tool)),
        ["dial", address, port] => tcp::connect(address, port),
        ["sha256", path] => digest::print(&out.join(path)),
        ["check", path, digest] => digest::check(&out.join(path), digest),
        ["place", from, to] => install::move_binary(&out, from, to),
        _ => Output::of(Exit::NotStarted(format!("unknown builtin command: {}", words.join(" ")))),
    }
}

fn search_path(bin: &Utf8Path, path: &str) -> OsString {
    // Also if it does not exist yet: this run may install tools in it.
    let folders = std::iter::once(bin.as_std_path().to_owned()).chain(std::env::split_paths(path));
    // A folder with a colon in its name cannot be joined; then `PATH` is used as it is.
    std::env::join_paths(folders).unwrap_or_else(|_| path.into())
}
