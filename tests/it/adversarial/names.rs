//! Hostile names and values are refused or stay one argument.

use std::collections::BTreeSet;

use machines::{Machine, guest};
use model::fleet::{self, Compatibility, Fleet};
use model::release;
use model::token;
use plan::{Plan, bootstrap, check, power};
use proptest::prelude::*;
use render::{self, Data};
use tool::helm::Helm;
use tool::{Call, World};
use tool::{Command, builtin};

use crate::golden::{self, FLEET, LIST, commands};
use crate::host::Bench;

/// What must not become more than a text.
fn payloads() -> Vec<String> {
    golden::list("tests/fixtures/payloads.json")
}

fn quoted(text: &str) -> String {
    let letter = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '-' | '.' | '/' | '_' | '<' | '>' | ':' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(letter).collect::<String>())
}

/// Where texts stand in a TOML file: from quote to quote, outside of comments.
fn values(toml: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in toml.split_inclusive('\n') {
        let quotes: Vec<usize> = line.match_indices('"').map(|(at, _)| start + at).collect();
        if !line.trim_start().starts_with('#') {
            found.extend(quotes.chunks_exact(2).map(|pair| pair[0]..pair[1] + 1));
        }
        start += line.len();
    }
    found
}

/// Every script that a shell gets as one argument.
fn scripts(plan: &Plan) -> BTreeSet<String> {
    let of = |command: &Command| {
        let pairs: Vec<(String, String)> =
            command.args.iter().cloned().zip(command.args.iter().skip(1).cloned()).collect();
        pairs.into_iter().filter(|(flag, _)| flag == "-c").map(|(_, script)| script)
    };
    commands(plan).flat_map(of).collect()
}

struct Input {
    fleet: String,
    releases: String,
    known: Compatibility,
    data: Data,
}

impl Input {
    fn new() -> Self {
        let (fleet, releases) = (golden::read(FLEET), golden::read(LIST));
        Input { fleet, releases, known: golden::known(), data: golden::data() }
    }

    /// The plans that follow, if nothing is refused.
    fn plans(&self, fleet: &str, releases: &str) -> Option<(Fleet, Vec<Plan>)> {
        let fleet = fleet::load(FLEET, fleet, &self.known).ok()?;
        let releases = release::load(LIST, releases, &fleet).ok()?;
        let files = render::files(&fleet, &releases, &self.data).ok()?;
        let plan = bootstrap::plan(&fleet, &releases, files, Helm::V4);
        let plans = vec![power::stop(&fleet), power::destroy(&fleet), power::start(&fleet, plan.clone()), plan];
        Some((fleet, plans))
    }
}

/// Where a payload may stand in commands that came to be.
fn harmless(plans: &[Plan], payload: &str, usual: &BTreeSet<String>, place: &str) {
    for plan in plans {
        assert_eq!(check::check(plan), [""; 0], "{place}");
        for script in scripts(plan) {
            assert!(usual.contains(&script), "{place}: {payload:?} changes what a shell reads: {script}");
        }
        for arg in commands(plan).flat_map(|command| &command.args) {
            let whole = arg == payload || arg.ends_with(&format!("={payload}"));
            assert!(!(whole && arg.starts_with('-') && payload.len() > 1), "{place}: a flag: {arg}");
            assert!(!arg.contains(['\0', '\u{1b}', '\u{202e}']), "{place}: {arg:?}");
        }
    }
}

