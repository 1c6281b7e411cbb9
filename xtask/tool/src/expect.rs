//! Expectations: whether an output matches, why not in words, and how a plan prints it. An output may be garbage of any
//! kind and then does not match.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use semver::{Version, VersionReq};
use serde_json::Value;

use super::certificate;
use super::extract::{pattern, scalar};
use super::helm::revisions;
use super::{Command, Exit, Output};
use model::token::{self, Token};

mod diff;
mod document;
mod gap;

pub use document::Answer;
pub use gap::VersionGap;

/// Longest piece of an answer that is repeated in an explanation, in characters.
const QUOTE: usize = 120;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// The exit code is this.
    Exit(i32),
    /// Exit 0 and stdout, trimmed, is this text.
    Stdout(String),
    /// Exit 0 and stdout has each of these lines, in any order.
    Lines(Vec<String>),
    /// Exit 0 and the regular expression matches stdout (multi-line mode).
    Match(String),
    /// The regular expression matches stderr, with any exit.
    Stderr(String),
    /// Exit 0 and the JSON value at this pointer is the text (numbers and booleans by their JSON form).
    Json(String, String),
    /// Exit 0 and the JSON number (or string of digits) at this pointer is at least this.
    JsonAtLeast(String, u64),
    /// Exit 0 and the JSON list at this pointer has exactly these texts, in any order.
    JsonSet(String, Vec<String>),
    /// Exit 0 and every JSON value that this pointer leads to is the text, and there is at least one. In it `*` is each
    /// entry of an object or a list, and `name=x` those entries whose `name` is x. What lacks the rest counts as null.
    JsonEach(String, String),
    /// Exit 0 and there is something other than null at this pointer.
    JsonPresent(String),
    /// Exit 0 and the version at this pointer (or, with an empty pointer, the first version in stdout) is in this
    /// semver range.
    Version(String, String),
    /// Exit 0 and no address or network at this JSON pointer (a string, or a list of strings) overlaps one of these
    /// ranges.
    Outside(String, Vec<Ipv4Net>),
    /// Exit 0, and of the Helm release named first (`NAMESPACE/NAME`) the newest revision, as a line of words
    /// ([`revisions::Revision::line`]), matches the regular expression.
    Newest(String, String),
    /// Exit 0, and each of these words begins a line of the table: `kube-system daemonset.apps/cilium`.
    Rows(Vec<String>),
    /// Exit 0, and the certificates in stdout last for at least so many days ([`certificate::days_left`]).
    CertificateDays(u64),
    /// There is no such program. Only as the whole condition of a remedy: without one a missing tool fails its step.
    Absent,
    /// The question has no answer (`Output::no_answer`). Only as a whole condition: nothing else is compared with no answer.
    Unanswered,
    /// Each of these. An empty list always holds: see [`Expect::ALWAYS`].
    All(Vec<Expect>),
    /// One of these.
    Any(Vec<Expect>),
    /// Not this.
    Not(Box<Expect>),
}

impl Expect {
    pub const ALWAYS: Expect = Expect::All(vec![]);

    #[must_use]
    pub fn negated(self) -> Expect {
        Expect::Not(Box::new(self))
    }

    pub fn holds(&self, question: &Command, output: &Output) -> bool {
        Answer::of(question, output, [self]).is_ok_and(|answer| self.fits(&answer))
    }

    pub fn fits(&self, answer: &Answer<'_>) -> bool {
        self.test(answer).is_ok()
    }

    /// Whether it compares with JSON, so that any other stdout is no answer.
    fn reads_json(&self) -> bool {
        match self {
            Expect::Json(..) | Expect::JsonAtLeast(..) | Expect::JsonEach(..) | Expect::JsonPresent(_) => true,
            Expect::Outside(..) => true,
            Expect::Version(pointer, _) => !pointer.is_empty(),
            Expect::All(wants) | Expect::Any(wants) => wants.iter().any(Expect::reads_json),
            Expect::Not(want) => want.reads_json(),
            _ => false,
        }
    }

    /// The mismatch: `/state: expected "Running", got "Stopped"`.
    pub fn mismatch(&self, output: &Output) -> String {
        self.test(&Answer::unjudged(output)).err().unwrap_or_else(|| "matches".to_owned())
    }

    /// All the rows that it wants in a table.
    pub fn rows(&self) -> Vec<&String> {
        match self {
            Expect::Rows(rows) => rows.iter().collect(),
            Expect::All(all) => all.iter().flat_map(Expect::rows).collect(),
            _ => vec![],
        }
    }

