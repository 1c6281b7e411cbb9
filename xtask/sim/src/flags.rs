//! Flags of the simulated tools' subcommands: what is known is parsed, what is not is refused as the tool would.
//! Knows nothing of what a flag means.

/// The flags of one subcommand, by their long names without dashes.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Flags with a value.
    pub takes: &'static [&'static str],
    /// Flags without.
    pub bare: &'static [&'static str],
    /// Short names.
    pub short: &'static [(char, &'static str)],
}

impl Known {
    /// Whether a flag takes a value; nothing if there is no such flag.
    fn takes(&self, name: &str) -> Option<bool> {
        let takes = self.takes.contains(&name);
        (takes || self.bare.contains(&name)).then_some(takes)
    }
}

/// What a command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Flags in the order given; a bare flag has the value `true`.
    pub flags: Vec<(&'a str, &'a str)>,
    /// Everything else.
    pub words: Vec<&'a str>,
    /// What follows `--`.
    pub rest: Vec<&'a str>,
}

/// Why a command line was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    /// No such flag, as written.
    Unknown(String),
    /// The flag wants a value and there is none.
    NoValue(String),
}

impl<'a> Parsed<'a> {
    /// The last value of a flag.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.flags.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// Every value of a flag, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// Whether a flag is given and not switched off.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| v != "false")
    }

    /// The n-th word.
    pub fn word(&self, n: usize) -> &'a str {
        self.words.get(n).copied().unwrap_or_default()
    }
}

/// Reads a command line by the flags of several tables (a subcommand's own and the global ones). The first that has a
/// flag says what it is.
pub fn parse<'a>(args: &'a [String], tables: &[Known]) -> Result<Parsed<'a>, Bad> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            parsed.rest = args.map(String::as_str).collect();
            break;
        }
        let Some(flag) = flag(arg, tables)? else {
            parsed.words.push(arg);
            continue;
        };
        let value = match flag.inline {
            Some(value) => value,
            None if !flag.takes => "true",
            None => args.next().ok_or_else(|| Bad::NoValue(arg.clone()))?,
        };
        parsed.flags.push((flag.name, value));
    }
    Ok(parsed)
}

/// A flag as it is written.
struct Flag<'a> {
    /// Its long name.
    name: &'a str,
    /// The value behind `=`.
    inline: Option<&'a str>,
    /// Whether it takes one.
    takes: bool,
}

/// The flag that an argument is. A lone `-` is a word.
fn flag<'a>(arg: &'a str, tables: &[Known]) -> Result<Option<Flag<'a>>, Bad> {
    if !arg.starts_with('-') {
        return Ok(None);
    }
    let (head, inline) = match arg.split_once('=') {
        Some((head, value)) => (head, Some(value)),
        None => (arg, None),
    };
    let unknown = || Bad::Unknown(head.to_owned());
    let takes = |name: &str| tables.iter().find_map(|table| table.takes(name)).ok_or_else(unknown);
    if let Some(name) = head.strip_prefix("--") {
        return Ok(Some(Flag { name, inline, takes: takes(name)? }));
    }
    let Some(short) = head[1..].chars().next() else { return Ok(None) };
    let long = tables.iter().flat_map(|t| t.short).find(|(c, _)| *c == short).ok_or_else(unknown)?;
    let inline = inline.or_else(|| (head.len() > 2).then(|| &head[1 + short.len_utf8()..]));
    Ok(Some(Flag { name: long.1, inline, takes: takes(long.1)? }))
}

/// A Go duration (`10m`, `1m30s`, `2h0m0s`) or plain seconds.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_secs(seconds));
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
    (!text.is_empty()).then(|| std::time::Duration::from_secs_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Known = Known { takes: &["name", "values"], bare: &["wait"], short: &[('n', "name"), ('w', "wait")] };

    fn of(line: &str) -> Result<Parsed<'static>, Bad> {
        parse(line.split(' ').map(str::to_owned).collect::<Vec<_>>().leak(), &[TABLE])
    }

    #[test]
    fn flags_words_and_the_rest_are_told_apart() {
        let parsed = of("up -n a --wait --values - b -- --name x").unwrap();
        assert_eq!(parsed.words, ["up", "b"]);
        assert_eq!(parsed.get("name"), Some("a"));
        assert_eq!(parsed.get("values"), Some("-"));
        assert_eq!(parsed.rest, ["--name", "x"]);
        assert!(of("--wait=false").unwrap().get("wait") == Some("false") && !of("--wait=false").unwrap().on("wait"));
    }

    #[test]
    fn an_unknown_flag_and_a_missing_value_are_refused() {
        assert_eq!(of("up --nmae a"), Err(Bad::Unknown("--nmae".into())));
        assert_eq!(of("up -x"), Err(Bad::Unknown("-x".into())));
        assert_eq!(of("up --name"), Err(Bad::NoValue("--name".into())));
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(duration("1m30s"), Some(std::time::Duration::from_secs(90)));
        assert_eq!(duration("2h0m0s"), Some(std::time::Duration::from_secs(7200)));
        assert_eq!(duration("2hours"), None);
        assert_eq!(duration(""), None);
    }
}
