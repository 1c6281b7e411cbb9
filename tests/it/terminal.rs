//! A pseudoterminal: screen, keys, size.
#![expect(clippy::disallowed_methods, reason = "a real terminal with a real process on it")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty;
use rustix::termios::{self, Termios, Winsize};

/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// Lines above the screen that can be looked at.
const PAST: usize = 10_000;

pub struct Terminal {
    /// Our end of it. While it is there, somebody looks.
    ours: Option<File>,
    /// The other end, to read the settings of the line after the process has ended.
    theirs: File,
    parser: vt100::Parser,
    child: Child,
}

impl Terminal {
    /// Starts a command on a new terminal of this many columns and rows.
    pub fn open(command: &Command, columns: u16, rows: u16) -> Terminal {
        let (ours, theirs) = pair();
        resize(&ours, columns, rows);
        let end = || theirs.try_clone().unwrap();
        let mut on = Command::new(env!("CARGO_BIN_EXE_on_terminal"));
        on.arg(command.get_program()).args(command.get_args());
        on.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm-256color");
        on.current_dir(command.get_current_dir().unwrap());
        let child = on.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Terminal { ours: Some(ours), theirs, parser: vt100::Parser::new(rows, columns, PAST), child }
    }

    pub fn pid(&self) -> u64 {
        self.child.id().into()
    }

    /// How the line is set: echo, signals and the like.
    pub fn line(&self) -> Termios {
        termios::tcgetattr(&self.theirs).unwrap()
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.look();
        resize(self.ours.as_ref().unwrap(), columns, rows);
        self.parser.screen_mut().set_size(rows, columns);
    }

    pub fn press(&mut self, keys: &str) {
        self.ours.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    pub fn close(&mut self) {
        self.ours = None;
    }

    pub fn screen(&mut self) -> &vt100::Screen {
        self.look();
        self.parser.screen()
    }

    /// Looks until what can be seen is as wanted.
    pub fn until(&mut self, wanted: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !wanted(self.screen()) {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > end;
            assert!(!over, "it never comes: {}", self.past());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn until_shown(&mut self, text: &str) {
        self.until(|screen| screen.contents().contains(text));
    }

    pub fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            self.look();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.look();
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.past());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All that can be seen, also by scrolling back.
    pub fn past(&mut self) -> String {
        let screen = self.parser.screen_mut();
        let mut lines = Vec::new();
        screen.set_scrollback(PAST);
        for above in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(above);
            lines.extend(screen.rows(0, screen.size().1).next());
        }
        screen.set_scrollback(0);
        lines.push(screen.contents());
        lines.join("\n")
    }

    fn look(&mut self) {
        let Some(ours) = &mut self.ours else { return };
        let mut buffer = [0; 1 << 16];
        loop {
            match ours.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => self.parser.process(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody has the other end any more.
                Err(_) => return,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already gone unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of a new terminal. `File` opens them so that no other child gets them, or it could not be closed.
fn pair() -> (File, File) {
    let open = |path: &Path, flags: OFlags| {
        let flags = flags.bits() as i32;
        File::options().read(true).write(true).custom_flags(flags).open(path).unwrap()
    };
    let ours = open(Path::new("/dev/ptmx"), OFlags::NONBLOCK);
    pty::grantpt(&ours).unwrap();
    pty::unlockpt(&ours).unwrap();
    let name = pty::ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = open(Path::new(&name), OFlags::NOCTTY);
    (ours, theirs)
}

fn resize(ours: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(ours, size).unwrap();
}