    /// With values in place of its tokens; inside a regular expression a value is literal.
    ///
    /// # Errors
    /// The tokens without a value, each once, as they are written.
    pub fn complete(&self, mut value: impl FnMut(Token<'_>) -> Option<String>) -> Result<Cow<'_, Expect>, Vec<String>> {
        if !self.may_hold_tokens() {
            return Ok(Cow::Borrowed(self));
        }
        let mut missing = Vec::new();
        let want = self.map(&mut |text, regex| {
            let filled = token::complete(text, |t| value(t).map(|v| if regex { regex::escape(&v) } else { v }));
            filled.unwrap_or_else(|tokens| {
                missing.extend(tokens);
                String::new()
            })
        });
        missing.sort();
        missing.dedup();
        if missing.is_empty() { Ok(Cow::Owned(want)) } else { Err(missing) }
    }

    fn may_hold_tokens(&self) -> bool {
        let mut may = false;
        self.each(&mut |text, _| may |= token::may_hold(text));
        may
    }

    /// Every text in it that may hold a token, and whether it is a regular expression.
    pub fn texts(&self) -> Vec<(&str, bool)> {
        let mut texts = Vec::new();
        self.each(&mut |text, regex| texts.push((text, regex)));
        texts
    }

    fn each<'a>(&'a self, f: &mut dyn FnMut(&'a str, bool)) {
        match self {
            Expect::Exit(_)
            | Expect::Absent
            | Expect::Unanswered
            | Expect::JsonSet(..)
            | Expect::CertificateDays(_) => {}
            Expect::Lines(lines) | Expect::Rows(lines) => lines.iter().for_each(|line| f(line, false)),
            Expect::Stdout(text)
            | Expect::JsonAtLeast(text, _)
            | Expect::JsonPresent(text)
            | Expect::Outside(text, _) => {
                f(text, false);
            }
            Expect::Match(regex) | Expect::Stderr(regex) | Expect::Newest(_, regex) => f(regex, true),
            Expect::Json(pointer, text) | Expect::JsonEach(pointer, text) | Expect::Version(pointer, text) => {
                f(pointer, false);
                f(text, false);
            }
            Expect::All(wants) | Expect::Any(wants) => wants.iter().for_each(|want| want.each(f)),
            Expect::Not(want) => want.each(f),
        }
    }

    /// The same want with each text changed; the flag says that a text is a regular expression.
    fn map(&self, f: &mut dyn FnMut(&str, bool) -> String) -> Expect {
        match self {
            Expect::Exit(code) => Expect::Exit(*code),
            Expect::Stdout(text) => Expect::Stdout(f(text, false)),
            Expect::Lines(lines) => Expect::Lines(lines.iter().map(|l| f(l, false)).collect()),
            Expect::Rows(rows) => Expect::Rows(rows.iter().map(|row| f(row, false)).collect()),
            Expect::Match(regex) => Expect::Match(f(regex, true)),
            Expect::Stderr(regex) => Expect::Stderr(f(regex, true)),
            Expect::Json(pointer, text) => Expect::Json(f(pointer, false), f(text, false)),
            Expect::JsonAtLeast(pointer, least) => Expect::JsonAtLeast(f(pointer, false), *least),
            Expect::JsonSet(pointer, texts) => Expect::JsonSet(pointer.clone(), texts.clone()),
            Expect::JsonEach(pointer, text) => Expect::JsonEach(f(pointer, false), f(text, false)),
            Expect::JsonPresent(pointer) => Expect::JsonPresent(f(pointer, false)),
            Expect::Version(pointer, range) => Expect::Version(f(pointer, false), f(range, false)),
            Expect::Outside(pointer, nets) => Expect::Outside(f(pointer, false), nets.clone()),
            Expect::Newest(release, regex) => Expect::Newest(release.clone(), f(regex, true)),
            Expect::CertificateDays(least) => Expect::CertificateDays(*least),
            Expect::Absent => Expect::Absent,
            Expect::Unanswered => Expect::Unanswered,
            Expect::All(wants) => Expect::All(wants.iter().map(|w| w.map(f)).collect()),
            Expect::Any(wants) => Expect::Any(wants.iter().map(|w| w.map(f)).collect()),
            Expect::Not(want) => Expect::Not(Box::new(want.map(f))),
        }
    }

    /// `Err` is the mismatch.
    fn test(&self, answer: &Answer<'_>) -> Result<(), String> {
        let output = answer.output;
        match self {
            Expect::Exit(code) => is_exit(output, *code),
            Expect::Stdout(text) => is_stdout(output, text),
            Expect::Lines(lines) => has_lines(output, lines),
            Expect::Match(regex) => is_exit(output, 0).and_then(|()| matches("stdout", &output.stdout, regex)),
            Expect::Stderr(regex) => matches("stderr", &output.stderr, regex),
            Expect::Json(pointer, text) => is_scalar(answer.at(pointer)?, pointer, text),
            Expect::JsonAtLeast(pointer, least) => is_at_least(answer.at(pointer)?, pointer, *least),
            Expect::JsonSet(pointer, texts) => is_set(answer.at(pointer)?, pointer, texts),
            Expect::JsonEach(pointer, text) => is_each(answer.document()?, pointer, text),
            Expect::JsonPresent(pointer) => answer.at(pointer).map(drop),
            Expect::Version(pointer, range) => is_version(answer, pointer, range),
            Expect::Outside(pointer, nets) => is_outside(answer.at(pointer)?, pointer, nets),
            Expect::Newest(release, regex) => {
                is_exit(output, 0).and_then(|()| newest_matches(&output.stdout, release, regex))
            }
            Expect::Rows(rows) => is_exit(output, 0).and_then(|()| has_rows(&output.stdout, rows)),
            Expect::CertificateDays(least) => is_exit(output, 0).and_then(|()| last_for(&output.stdout, *least)),
            Expect::Absent if output.exit == Exit::Missing => Ok(()),
            Expect::Absent => Err("the program is there".to_owned()),
            Expect::Unanswered => Err("it answers".to_owned()),
            Expect::All(wants) => all(wants.iter().filter_map(|w| w.test(answer).err()).collect()),
            Expect::Any(wants) => any(wants.iter().map(|w| w.test(answer)).collect()),
            Expect::Not(want) if want.fits(answer) => Err(format!("expected not {}", Inner(want))),
            Expect::Not(_) => Ok(()),
        }
    }
}

fn all(reasons: Vec<String>) -> Result<(), String> {
    if reasons.is_empty() { Ok(()) } else { Err(unique(reasons).join("; ")) }
}

fn any(results: Vec<Result<(), String>>) -> Result<(), String> {
    if results.iter().any(Result::is_ok) {
        return Ok(());
    }
    Err(match unique(results.into_iter().filter_map(Result::err).collect()) {
        reasons if reasons.is_empty() => "nothing can match".to_owned(),
        reasons => reasons.join(", or "),
    })
}

/// Five wants of one answer all mention that it exited with 1.
fn unique(mut reasons: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    reasons.retain(|r| seen.insert(r.clone()));
    reasons
}

fn is_exit(output: &Output, code: i32) -> Result<(), String> {
    if output.exit == Exit::Code(code) {
        return Ok(());
    }
    if let Some(difference) = diff::differences(&output.stdout).filter(|_| output.exit == Exit::Code(1)) {
        return Err(difference);
    }
    let stderr = output.reason().map_or(String::new(), |reason| format!(": {}", quote(&reason)));
    Err(format!("expected exit {code}, got {}{stderr}", ending(&output.exit)))
}

fn is_stdout(output: &Output, text: &str) -> Result<(), String> {
    is_exit(output, 0)?;
    let got = output.stdout.trim();
    if got == text.trim() { Ok(()) } else { Err(format!("stdout: expected {}, got {}", quote(text), quote(got))) }
}

fn has_lines(output: &Output, lines: &[String]) -> Result<(), String> {
    is_exit(output, 0)?;
    let there = |line: &&String| output.stdout.lines().any(|l| l.trim() == line.trim());
    let missing: Vec<_> = lines.iter().filter(|l| !there(l)).map(|l| quote(l)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("stdout has no line {}", missing.join(", "))) }
}

fn has_rows(table: &str, rows: &[String]) -> Result<(), String> {
    match &revisions::missing(table, rows)[..] {
        [] => Ok(()),
        missing => Err(format!("missing: {}", missing.join(", "))),
    }
}

fn last_for(text: &str, least: u64) -> Result<(), String> {
    match certificate::days_left(text) {
        Some(days) if days >= least => Ok(()),
        Some(days) => Err(format!("certificates: expected at least {least} days, got {days}")),
        None => Err("there is no certificate or no time".to_owned()),
    }
}

fn matches(stream: &str, text: &str, regex: &str) -> Result<(), String> {
    let compiled = pattern(regex).map_err(|e| format!("/{regex}/ is no regular expression ({e})"))?;
    if compiled.is_match(text.as_bytes()) {
        Ok(())
    } else {
        Err(format!("{stream}: expected a match of /{regex}/, got {}", quote(text.trim())))
    }
}

fn is_set(value: &Value, pointer: &str, texts: &[String]) -> Result<(), String> {
    let found: Vec<String> = value.as_array().into_iter().flatten().filter_map(scalar).collect();
    let foreign: Vec<&str> = found.iter().filter(|text| !texts.contains(text)).map(String::as_str).collect();
    match texts.iter().find(|text| !found.contains(text)) {
        _ if !foreign.is_empty() => Err(format!("differs: somebody added {} to {pointer}", foreign.join(", "))),
        Some(missing) => Err(format!("differs: {missing} is not in {pointer}")),
        None => Ok(()),
    }
}

fn is_each(document: &Value, pointer: &str, text: &str) -> Result<(), String> {
    let mut found = vec![document];
    for part in pointer.split('/').skip(1) {
        found = found.into_iter().flat_map(|value| entries(value, part)).collect();
    }
    if found.is_empty() {
        return Err(format!("nothing at {pointer}"));
    }
    all(found.into_iter().filter_map(|value| is_scalar(value, pointer, text).err()).collect())
}

fn entries<'a>(value: &'a Value, part: &str) -> Vec<&'a Value> {
    let inside: Vec<&Value> = match value {
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => vec![],
    };
    match part.split_once('=') {
        _ if part == "*" => inside,
        Some((key, wanted)) => {
            let named: Vec<&Value> =
                inside.into_iter().filter(|v| v.get(key).and_then(scalar).as_deref() == Some(wanted)).collect();
            // An entry that is missing must not be passed over.
            if named.is_empty() { vec![&Value::Null] } else { named }
        }
        None => vec![value.get(part).unwrap_or(&Value::Null)],
    }
}

