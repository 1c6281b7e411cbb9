//! Command lines of the simulated tools: known flags are parsed, others are refused as the tool would refuse them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::data;
use crate::prelude::*;

#[derive(Debug, PartialEq, Eq)]
struct Flag {
    name: String,
    takes_value: bool,
    short: Option<char>,
}

impl Flag {
    /// `timeout=/t`: see `data/tools.toml`.
    fn parse(text: &str) -> Self {
        let (long, short) = text.split_once('/').unwrap_or((text, ""));
        let name = long.trim_end_matches('=');
        Flag { name: name.to_owned(), takes_value: name != long, short: short.chars().next() }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args<'a> {
    /// By long name, in the order given; a switch has the value `true`.
    pub flags: Vec<(&'a str, &'a str)>,
    pub words: Vec<&'a str>,
    /// What follows `--`.
    pub rest: Vec<&'a str>,
}

impl<'a> Args<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.flags.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// Every value of a flag, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// Whether a switch is given and not `false`.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| v != "false")
    }

    /// The n-th word; empty if there are fewer.
    pub fn word(&self, n: usize) -> &'a str {
        self.words.get(n).copied().unwrap_or_default()
    }

    pub fn kubeconfig<'r>(&self, request: &'r Request) -> &'r str
    where
        'a: 'r,
    {
        self.get("kubeconfig").or(request.variable("KUBECONFIG")).unwrap_or("~/.kube/config")
    }
}

/// A parsed command line, and the cluster whose API server it addresses.
pub struct Invocation<'a> {
    pub request: &'a Request,
    pub args: &'a Args<'a>,
    pub now: Duration,
    pub vm: String,
}

impl Invocation<'_> {
    pub fn namespace(&self) -> &str {
        self.args.get("namespace").unwrap_or("default")
    }
}

pub fn is_subcommand(program: &str, subcommand: &str) -> bool {
    subcommand != "global" && flags(program, subcommand).is_some()
}

/// See `data/tools.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ToolTable {
    exit: i32,
    #[serde(default)]
    unknown_flag: String,
    #[serde(default)]
    missing_value: String,
    latency_ms: u64,
    #[serde(default)]
    latency_ms_of: BTreeMap<String, u64>,
    /// By subcommand; `global` ones belong to each.
    #[serde(default)]
    flags: BTreeMap<String, Flags>,
}

#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Flags(Vec<Flag>);

impl From<String> for Flags {
    fn from(text: String) -> Self {
        Flags(text.split_ascii_whitespace().map(Flag::parse).collect())
    }
}

fn tool(program: &str) -> Option<&'static ToolTable> {
    static TOOLS: OnceLock<BTreeMap<String, ToolTable>> = OnceLock::new();
    TOOLS.get_or_init(|| data::read(include_str!("../data/tools.toml"))).get(program)
}

fn flags(program: &str, subcommand: &str) -> Option<&'static [Flag]> {
    tool(program)?.flags.get(subcommand).map(|Flags(flags)| flags.as_slice())
}

impl Request {
    pub fn latency(&self) -> Duration {
        let first = self.args.first().map_or("", String::as_str);
        let table = tool(self.tool.program());
        Duration::from_millis(table.map_or(10, |t| t.latency_ms_of.get(first).copied().unwrap_or(t.latency_ms)))
    }
}

