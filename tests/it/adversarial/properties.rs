//! What holds for any text in each reader: bounded time and memory, and problems with their place. Shared with `fuzz/`.

use std::collections::BTreeMap;
use std::time::Duration;

use charts::lock;
use model::fleet::{self, Compatibility, Fleet};
use model::problem::{At, Problem};
use model::release::{self, Releases};
use model::token::{self, Token};
use model::yaml;
use plan::choose::{Choice, choose};
use plan::journal::{self, Entry};
use plan::mesh::{MeshScope, survey};
use plan::survey::overview::overview;
use plan::survey::{Answer, Answers, ProbeState};
use plan::{Expect, Plan};
use render::merge;
use tool::{Command, Extractor, Output, Tool};
use xtask::ui::problem;
use xtask::ui::shell::Style;

pub const FLEET: &str = "infra/fleet.toml";
pub const LIST: &str = "charts/releases.toml";

/// Asserts that problems name the file and one of its lines, and that printing them moves no cursor.
pub fn check_problems(problems: &[Problem], file: &str, text: &str) {
    assert!(!problems.is_empty());
    let lines = text.matches(['\n', '\r']).count() + 1;
    for problem in problems {
        let at = problem.at.as_ref().unwrap_or_else(|| panic!("no place: {problem:?}"));
        assert_eq!(at.file, file, "{problem:?}");
        assert!(at.line.is_none_or(|line| line >= 1 && line <= lines), "{problem:?}");
        assert!(!problem.what.starts_with("bug:"), "{problem:?}");
    }
    check_print(problems);
}

pub fn check_print(problems: &[Problem]) {
    let printed = problem::all(problems, &|_| None, Style::default());
    assert!(!printed.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{printed:?}");
}

pub fn fleet(text: &str, known: &Compatibility) -> Option<Fleet> {
    fleet::load(FLEET, text, known).inspect_err(|problems| check_problems(problems, FLEET, text)).ok()
}

pub fn compatibility(text: &str) {
    check_print(&Compatibility::load("c.toml", text).err().unwrap_or_default());
}

/// A list that is read is edited as `charts lock` does.
pub fn releases(text: &str, fleet: &Fleet) {
    match release::load(LIST, text, fleet) {
        Ok(releases) => {
            for name in lock::unlocked(&releases) {
                let _ = lock::lock(text, &releases, fleet, &name, &"0".repeat(64));
            }
        }
        Err(problems) => check_problems(&problems, LIST, text),
    }
}

/// Our YAML is merged with derived keys, written and read back the same; and the text is read as a tool's YAML.
pub fn yaml(text: &str) {
    let at = At { file: FLEET.into(), line: Some(3) };
    let derived = ["cluster.name", "a.0.b", "operator", ""].map(|p| merge::Derived::new(p, "x", at.clone()));
    match yaml::parse("a.yaml", text) {
        Ok(documents) => {
            for document in &documents {
                let merged = merge::merge(document, &derived).unwrap_or_else(|problems| {
                    check_print(&problems);
                    document.value.clone()
                });
                let written = yaml::write(std::slice::from_ref(&merged));
                let back = yaml::parse("b.yaml", &written).unwrap_or_else(|p| panic!("{written}: {p:?}"));
                let null = Default::default();
                assert_eq!(back.first().map_or(&null, |document| &document.value), &merged, "{written}");
            }
        }
        Err(problems) => check_problems(&problems, "a.yaml", text),
    }
    let _ = yaml::foreign("a.yaml", text).inspect_err(|problem| check_print(std::slice::from_ref(problem)));
    let _ = charts::rendered::objects("x", text).map(|all| charts::rendered::workloads(&all, "y"));
    let _ = charts::outdated::parse_chart_yaml("x", text);
}

/// Good lines around any bytes are read.
pub fn journal(before: &[u8], between: &[u8], after: &[u8]) {
    let value = "\u{202e}\n\"\0";
    let fact = |name: &str| journal::line(&Entry::Fact { name: name.into(), value: value.into() });
    let (a, b) = (format!("\n{}", fact("a")), format!("\n{}", fact("b")));
    let read = journal::read(&String::from_utf8_lossy(&[before, a.as_bytes(), between, b.as_bytes(), after].concat()));
    assert!(read.facts["a"] == value && read.facts["b"] == value);
}

/// Each token that is found is written back as it stood, and nothing else changes.
pub fn tokens(text: &str) {
    let same = |token: Token<'_>| match token {
        Token::Fact(name) => token::fact(name),
        Token::Secret(name) => token::secret(name),
        Token::Digest(file) => token::digest(file),
    };
    assert_eq!(token::complete(text, |token| Some(same(token))).as_deref(), Ok(text));
    assert_eq!(token::complete(text, |_| None).is_err(), !token::tokens(text).is_empty());
    let _ = tool::quoted(text);
}