fn is_scalar(value: &Value, pointer: &str, text: &str) -> Result<(), String> {
    match scalar(value) {
        Some(got) if got == text => Ok(()),
        Some(got) => Err(format!("{pointer}: expected {}, got {}", quote(text), quote(&got))),
        None => Err(format!("{pointer}: expected {}, got {}", quote(text), kind(value))),
    }
}

fn is_at_least(value: &Value, pointer: &str, least: u64) -> Result<(), String> {
    let digits = || scalar(value)?.parse::<u64>().ok();
    let enough = match value.as_f64() {
        // Large sizes are exact only as integers; a fraction is compared as it is.
        Some(fraction) => value.as_u64().map_or(fraction >= least as f64, |number| number >= least),
        None => digits().is_some_and(|number| number >= least),
    };
    if enough {
        Ok(())
    } else {
        Err(format!("{pointer}: expected at least {least}, got {}", quote(&value.to_string())))
    }
}

fn is_version(answer: &Answer<'_>, pointer: &str, range: &str) -> Result<(), String> {
    is_exit(answer.output, 0)?;
    let text = match pointer {
        "" => answer.output.stdout.clone(),
        _ => scalar(answer.at(pointer)?).unwrap_or_default(),
    };
    let wanted = VersionReq::parse(range).map_err(|e| format!("`{range}` is no range of versions ({e})"))?;
    let got =
        first_version(&text).ok_or_else(|| format!("expected a version in {range}, got {}", quote(text.trim())))?;
    // `v1.30.5-dispatcher` and `v1.31.0-eks-1a2b3c4` are builds of the release, not steps before it.
    let release = Version::new(got.major, got.minor, got.patch);
    let names_one = wanted.comparators.iter().any(|c| !c.pre.is_empty());
    if wanted.matches(if names_one { &got } else { &release }) {
        Ok(())
    } else {
        Err(format!("expected a version in {range}, got {got}"))
    }
}