#[test]
fn payload_in_any_value_is_refused_or_stays_one_argument() {
    let input = Input::new();
    let (_, usual) = input.plans(&input.fleet, &input.releases).expect("the default is in order");
    let usual: BTreeSet<String> = usual.iter().flat_map(scripts).collect();
    let payloads = payloads();
    let (mut seen, mut refused, mut taken) = (BTreeSet::new(), 0, Vec::new());
    for (file, text) in [(FLEET, &input.fleet), (LIST, &input.releases)] {
        for value in values(text) {
            for payload in &payloads {
                let spoilt = format!("{}{}{}", &text[..value.start], quoted(payload), &text[value.end..]);
                let (fleet, releases) =
                    if file == FLEET { (&spoilt, &input.releases) } else { (&input.fleet, &spoilt) };
                let line = text[..value.start].matches('\n').count() + 1;
                let key = text.lines().nth(line - 1).unwrap_or_default().split('=').next().unwrap_or_default().trim();
                // What one key does with a payload it does in every table of the file.
                if !seen.insert((file, key.to_owned(), payload)) {
                    continue;
                }
                let place = format!("{file}:{line} {key} = {payload:?}");
                // A text that goes nowhere is taken with every payload; some of them show it.
                let enough = taken.iter().filter(|(taken, _)| taken == key).count() > 3;
                match (!enough).then(|| input.plans(fleet, releases)) {
                    None => {}
                    Some(None) => refused += 1,
                    Some(Some((_, plans))) => {
                        harmless(&plans, payload, &usual, &place);
                        taken.push((key.to_owned(), place));
                    }
                }
            }
        }
    }
    assert!(refused > 500 && taken.len() < 56, "{refused} refused, taken: {taken:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unusual_valid_names_change_only_the_name_in_scripts(name in "[a-z]([a-z0-9-]{0,30}[a-z0-9])?") {
        let input = Input::new();
        let (_, usual) = input.plans(&input.fleet, &input.releases).expect("the default is in order");
        let usual: BTreeSet<String> = usual.iter().flat_map(scripts).collect();
        let fleet = input.fleet.replace("\"app1\"", &quoted(&name));
        if let Some((_, plans)) = input.plans(&fleet, &input.releases) {
            let named: BTreeSet<String> = usual.iter().map(|script| script.replace("app1", &name)).collect();
            for plan in &plans {
                prop_assert_eq!(check::check(plan), Vec::<String>::new());
                for script in scripts(plan) {
                    prop_assert!(named.contains(&script), "{}", script);
                }
            }
        }
    }

    #[test]
    fn arguments_are_passed_unchanged(args in prop::collection::vec("[^\0]{0,40}", 0..12)) {
        let mut bench = Bench::new();
        let mut line = vec!["-c".to_owned(), "for arg; do printf '%s\\0' \"$arg\"; done".to_owned(), "sh".to_owned()];
        line.extend(args.iter().cloned());
        bench.host.start(Call { task: 1, tool: tool::Tool::Curl, args: line, stdin: vec![], env: vec![], acts: None });
        let printed = bench.end(1).stdout;
        let got: Vec<&str> = printed.split_terminator('\0').collect();
        prop_assert_eq!(got, args);
    }
}

#[test]
fn nul_in_an_argument_starts_no_process() {
    let mut bench = Bench::new();
    let args = vec!["-c".into(), "touch started".into(), "a\0b".into()];
    bench.host.start(Call { task: 1, tool: tool::Tool::Curl, args, stdin: vec![], env: vec![], acts: None });
    let exit = bench.end(1).exit;
    assert!(matches!(&exit, tool::Exit::NotStarted(why) if why.contains("nul byte")), "{exit:?}");
    assert!(!bench.root.join("started").exists());
}

#[test]
fn unsafe_names_on_the_command_line_are_refused() {
    let place = crate::ui::Repo::new();
    for name in ["--x", "a\"b", "a\nb", "../x", "$(id)", "A", "", "\u{202e}x", &"x".repeat(5_000)] {
        let ran = place.run_words("/nowhere", &["add-cluster", "--", name]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name:?}: {}", ran.err);
        assert!(!ran.err.contains('\u{202e}'), "{}", ran.err);
        let ran = place.run_words("/nowhere", &["logs", "--", name]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name:?}: {}", ran.err);
        let ran = place.run_words("/nowhere", &["report", "verify", "--", name]);
        assert!(ran.code == 2 && ran.out.is_empty(), "{name:?}: {}", ran.err);
    }
}

#[test]
fn learned_value_that_is_no_plain_word_starts_no_process() {
    let mut step = crate::drive::step("b", &[], crate::drive::ask("false"), vec![]);
    let fleet = model::samples::fleet();
    let vm = Machine::of(&fleet.clusters[0], fleet.clusters[0].control_plane());
    step.act = vec![guest::hosts(&vm, &token::fact("ip"), "api")];
    for (value, taken) in [("10.0.0.1", true), ("--help", false), ("1;id", false), ("a b", false), ("$(id)", false)] {
        let mut bench = Bench::new();
        let plan = crate::drive::plan(vec![step.clone()]);
        bench.run(&format!("mkdir -p out; printf '%s' '{}' > out/journal.jsonl", {
            let fact = plan::journal::Entry::Fact { name: "ip".into(), value: value.into() };
            plan::journal::line(&fact)
        }));
        let failed = crate::drive::run(&mut bench, &plan).outcome.failed;
        let exit = &failed[0].output.exit;
        // There is no multipass here: it was looked for, or the value was refused before.
        assert_eq!(exit == &tool::Exit::Missing, taken, "{value}: {exit:?}");
    }
    assert_eq!(builtin::tcp_connect("--x", 1).args.len(), 3);
}
