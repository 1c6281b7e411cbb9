//! Reads a line from stdin on a thread, so that a prompt can be cancelled by Ctrl-C.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Starts to read a line. The thread may outlive the prompt; it ends with the process.
pub fn read_line() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    // Without a thread the receiver is disconnected, as at the end of stdin.
    let _ = thread::Builder::new().spawn(move || {
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() {
            let _ = sender.send(line);
        }
    });
    receiver
}