/// The first `1.2` or `1.2.3`, with its suffixes.
fn first_version(text: &str) -> Option<Version> {
    let regex = r"\b[vV]?(\d+)\.(\d+)(?:\.(\d+)(-[0-9A-Za-z.-]*[0-9A-Za-z])?(\+[0-9A-Za-z.-]*[0-9A-Za-z])?)?";
    let found = pattern(regex).ok()?.captures(text.as_bytes())?;
    let group = |i| found.get(i).and_then(|m| std::str::from_utf8(m.as_bytes()).ok());
    let (major, minor, patch) = (group(1)?.parse().ok()?, group(2)?.parse().ok()?, group(3).unwrap_or("0"));
    let plain = Version::new(major, minor, patch.parse().ok()?);
    let full = format!("{plain}{}{}", group(4).unwrap_or(""), group(5).unwrap_or(""));
    Some(Version::parse(&full).unwrap_or(plain))
}

fn is_outside(value: &Value, pointer: &str, nets: &[Ipv4Net]) -> Result<(), String> {
    let list = match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let check = |item: &Value| {
        let text = item.as_str().ok_or_else(|| format!("{pointer}: expected addresses, got {}", kind(item)))?;
        if text.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Net>().is_ok() {
            return Ok(());
        }
        let net = text.parse::<Ipv4Net>().or_else(|_| text.parse::<Ipv4Addr>().map(Ipv4Net::from));
        let net = net.map_err(|_| format!("{pointer}: expected addresses, got {}", quote(text)))?;
        match nets.iter().find(|n| n.contains(&net) || net.contains(*n)) {
            Some(taken) => Err(format!("{pointer}: {text} overlaps {taken}")),
            None => Ok(()),
        }
    };
    all(list.into_iter().filter_map(|item| check(item).err()).collect())
}

