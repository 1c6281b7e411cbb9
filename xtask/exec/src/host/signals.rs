//! Ctrl-C, SIGTERM and SIGHUP as events.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

use tool::Event;

/// Sends an event for each Ctrl-C and SIGTERM until it is dropped, and for a SIGHUP unless there was an event before.
///
/// A closed window sends several SIGHUPs: the kernel's when the terminal and when the shell ends, and the shell's own.
/// They must not count as the second Ctrl-C.
///
/// The handler writes a byte into a pipe and a thread reads it: no polling, and two quick Ctrl-C are two events.
pub struct Listener {
    ids: Vec<SigId>,
}

impl Listener {
    pub fn new(sender: SyncSender<Event>) -> io::Result<Self> {
        let mut listener = Listener { ids: Vec::new() };
        let interrupted = Arc::new(AtomicBool::new(false));
        let (seen, to) = (interrupted.clone(), sender.clone());
        listener.register(&[SIGINT, SIGTERM], move || {
            seen.store(true, Ordering::SeqCst);
            to.send(Event::Interrupt).is_ok()
        })?;
        listener.register(&[SIGHUP], move || {
            interrupted.swap(true, Ordering::SeqCst) || sender.send(Event::Interrupt).is_ok()
        })?;
        Ok(listener)
    }

    /// Starts a thread that calls `notify` for each signal, as long as it returns true.
    fn register(&mut self, signals: &[i32], mut notify: impl FnMut() -> bool + Send + 'static) -> io::Result<()> {
        let (mut reader, writer) = UnixStream::pair()?;
        for signal in signals {
            self.ids.push(pipe::register(*signal, writer.try_clone()?)?);
        }
        // Ends with the last handler, which holds the last writing end.
        thread::Builder::new().spawn(move || {
            let mut byte = [0];
            while reader.read_exact(&mut byte).is_ok() && notify() {}
        })?;
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn signals_are_events_but_repeated_sighup_is_one_at_most() {
        let (sender, events) = mpsc::sync_channel(8);
        let listener = Listener::new(sender).unwrap();
        let next = || events.recv_timeout(Duration::from_secs(5));
        for _ in 0..3 {
            raise(SIGHUP).unwrap();
        }
        assert_eq!(next(), Ok(Event::Interrupt));
        for signal in [SIGINT, SIGINT, SIGTERM] {
            raise(signal).unwrap();
            raise(SIGHUP).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(next(), Ok(Event::Interrupt));
        }
        drop(listener);
        let ended = events.recv_timeout(Duration::from_secs(5));
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the thread ends with its listener");
    }
}
