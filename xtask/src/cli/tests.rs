use std::collections::BTreeSet;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::*;

/// Every command that does something, with the words that name it and its required values.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn walk(command: &Command, words: &[String], out: &mut Vec<(Vec<String>, Command)>) {
        if !command.has_subcommands() {
            let values = command.get_positionals().filter(|arg| arg.is_required_set()).flat_map(value);
            out.push((words.iter().cloned().chain(values).collect(), command.clone()));
        }
        for inner in command.get_subcommands() {
            walk(inner, &[words, &[inner.get_name().to_owned()]].concat(), out);
        }
    }
    let mut definition = Cli::command();
    definition.build();
    let mut out = Vec::new();
    walk(&definition, &["xtask".to_owned()], &mut out);
    out
}

/// A value that the argument accepts, if it takes one.
fn value(arg: &Arg) -> Option<String> {
    let possible = arg.get_possible_values().first().map(|value| value.get_name().to_owned());
    arg.get_action().takes_values().then(|| possible.unwrap_or("1".to_owned()))
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let own = |flag: &&Arg| flag.get_long().is_some_and(|long| !["help", "version"].contains(&long));
    command.get_arguments().filter(own)
}

fn typed(flag: &Arg) -> Vec<String> {
    [Some(format!("--{}", flag.get_long().unwrap_or_default())), value(flag)].into_iter().flatten().collect()
}

/// Parses the words, and other arguments that clap requires with them.
fn parse_with_required(root: &mut Command, command: &Command, mut words: Vec<String>) -> Result<(), clap::Error> {
    loop {
        let Err(error) = root.try_get_matches_from_mut(&words) else { return Ok(()) };
        let Some(ContextValue::Strings(required)) = error.get(ContextKind::InvalidArg) else { return Err(error) };
        if error.kind() != ErrorKind::MissingRequiredArgument {
            return Err(error);
        }
        // `--simulate`, or one of `<--live|--drill <DRILL>>`.
        let first = required[0].trim_start_matches('<').split(['|', ' ', '>']).next().unwrap_or_default();
        let flag = flags(command).find(|flag| format!("--{}", flag.get_long().unwrap_or_default()) == first);
        words.extend(flag.map_or(vec!["x".to_owned()], typed));
    }
}

#[test]
fn commands_accept_the_flags_of_their_help_and_no_others() {
    let commands = commands();
    let all: BTreeSet<Vec<String>> = commands.iter().flat_map(|(_, command)| flags(command).map(typed)).collect();
    let (mut accepted, mut refused) = (0, 0);
    let mut root = Cli::command();
    for (words, command) in &commands {
        let shown: Vec<Vec<String>> = flags(command).map(typed).collect();
        for flag in &all {
            let words = [&words[..], flag].concat();
            if shown.iter().any(|shown| shown[0] == flag[0]) {
                let parsed = parse_with_required(&mut root, command, words.clone());
                assert!(parsed.is_ok(), "{}: {}", words.join(" "), parsed.unwrap_err());
                accepted += 1;
            } else {
                let error = root.try_get_matches_from_mut(&words).expect_err(&words.join(" "));
                let context = (error.kind(), error.get(ContextKind::InvalidArg));
                let unknown = ContextValue::String(flag[0].clone());
                assert_eq!(context, (ErrorKind::UnknownArgument, Some(&unknown)), "{}", words.join(" "));
                refused += 1;
            }
        }
    }
    assert!(accepted > 200 && refused > 300, "{accepted} accepted, {refused} refused");
}

#[test]
fn global_flags_are_accepted_before_the_command() {
    let mut definition = Cli::command();
    definition.build();
    let global: Vec<&str> = flags(&definition).filter_map(Arg::get_long).collect();
    assert_eq!(global, ["fleet", "format", "verbose", "quiet", "color"]);
    assert!(Cli::try_parse_from(["xtask", "--format", "json", "-q", "status"]).is_ok());
    assert!(Cli::try_parse_from(["xtask", "--simulate", "status"]).is_err());
}

