//! The real world: every command is a process of its own group, every wait blocks on one channel.
//!
//! Threads, per command: one reads each stream, one feeds stdin, one waits for the end. All speak into one bounded
//! channel, so a tool that floods us is slowed by its own pipe instead of filling our memory.
#![expect(clippy::disallowed_methods, reason = "this is the room that starts processes and threads, and tells time")]

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use model::problem::Problem;
use tool::{Call, World};
use tool::{Event, TaskId};
use tool::{Exit, Output, Tool};

mod capture;
mod child;
mod dial;
mod digest;
mod group;
pub mod keyboard;
mod lines;
mod machine;
mod place;
mod signals;

use child::{Child, Setting};

/// Events that may wait to be heard. A line has at most [`lines::LONGEST`] bytes, so this bounds their memory at 4 MiB.
const CHANNEL: usize = 1024;
/// How long a dropped `Host` waits for what it has killed.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Real processes in real time.
pub struct Host {
    began: Instant,
    setting: Setting,
    /// `None` only while it is dropped.
    events: Option<Receiver<Event>>,
    sender: SyncSender<Event>,
    /// What was decided without a thread, such as a program that does not exist.
    ready: VecDeque<Event>,
    running: BTreeMap<TaskId, Running>,
    /// Ended commands whose descendants still held their pipes.
    leftovers: Vec<Child>,
    signals: Option<signals::Listener>,
}

enum Running {
    Process(Child),
    /// A small act of our own on a thread. It ends by itself within seconds.
    Thread,
    /// Its end already lies in `ready`.
    Over,
}

impl Host {
    /// A world whose commands run in `root`. Programs are looked up in `bin` first, then in `path` (the
    /// value of `PATH`).
    pub fn new(root: &Utf8Path, bin: &Utf8Path, path: &str) -> Self {
        let (sender, events) = mpsc::sync_channel(CHANNEL);
        Host {
            began: Instant::now(),
            setting: Setting { root: root.to_owned(), path: search_path(&root.join(bin), path) },
            events: Some(events),
            sender,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            leftovers: Vec::new(),
            signals: None,
        }
    }

    /// From now on Ctrl-C, SIGTERM and SIGHUP are events instead of the end of this process.
    ///
    /// # Errors
    /// The system refuses to say when a signal arrives.
    pub fn heed_signals(&mut self) -> Result<(), Problem> {
        let listener = signals::Listener::new(self.sender.clone())
            .map_err(|e| Problem::new("cannot listen to signals").why(e.to_string()))?;
        self.signals = Some(listener);
        Ok(())
    }

    /// Where a program would be found.
    pub fn find(&self, tool: Tool) -> Option<Utf8PathBuf> {
        self.setting.find(tool)
    }

    fn own(&mut self, task: TaskId, args: &[String]) -> Running {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words[..] {
            ["machine"] => {
                let setting = self.setting.clone();
                self.thread(task, move || machine::answer(&setting))
            }
            ["dial", address, port] => {
                let (address, port) = (address.to_owned(), port.to_owned());
                self.thread(task, move || dial::answer(&address, &port))
            }
            ["sha256", path] => {
                let path = self.setting.root.join("out").join(path);
                self.thread(task, move || digest::answer(&path))
            }
            ["check", path, digest] => {
                let (path, digest) = (self.setting.root.join("out").join(path), digest.to_owned());
                self.thread(task, move || digest::check(&path, &digest))
            }
            ["place", from, to] => {
                let (out, from, to) = (self.setting.root.join("out"), from.to_owned(), to.to_owned());
                self.thread(task, move || place::answer(&out, &from, &to))
            }
            _ => self.over(task, Exit::NotStarted(format!("no such act of our own: {}", words.join(" ")))),
        }
    }

    fn thread(&mut self, task: TaskId, act: impl FnOnce() -> Output + Send + 'static) -> Running {
        let sender = self.sender.clone();
        let spawned = thread::Builder::new().spawn(move || {
            // Nobody listens any more once the world is dropped.
            let _ = sender.send(Event::Ended(task, act()));
        });
        match spawned {
            Ok(_) => Running::Thread,
            Err(e) => self.over(task, Exit::NotStarted(e.to_string())),
        }
    }

    fn over(&mut self, task: TaskId, exit: Exit) -> Running {
        self.ready.push_back(Event::Ended(task, Output::of(exit)));
        Running::Over
    }

    /// The next event, as it comes from the threads.
    fn next(&mut self, until: Option<Duration>) -> Event {
        if let Some(event) = self.ready.pop_front() {
            return event;
        }
        let left = until.map(|until| until.saturating_sub(self.began.elapsed()));
        let events = self.events.as_ref().expect("bug: a dropped world is asked");
        // `self.sender` keeps the channel open, so an error can only mean that the time is over.
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
        let running = if call.tool == Tool::Own {
            self.own(task, &call.args)
        } else {
            match Child::start(call, &self.setting, self.sender.clone()) {
                Ok(child) => Running::Process(child),
                Err(exit) => self.over(task, exit),
            }
        };
        self.running.insert(task, running);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        match self.running.get_mut(&task) {
            Some(Running::Process(child)) => child.kill(hard),
            Some(Running::Thread) => {
                // The thread cannot be ended; what it says later is not heard.
                let over = self.over(task, Exit::Signal(if hard { group::KILL } else { group::TERM }));
                self.running.insert(task, over);
            }
            Some(Running::Over) | None => {}
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
                        if let Running::Process(child) = running
                            && child.left_something()
                        {
                            self.leftovers.push(child);
                        }
                        return event;
                    }
                }
                // Late words of a command that is over; digests come from the driver, not from a world.
                _ => {}
            }
        }
    }
}

/// Nothing outlives its world: not a command, not what an ended command left behind.
impl Drop for Host {
    fn drop(&mut self) {
        // Threads that are about to speak must not wait for a listener.
        self.events = None;
        let running = std::mem::take(&mut self.running).into_values();
        let mut children: Vec<Child> = std::mem::take(&mut self.leftovers);
        children.extend(running.filter_map(|r| if let Running::Process(child) = r { Some(child) } else { None }));
        children.iter_mut().for_each(|child| child.kill(true));
        let end = Instant::now() + LAST_WAIT;
        children.iter().for_each(|child| child.wait_until(end));
    }
}

fn search_path(bin: &Utf8Path, path: &str) -> OsString {
    // Also if it is not there yet: this very run may place tools in it.
    let places = std::iter::once(bin.as_std_path().to_owned()).chain(std::env::split_paths(path));
    // A place with a colon in its name cannot be joined; such a `PATH` is taken as it is.
    std::env::join_paths(places).unwrap_or_else(|_| path.into())
}
