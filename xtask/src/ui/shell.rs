//! Writes results to stdout and progress to stderr, by colour and volume.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use super::format;

/// Version of the events: a change that breaks a reader raises it.
const SCHEMA: u64 = 1;
/// Columns where there is no terminal.
const WIDTH: usize = 100;
/// Narrower screens wrap lines themselves.
const NARROWEST: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal that is not `dumb`, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Whether colour is used; `NO_COLOR` counts if it is set and not empty (<https://no-color.org>).
    pub fn decide(self, terminal: bool, no_color: Option<&str>) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && no_color.is_none_or(str::is_empty),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Volume {
    /// Failures and the last line.
    Quiet,
    #[default]
    Normal,
    /// Also each command as it starts.
    Verbose,
}

/// Selects the colour of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Plain,
    Success,
    Warning,
    Error,
    /// A command to run, or a place.
    Hint,
    Dim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub on: bool,
}

impl Style {
    pub fn apply(self, tone: Severity, text: &str) -> String {
        let code = match tone {
            Severity::Plain => "",
            Severity::Success => "\x1b[1;32m",
            Severity::Warning => "\x1b[1;33m",
            Severity::Error => "\x1b[1;31m",
            Severity::Hint => "\x1b[36m",
            Severity::Dim => "\x1b[2m",
        };
        if self.on && !code.is_empty() { format!("{code}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `        Done app1/cp/launch in 41s`: the verb right-aligned in 12 columns, as cargo does.
pub fn status_line(style: Style, tone: Severity, verb: &str, rest: &str) -> String {
    format!("{} {rest}", style.apply(tone, &format!("{verb:>12}"))).trim_end().to_owned()
}

pub struct Shell {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    style: Style,
    volume: Volume,
    /// Columns of the terminal, if there is one.
    width: Option<usize>,
    /// Id of this run, in every event.
    run: String,
    /// Makes the commands in a text as they have to be typed here.
    localize: Box<dyn Fn(&str) -> String>,
    closed: bool,
    error: Option<io::Error>,
}

impl Shell {
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        let (style, volume) = (Style::default(), Volume::default());
        Shell {
            out,
            err,
            style,
            volume,
            width: None,
            run: String::new(),
            closed: false,
            error: None,
            localize: Box::new(str::to_owned),
        }
    }

    pub fn set(&mut self, colour: bool, volume: Volume) {
        self.style = Style { on: colour };
        self.volume = volume;
    }

    /// The width of the screen, and the id of the run that every event has.
    pub fn describe(&mut self, width: Option<usize>, run: String) {
        self.width = width.map(|width| width.max(NARROWEST));
        self.run = run;
    }

    /// What is done to each text for people, and to each text in an event.
    pub fn localize(&mut self, localize: impl Fn(&str) -> String + 'static) {
        self.localize = Box::new(localize);
    }

    /// Columns that a line should have.
    pub fn width(&self) -> usize {
        self.width.unwrap_or(WIDTH)
    }

    /// On a terminal, lines that are wider than it continue below, indented. Commands stay whole: they can be pasted.
    fn wrapped<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(width) = self.width.filter(|width| text.lines().any(|line| format::width(line) > *width)) else {
            return Cow::Borrowed(text);
        };
        let end = if text.ends_with('\n') { "\n" } else { "" };
        Cow::Owned(text.lines().map(|line| fit(line, width)).collect::<Vec<_>>().join("\n") + end)
    }

    /// Of stderr. Results have no colour: they are the same bytes on a terminal and in a file.
    pub fn style(&self) -> Style {
        self.style
    }

    pub fn volume(&self) -> Volume {
        self.volume
    }

    /// Writes to stdout. A closed pipe (`| head`) is no error: the rest is dropped.
    pub fn result(&mut self, text: &str) {
        if self.closed || self.error.is_some() {
            return;
        }
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(e) => self.error = Some(e),
        }
    }

    /// Writes a report for people to stdout.
    pub fn screen(&mut self, text: &str) {
        let text = self.wrapped(&(self.localize)(text)).into_owned();
        self.result(&text);
    }

    /// Writes an event to stdout.
    pub fn event(&mut self, mut event: Value) {
        localize(&mut event, &self.localize);
        event["schema"] = SCHEMA.into();
        event["run"] = self.run.as_str().into();
        self.result(&format!("{event}\n"));
    }

    /// Writes to stderr, unless quiet.
    pub fn progress(&mut self, text: &str) {
        if self.volume > Volume::Quiet {
            self.message(text);
        }
    }

    /// Writes a status line to stderr, unless quiet.
    pub fn status(&mut self, tone: Severity, verb: &str, rest: &str) {
        self.progress(&status_line(self.style, tone, verb, rest));
    }

    /// Writes to stderr, also when quiet. Errors of stderr are ignored.
    pub fn message(&mut self, text: &str) {
        let text = (self.localize)(text);
        let text = self.wrapped(&text);
        let line = if text.ends_with('\n') { text.into_owned() } else { format!("{text}\n") };
        let _ = self.err.write_all(line.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Whether stdout is a closed pipe.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// The error of stdout, if any: `No space left on device`. Taken once, at the end.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

fn localize(value: &mut Value, by: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) if text.contains("cargo ") => *text = by(text),
        Value::Array(all) => all.iter_mut().for_each(|value| localize(value, by)),
        Value::Object(all) => all.values_mut().for_each(|value| localize(value, by)),
        _ => {}
    }
}

/// A line in lines of at most `width` columns. What follows a verb, a label or a column is indented below its first word.
fn fit(line: &str, width: usize) -> String {
    let bare = console::strip_ansi_codes(line);
    let command = ["hint:", "$ ", "cargo xtask ", "export "].iter().any(|command| bare.contains(command));
    if format::width(line) <= width || command {
        return line.to_owned();
    }
    let hang = hang(&bare, width / 2);
    let (mut lines, mut rest) = (Vec::new(), line);
    while format::width(rest) > width - if lines.is_empty() { 0 } else { hang } {
        let room = width - if lines.is_empty() { 0 } else { hang };
        let fits = |end: &usize| format::width(&rest[..*end]) <= room && !rest[..*end].trim().is_empty();
        let Some(end) = rest.match_indices(' ').map(|(at, _)| at).rfind(fits) else { break };
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    lines.push(rest);
    lines.join(&format!("\n{:hang$}", ""))
}

/// Where the text of a line begins: behind the last gap of two spaces, behind `why:` or a verb, or a little indented.
fn hang(line: &str, most: usize) -> usize {
    let start = line.len() - line.trim_start().len();
    let gap =
        line.rmatch_indices("  ").map(|(at, _)| at + 2).find(|at| *at > start && format::width(&line[..*at]) < most);
    let label = start + line[start..].find(' ').unwrap_or(0);
    match gap {
        Some(at) => format::width(&line[..at]),
        None if label == 12 => 13,
        None if line[..label].ends_with(':') && label == 7 => 8,
        None => start + 4,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    pub(crate) struct Page(Rc<RefCell<Vec<u8>>>);

    impl Page {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn results_go_to_stdout_and_status_lines_to_stderr() {
        let (out, err) = (Page::default(), Page::default());
        let mut shell = Shell::new(Box::new(out.clone()), Box::new(err.clone()));
        shell.set(true, Volume::Normal);
        shell.result("a: 1\n");
        shell.status(Severity::Success, "Done", "app1/cp/launch in 41s");
        assert_eq!(out.text(), "a: 1\n");
        assert_eq!(err.text(), "\x1b[1;32m        Done\x1b[0m app1/cp/launch in 41s\n");
    }

    #[test]
    fn quiet_hides_status_lines() {
        let err = Page::default();
        let mut shell = Shell::new(Box::new(io::sink()), Box::new(err.clone()));
        shell.set(false, Volume::Quiet);
        shell.status(Severity::Success, "Done", "x");
        shell.message("error: y");
        assert_eq!(err.text(), "error: y\n");
    }

    #[test]
    fn a_closed_pipe_is_no_error_but_a_full_disk_is() {
        let mut shell = Shell::new(Box::new(Broken(ErrorKind::BrokenPipe)), Box::new(io::sink()));
        shell.result("x");
        assert!(shell.closed() && shell.take_error().is_none());
        let mut shell = Shell::new(Box::new(Broken(ErrorKind::StorageFull)), Box::new(io::sink()));
        shell.result("x");
        assert!(shell.take_error().is_some());
    }

    #[test]
    fn colour_follows_flag_terminal_and_no_color() {
        assert!(Colour::Auto.decide(true, None) && Colour::Auto.decide(true, Some("")));
        assert!(!Colour::Auto.decide(false, None) && !Colour::Auto.decide(true, Some("1")));
        assert!(Colour::Always.decide(false, Some("1")) && !Colour::Never.decide(true, None));
    }
}
