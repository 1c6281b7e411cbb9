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

/// Turns each Ctrl-C and SIGTERM into an event until it is dropped, and a SIGHUP unless there was an event before.
///
/// A window that is closed says so more than once: the kernel tells it when the terminal goes and again when the shell
/// does, and the shell tells it, too. Nobody asked twice, so that never counts as the second Ctrl-C.
///
/// The handler writes a byte into a pipe and a thread reads it, so that nobody has to look for a flag from time to
/// time, and two quick Ctrl-C are two events.
pub struct Listener {
    ids: Vec<SigId>,
}

impl Listener {
    /// Listens.
    pub fn new(sender: SyncSender<Event>) -> io::Result<Self> {
        let mut listener = Listener { ids: Vec::new() };
        let asked = Arc::new(AtomicBool::new(false));
        let (before, tell) = (asked.clone(), sender.clone());
        listener.hear(&[SIGINT, SIGTERM], move || {
            before.store(true, Ordering::SeqCst);
            tell.send(Event::Interrupt).is_ok()
        })?;
        listener
            .hear(&[SIGHUP], move || asked.swap(true, Ordering::SeqCst) || sender.send(Event::Interrupt).is_ok())?;
        Ok(listener)
    }

    /// A thread that calls for each signal, as long as it is answered yes.
    fn hear(&mut self, signals: &[i32], mut tell: impl FnMut() -> bool + Send + 'static) -> io::Result<()> {
        let (mut heard, told) = UnixStream::pair()?;
        for signal in signals {
            self.ids.push(pipe::register(*signal, told.try_clone()?)?);
        }
        // Ends when the last handler, and with it the last writing end, is gone.
        thread::Builder::new().spawn(move || {
            let mut byte = [0];
            while heard.read_exact(&mut byte).is_ok() && tell() {}
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
    fn every_signal_is_an_event_but_a_closed_window_is_one_at_most() {
        let (sender, events) = mpsc::sync_channel(8);
        let listener = Listener::new(sender).unwrap();
        let heard = || events.recv_timeout(Duration::from_secs(5));
        // A window that was closed, and says so again and again.
        for _ in 0..3 {
            raise(SIGHUP).unwrap();
        }
        assert_eq!(heard(), Ok(Event::Interrupt));
        for signal in [SIGINT, SIGINT, SIGTERM] {
            raise(signal).unwrap();
            raise(SIGHUP).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(heard(), Ok(Event::Interrupt));
        }
        drop(listener);
        let ended = events.recv_timeout(Duration::from_secs(5));
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the thread ends with its listener");
    }
}