impl SimState {
    /// Parses a command line by the flags of some subcommands (the first that has a flag decides) and the global ones.
    pub(super) fn parse_args<'a>(
        &mut self,
        request: &Request,
        program: &str,
        subcommands: &[&str],
        args: &'a [String],
    ) -> ToolResult<Args<'a>> {
        let tables: Vec<_> = subcommands.iter().chain(&["global"]).filter_map(|name| flags(program, name)).collect();
        parse(args, &tables).map_err(|bad| {
            let table = tool(program);
            let text = |of: fn(&ToolTable) -> &String| table.map_or("", |t| of(t));
            let (text, flag) = match &bad {
                BadArgs::UnknownFlag(flag) => (text(|t| &t.unknown_flag), flag),
                BadArgs::MissingValue(flag) => (text(|t| &t.missing_value), flag),
            };
            let text = text.replace("{flag}", flag).replace("{name}", flag.trim_start_matches('-'));
            let text = text.replace("{subcommand}", subcommands.first().unwrap_or(&""));
            self.unsupported(request, failure(table.map_or(1, |t| t.exit), text))
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum BadArgs {
    UnknownFlag(String),
    MissingValue(String),
}

fn parse<'a>(args: &'a [String], tables: &[&'static [Flag]]) -> Result<Args<'a>, BadArgs> {
    let mut parsed = Args::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            parsed.rest = args.map(String::as_str).collect();
            break;
        }
        // A lone `-` is a word.
        if !arg.starts_with('-') || arg == "-" {
            parsed.words.push(arg);
            continue;
        }
        let (head, mut inline) = arg.split_once('=').map_or((arg.as_str(), None), |(head, value)| (head, Some(value)));
        let flag = find_flag(head, tables).ok_or_else(|| BadArgs::UnknownFlag(head.to_owned()))?;
        if inline.is_none() && !head.starts_with("--") {
            // `-ojson`
            inline = head.char_indices().nth(2).map(|(at, _)| &head[at..]);
        }
        let value = match inline {
            Some(value) => value,
            None if !flag.takes_value => "true",
            None => args.next().ok_or_else(|| BadArgs::MissingValue(arg.clone()))?,
        };
        parsed.flags.push((&flag.name, value));
    }
    Ok(parsed)
}

fn find_flag(head: &str, tables: &[&'static [Flag]]) -> Option<&'static Flag> {
    let mut all = tables.iter().copied().flatten();
    match head.strip_prefix("--") {
        Some(name) => all.find(|flag| flag.name == name),
        None => head.chars().nth(1).and_then(|short| all.find(|flag| flag.short == Some(short))),
    }
}

/// `-fsSL` as four flags, if all of them are among these letters.
pub fn split_short_flags(args: &[String], known: &str) -> Vec<String> {
    let split = |arg: &String| {
        let letters = arg.strip_prefix('-').filter(|a| a.len() > 1 && a.chars().all(|c| known.contains(c)));
        letters.map_or(vec![arg.clone()], |letters| letters.chars().map(|c| format!("-{c}")).collect())
    };
    args.iter().flat_map(split).collect()
}

/// A Go duration (`10m`, `1m30s`, `2h0m0s`) or plain seconds.
pub fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|n| *n > 0)?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| n + number);
        let scale = match &rest[number..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += rest[..number].parse::<f64>().ok()? * scale;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::from_secs_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Args<'static>, BadArgs> {
        let table = ["name=/n", "values=", "wait/w"].map(Flag::parse);
        parse(line.split(' ').map(str::to_owned).collect::<Vec<_>>().leak(), &[Box::leak(Box::new(table))])
    }

    #[test]
    fn flags_and_positional_arguments_are_distinguished() {
        let args = of("up -n a --wait --values - b -- --name x").unwrap();
        assert_eq!(args.words, ["up", "b"]);
        assert_eq!(args.get("name"), Some("a"));
        assert_eq!(args.get("values"), Some("-"));
        assert_eq!(args.rest, ["--name", "x"]);
        assert!(of("--wait=false").unwrap().get("wait") == Some("false") && !of("--wait=false").unwrap().on("wait"));
    }

    #[test]
    fn an_unknown_flag_and_a_missing_value_are_refused() {
        assert_eq!(of("up --nmae a"), Err(BadArgs::UnknownFlag("--nmae".into())));
        assert_eq!(of("up -x"), Err(BadArgs::UnknownFlag("-x".into())));
        assert_eq!(of("up --name"), Err(BadArgs::MissingValue("--name".into())));
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("2h0m0s"), Some(Duration::from_secs(7200)));
        assert_eq!(duration("2hours"), None);
        assert_eq!(duration(""), None);
    }
}