fn newest_matches(table: &str, release: &str, regex: &str) -> Result<(), String> {
    let newest = revisions::newest(table, release).ok_or_else(|| format!("there is no revision of {release}"))?;
    let matched = matches(&format!("newest revision of {release}"), &newest.line(), regex);
    // Labels of a foreign revision are those of another one, so they explain nothing.
    matched.map_err(|why| match newest.status.as_str() {
        "deployed" | "failed" if !newest.ours => {
            format!("revision {} of {release} is not ours, unless a repair was cut off", newest.number)
        }
        _ => why,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A piece of text in quotes, control characters escaped, cut where it gets long.
fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// How a command ended, in words: `exit 1`, `signal 9`, `timed out`.
pub fn ending(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(number) => format!("signal {number}"),
        Exit::TimedOut => "timed out".to_owned(),
        Exit::Stopped => "stopped".to_owned(),
        Exit::Missing => "no such program on PATH".to_owned(),
        Exit::NotStarted(reason) => format!("not started: {reason}"),
    }
}

/// As a plan prints it: `exit 0`, `/info/app1-cp/state = "Running"`.
impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Exit(code) => write!(f, "exit {code}"),
            Expect::Stdout(text) => write!(f, "stdout = {text:?}"),
            Expect::Lines(lines) => write!(f, "stdout has {}", list(lines.iter().map(|l| format!("{l:?}")), " and ")),
            Expect::Match(regex) => write!(f, "stdout ~ /{regex}/"),
            Expect::Stderr(regex) => write!(f, "stderr ~ /{regex}/"),
            Expect::Json(pointer, text) => write!(f, "{pointer} = {text:?}"),
            Expect::JsonAtLeast(pointer, least) => write!(f, "{pointer} >= {least}"),
            Expect::JsonSet(pointer, texts) => write!(f, "{pointer} = {{{}}}", texts.join(", ")),
            Expect::JsonEach(pointer, text) => write!(f, "each {pointer} = {text:?}"),
            Expect::JsonPresent(pointer) => write!(f, "{pointer} is there"),
            Expect::Version(pointer, range) if pointer.is_empty() => write!(f, "version in {range}"),
            Expect::Version(pointer, range) => write!(f, "{pointer} in {range}"),
            Expect::Outside(pointer, nets) => write!(f, "{pointer} outside {}", list(nets.iter(), ", ")),
            Expect::Newest(release, regex) => write!(f, "newest revision of {release} ~ /{regex}/"),
            Expect::Rows(rows) => write!(f, "there are {}", rows.join(", ")),
            Expect::CertificateDays(least) => write!(f, "certificates last >= {least} days"),
            Expect::Absent => write!(f, "no such program"),
            Expect::Unanswered => write!(f, "no answer"),
            Expect::All(wants) if wants.is_empty() => write!(f, "anything"),
            Expect::Any(wants) if wants.is_empty() => write!(f, "nothing"),
            Expect::All(wants) => write!(f, "{}", list(wants.iter().map(Inner), " and ")),
            Expect::Any(wants) => write!(f, "{}", list(wants.iter().map(Inner), " or ")),
            Expect::Not(want) => write!(f, "not {}", Inner(want)),
        }
    }
}

fn list(items: impl Iterator<Item = impl fmt::Display>, between: &str) -> String {
    items.map(|i| i.to_string()).collect::<Vec<_>>().join(between)
}

/// Inside another: lists of more than one are in brackets.
struct Inner<'a>(&'a Expect);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expect::All(wants) | Expect::Any(wants) if wants.len() > 1 => write!(f, "({})", self.0),
            want => write!(f, "{want}"),
        }
    }
}

#[cfg(test)]
mod tests;