/// Every kind of expectation and extractor gives an answer of bounded length.
pub fn output(output: &Output) {
    let wants = [
        Expect::Stdout("x".into()),
        Expect::Lines(vec!["a".into(), String::new()]),
        Expect::Match(r"^(\S+)\s".into()),
        Expect::Stderr(".".into()),
        Expect::Json("/info/a/state".into(), "Running".into()),
        Expect::JsonAtLeast("/memory".into(), 5),
        Expect::JsonPresent(String::new()),
        Expect::JsonPresent("no".into()),
        Expect::Version(String::new(), ">=3.14, <5".into()),
        Expect::Version("/v".into(), "*".into()),
        Expect::Outside("/networks".into(), vec!["10.0.0.0/8".parse().expect("a network")]),
        Expect::Newest("ns/a".into(), r"deployed\s+a=b".into()),
    ];
    for want in wants.iter().chain([&Expect::All(wants.to_vec()), &Expect::Any(wants.to_vec())]) {
        let why = want.mismatch(output);
        assert!(why.len() < 40 * 600, "{}", why.len());
        assert!(why == "matches" || !want.holds(&Command::ask(Tool::Builtin, ["x"]), output));
    }
    for from in [Extractor::Stdout, Extractor::Pointer("/info/a".into()), Extractor::Match("^v(.*)$".into())] {
        assert!(from.read(output).is_none_or(|value| !value.is_empty()));
    }
    let _ = Extractor::MatchBase64(r"(-----BEGIN X-----[\s\S]*?-----END X-----)".into()).read(output);
}

/// These globs choose steps, or give a problem of bounded length.
pub fn globs(plan: &Plan, only: Vec<String>, skip: Vec<String>, until: Vec<String>) {
    if let Err(problems) = choose(plan, &Choice { only, skip, until }) {
        check_print(&problems);
        assert!(problems.iter().all(|problem| problem.what.len() < 2_000));
    }
}

/// One answer to every question of `status`, `doctor` and the mesh.
pub fn answers(fleet: &Fleet, releases: &Releases, plan: &Plan, output: &Output) {
    let state = || match output.ok() {
        true => ProbeState::Matches,
        false => ProbeState::Differs { remedy: None, why: "x".into() },
    };
    let mut answers = Answers::new();
    for step in &plan.steps {
        let wants = std::iter::once(&step.done_when.want).chain(step.remedies.iter().map(|remedy| &remedy.when));
        wants.for_each(|want| drop(want.mismatch(output)));
        step.done_when.ask.captures.iter().for_each(|capture| drop(capture.from.read(output)));
        let answer = Answer { at: Duration::ZERO, output: Some(output.clone()), state: state() };
        answers.insert(step.id.clone(), answer);
    }
    drop(xtask::ui::status::json(&overview(fleet, releases, &answers), &contract::Report::default(), &[]));
    let scope = MeshScope::all(fleet);
    let asked = survey::plan(fleet, &scope);
    let answers = asked.steps.iter().map(|step| (step.id.clone(), output.clone())).collect();
    let survey =
        mesh::Survey { fleet, scope: &scope, answers: &answers, facts: &BTreeMap::new(), times: &BTreeMap::new() };
    let found: Vec<Problem> = mesh::judge(&survey).into_iter().map(|finding| finding.problem).collect();
    check_print(&found);
}