#[test]
fn every_help_has_examples_that_parse() {
    fn walk(command: &mut Command) {
        let help = command.clone().term_width(COLUMNS).render_help().to_string();
        let examples = help.lines().filter_map(|line| line.strip_prefix("  cargo "));
        let mut seen = 0;
        for example in examples {
            let example = example.split("   #").next().unwrap_or_default();
            let quoted = example.split('\'').enumerate();
            let words =
                quoted.flat_map(|(i, part)| if i % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
            assert!(Cli::try_parse_from(words).is_ok(), "`cargo {example}`");
            seen += 1;
        }
        assert!(seen > 0, "`{}` has no example", command.get_name());
        command.get_subcommands_mut().for_each(walk);
    }
    let mut definition = Cli::command();
    definition.build();
    walk(&mut definition);
}

fn flags_of(line: &str) -> Flags {
    let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
    parse(&words, false, CARGO).unwrap_or_else(|error| panic!("{error}")).1
}

#[test]
fn every_shared_flag_is_read() {
    let flags = flags_of(
        "xtask --fleet f.toml --format json -q destroy --simulate --seed 7 --dry-run --only a --skip b --until c \
         --jobs 3 --explain --yes --color never",
    );
    assert_eq!((flags.fleet.as_str(), flags.format, flags.quiet, flags.verbose), ("f.toml", Format::Json, true, false));
    assert_eq!((flags.simulate, flags.seed, flags.dry_run, flags.yes), (true, Some(7), true, true));
    assert_eq!([&flags.only[..], &flags.skip, &flags.until].concat(), ["a", "b", "c"]);
    assert_eq!((flags.jobs, flags.explain, flags.selects_all()), (Some(3), true, false));
    assert_eq!(flags_of("xtask mesh-connect --cluster a,b --cluster c").clusters, ["a", "b", "c"]);
    let other = flags_of("xtask adr list");
    assert_eq!((other.simulate, other.seed, other.selects_all(), other.jobs), (false, None, true, None));
    assert!(flags_of("xtask kubeconfig --simulate").simulate);
}

#[test]
fn commands_stay_in_their_world() {
    let (simulated, real) = (flags_of("xtask start --simulate"), flags_of("xtask start"));
    for (hint, want) in [
        ("cargo xtask start", "cargo xtask start --simulate"),
        (
            "cargo xtask bootstrap --only 'a/*'   # makes it",
            "cargo xtask bootstrap --only 'a/*' --simulate   # makes it",
        ),
        ("cargo xtask start --simulate --seed 7", "cargo xtask start --simulate --seed 7"),
        ("cargo xtask start && cargo xtask stop", "cargo xtask start --simulate && cargo xtask stop --simulate"),
        ("cargo xtask fleet check", "cargo xtask fleet check"),
        ("cargo xtask verify-contract C2", "cargo xtask verify-contract C2"),
        ("multipass start app1-cp", "multipass start app1-cp"),
    ] {
        assert_eq!(simulated.localized(hint), want);
        assert_eq!(real.localized(hint), hint);
    }
    let other = flags_of("xtask status --fleet 'f.toml'");
    let other = Flags { fleet: "f.toml".into(), simulate: true, ..other };
    for (text, want) in [
        ("a: cargo xtask fleet check", "a: cargo xtask fleet check --fleet f.toml"),
        (
            "x (cargo xtask start); then cargo xtask mesh-connect\nb",
            "x (cargo xtask start --simulate --fleet f.toml); then cargo xtask mesh-connect --simulate --fleet f.toml\nb",
        ),
        ("cargo xtask up --fleet g.toml --simulate   # it", "cargo xtask up --fleet g.toml --simulate   # it"),
    ] {
        assert_eq!(other.localized(text), want);
    }
}

#[test]
fn an_installed_program_is_called_by_its_name() {
    let vars = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
    let run = |arg: &str, var: &str| program(&[arg.into(), "up".into()], &vars(var));
    assert_eq!(run("/root/.cargo/bin/archipelago", "PATH"), "archipelago");
    assert_eq!(run("target/debug/archipelago", "CARGO_PKG_NAME"), CARGO);
    assert_eq!(run("xtask", "PATH"), CARGO);
    let installed = Flags { program: "archipelago", simulate: true, ..flags_of("xtask status") };
    assert_eq!(installed.localized("hint: cargo xtask up   # x"), "hint: archipelago up --simulate   # x");
    let error = parse(&["archipelago".into(), "boot".into()], false, "archipelago").expect_err("no command");
    assert!(error.to_string().contains("Usage: archipelago"), "{error}");
}
