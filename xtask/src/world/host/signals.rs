//! Ctrl-C, SIGTERM and SIGHUP as events.
//! Knows nothing of what follows from them.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

use crate::engine::Event;

/// Turns each signal into an event until it is dropped.
///
/// The handler writes a byte into a pipe and a thread reads it, so that nobody has to look for a flag from time to
/// time, and two quick Ctrl-C are two events.
pub struct Listener {
    ids: Vec<SigId>,
}

impl Listener {
    /// Listens.
    pub fn new(sender: SyncSender<Event>) -> io::Result<Self> {
        let (mut heard, told) = UnixStream::pair()?;
        let mut listener = Listener { ids: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            listener.ids.push(pipe::register(signal, told.try_clone()?)?);
        }
        // Ends when the last handler, and with it the last writing end, is gone.
        thread::Builder::new().spawn(move || {
            let mut byte = [0];
            while heard.read_exact(&mut byte).is_ok() && sender.send(Event::Interrupt).is_ok() {}
        })?;
        Ok(listener)
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
    fn every_signal_is_an_event() {
        let (sender, events) = mpsc::sync_channel(8);
        let listener = Listener::new(sender).unwrap();
        for signal in [SIGINT, SIGINT, SIGTERM, SIGHUP] {
            raise(signal).unwrap();
        }
        for _ in 0..4 {
            assert_eq!(events.recv_timeout(Duration::from_secs(5)), Ok(Event::Interrupt));
        }
        drop(listener);
        let ended = events.recv_timeout(Duration::from_secs(5));
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the thread ends with its listener");
    }
}
