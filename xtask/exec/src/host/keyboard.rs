//! A line from the keyboard, read beside everything else, so that a question can be left by Ctrl-C.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Begins to read a line. Whoever is not answered leaves the reader alone; it ends with the process.
pub fn line() -> Receiver<String> {
    let (tell, heard) = mpsc::channel();
    // Without a thread there is no line, and nobody said anything.
    let _ = thread::Builder::new().spawn(move || {
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() {
            let _ = tell.send(line);
        }
    });
    heard
}
