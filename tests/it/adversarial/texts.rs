//! Any text into every reader: bounded time and memory, and a problem with its place.

use std::collections::BTreeMap;
use std::time::Duration;

use model::fleet::{self, Compatibility, Fleet};
use model::problem::{At, Problem};
use model::release;
use model::token;
use model::yaml;
use plan::choose::{Choice, choose};
use plan::journal;
use plan::survey::overview::overview;
use plan::survey::{Answer, Answers, ProbeState};
use plan::{Expect, Plan};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use render::merge;
use serde_json::Value;
use tool::helm::Helm;
use tool::{Exit, Extractor, Output};
use xtask::ui::problem;
use xtask::ui::shell::Style;

use crate::golden;

const FLEET: &str = "infra/fleet.toml";
const LIST: &str = "charts/releases.toml";

/// Pieces that have a meaning in one of the formats, or for a shell, a terminal or a file system.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "=",
    ":",
    ": ",
    "- ",
    "---\n",
    "...\n",
    "|\n",
    ">\n",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "? ",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "é",
    "\u{1f4a5}",
    "<fact:",
    "<secret:",
    "<digest:",
    ">",
    "<",
    "..",
    "../",
    "/",
    "--purge",
    "-",
    "$(id)",
    "`id`",
    ";",
    "&&",
    "\\",
    "\\u0000",
    "\\ud800",
    "1e999",
    "-0",
    "9223372036854775808",
    "0x",
    "0755",
    "yes",
    "null",
    "true",
    ".inf",
    "2026-11-22",
    "name",
    "version",
    "ipv4",
    "info",
    "cluster",
    "v1.2.3",
    "sh.helm.release.v1.cilium.v3",
    "{\"v\":2,\"event\":\"fact\",\"name\":\"x\",\"value\":\"",
    "{\"v\":",
    "10.0.0.1",
    "10.0.0.0/8",
    "::1",
];

/// Any text: letters of every kind, or pieces that mean something, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(select(PIECES), 0..80).prop_map(|pieces| pieces.concat());
    prop_oneof![any::<String>(), pieces]
}

#[derive(Debug, Clone)]
enum Edit {
    Cut(Index, Index),
    Put(Index, &'static str),
    Twice(Index, Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        any::<(Index, Index)>().prop_map(|(a, b)| Edit::Cut(a, b)),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Edit::Put(at, piece)),
        any::<(Index, Index)>().prop_map(|(a, b)| Edit::Twice(a, b)),
    ];
    prop::collection::vec(edit, 1..6)
}

fn spoilt(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    let position = |text: &str, at: &Index| {
        let at = at.index(text.len() + 1);
        (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
    };
    for edit in edits {
        match edit {
            Edit::Put(at, piece) => text.insert_str(position(&text, at), piece),
            Edit::Cut(a, b) | Edit::Twice(a, b) => {
                let (a, b) = (position(&text, a), position(&text, b));
                let part = a.min(b)..(a.max(b)).min(a.min(b) + 400);
                let Some(piece) = text.get(part.clone()).map(str::to_owned) else { continue };
                match edit {
                    Edit::Cut(..) => text.replace_range(part, ""),
                    _ => text.insert_str(part.start, &piece),
                }
            }
        }
    }
    text
}

pub(super) fn known() -> Compatibility {
    let table = "infra/compatibility.toml";
    Compatibility::load(table, &golden::read(table)).expect("the table is in order")
}

pub(super) fn named(problems: &[Problem], file: &str, text: &str) {
    assert!(!problems.is_empty());
    let lines = text.matches(['\n', '\r']).count() + 1;
    for problem in problems {
        let at = problem.at.as_ref().unwrap_or_else(|| panic!("no place: {problem:?}"));
        assert_eq!(at.file, file, "{problem:?}");
        assert!(at.line.is_none_or(|line| line >= 1 && line <= lines), "{problem:?}");
    }
    shown(problems);
}

fn shown(problems: &[Problem]) {
    let said = problem::all(problems, Style::default());
    assert!(!said.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{said:?}");
}

pub(super) fn read_fleet(text: &str, known: &Compatibility) -> Option<Fleet> {
    let read = fleet::load(FLEET, text, known);
    read.inspect_err(|problems| named(problems, FLEET, text)).ok()
}

fn bounded() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn any_fleet_text_is_read_or_refused_with_a_line(text in any_text(), edits in edits()) {
        let known = known();
        read_fleet(&text, &known);
        read_fleet(&spoilt(&golden::read(FLEET), &edits), &known);
        let table = spoilt(&golden::read("infra/compatibility.toml"), &edits);
        shown(&Compatibility::load("c.toml", &table).err().unwrap_or_default());
    }

    #[test]
    fn any_release_list_is_read_or_refused_with_a_line(text in any_text(), edits in edits()) {
        let (fleet, _) = golden::load(FLEET);
        for text in [text, spoilt(&golden::read(LIST), &edits)] {
            if let Err(problems) = release::load(LIST, &text, &fleet) {
                named(&problems, LIST, &text);
            }
        }
    }

    #[test]
    fn any_yaml_round_trips_or_is_refused_with_a_line(text in any_text(), edits in edits()) {
        for text in [text, spoilt(&golden::read("charts/cilium/values.yaml"), &edits)] {
            let at = At { file: FLEET.into(), line: Some(3) };
            let derived = ["cluster.name", "a.0.b", "operator", ""].map(|p| merge::Derived::new(p, "x", at.clone()));
            match yaml::parse("a.yaml", &text) {
                Ok(documents) => {
                    for document in &documents {
                        let merged = merge::merge(document, &derived).unwrap_or_else(|problems| {
                            shown(&problems);
                            document.value.clone()
                        });
                        let written = yaml::write(std::slice::from_ref(&merged));
                        let back = yaml::parse("b.yaml", &written);
                        let back = back.unwrap_or_else(|p| panic!("{written}: {p:?}"));
                        let back = back.first().map_or(&Value::Null, |document| &document.value);
                        prop_assert_eq!(back, &merged, "{}", written);
                    }
                }
                Err(problems) => named(&problems, "a.yaml", &text),
            }
            let _ = yaml::foreign("a.yaml", &text).inspect_err(|problem| shown(std::slice::from_ref(problem)));
            let _ = charts::rendered::objects("x", &text).map(|all| charts::rendered::workloads(&all, "y"));
            let _ = charts::outdated::parse_chart_yaml("x", &text);
        }
    }

    #[test]
    fn bad_bytes_in_a_journal_lose_only_their_lines(
        before in prop::collection::vec(any::<u8>(), 0..300),
        text in any_text(),
        after in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let fact = |name: &str| {
            journal::line(&journal::Entry::Fact { name: name.into(), value: "\u{202e}\n\"\0".into() })
        };
        let mut bytes = before;
        bytes.extend(format!("\n{}{text}\n{}", fact("a"), fact("b")).as_bytes());
        bytes.extend(after);
        let read = journal::read(&String::from_utf8_lossy(&bytes));
        prop_assert_eq!(&read.facts["a"], "\u{202e}\n\"\0");
        prop_assert_eq!(&read.facts["b"], "\u{202e}\n\"\0");
    }

    #[test]
    fn tokens_in_any_text_are_replaced_and_nothing_else(text in any_text()) {
        let found = token::tokens(&text).len();
        let same = token::complete(&text, |token| Some(match token {
            token::Token::Fact(name) => token::fact(name),
            token::Token::Secret(name) => token::secret(name),
            token::Token::Digest(file) => token::digest(file),
        }));
        prop_assert_eq!(same.as_deref(), Ok(text.as_str()));
        prop_assert_eq!(token::complete(&text, |_| None).is_err(), found > 0);
    }

    #[test]
    fn any_output_is_read_without_panic(stdout in any_text(), stderr in any_text(), code in -1..256i32) {
        let output = Output { stdout, stderr, exit: Exit::Code(code), cut: false };
        let wants = [
            Expect::Stdout("x".into()), Expect::Lines(vec!["a".into(), "".into()]), Expect::Match(r"^(\S+)\s".into()),
            Expect::Stderr(".".into()), Expect::Json("/info/a/state".into(), "Running".into()),
            Expect::JsonAtLeast("/memory".into(), 5), Expect::JsonPresent("".into()), Expect::JsonPresent("no".into()),
            Expect::Version("".into(), ">=3.14, <5".into()), Expect::Version("/v".into(), "*".into()),
            Expect::Outside("/networks".into(), vec!["10.0.0.0/8".parse().unwrap()]),
            Expect::Newest("ns/a".into(), r"deployed\s+a=b".into()),
        ];
        for want in wants.iter().chain([&Expect::All(wants.to_vec()), &Expect::Any(wants.to_vec())]) {
            let why = want.mismatch(&output);
            prop_assert!(why.len() < 40 * 600, "{}", why.len());
            prop_assert!(want.holds(&output) == (why == "it is as wanted"));
        }
        for from in [Extractor::Stdout, Extractor::Pointer("/info/a".into()), Extractor::Match("^v(.*)$".into())] {
            prop_assert!(from.read(&output).is_none_or(|value| !value.is_empty()));
        }
    }

    #[test]
    fn any_glob_matches_or_is_refused(glob in any_text(), long in 0..3usize) {
        let plan = plan();
        let globs = vec![glob.repeat(1 + long * 300)];
        let wish = Choice { only: globs.clone(), skip: globs, until: vec!["*".into()] };
        if let Err(problems) = choose(plan, &wish) {
            shown(&problems);
            prop_assert!(problems.iter().all(|p| p.what.len() < 2_000));
        }
    }
}

pub(super) fn plan() -> &'static Plan {
    static PLAN: std::sync::OnceLock<Plan> = std::sync::OnceLock::new();
    PLAN.get_or_init(|| golden::plan(FLEET, Helm::V4))
}

/// Answers of tools as they look, to be spoilt.
const ANSWERS: &[&str] = &[
    r#"{"info":{"mgmt-cp":{"state":"Running","ipv4":["192.168.64.2","10.1.0.1"],"cpu_count":"2"}}}"#,
    r#"{"multipass":"1.16.3+mac","multipassd":"1.16.3+mac"}"#,
    r#"{"list":[{"name":"mgmt-cp","state":"Stopped","ipv4":[],"release":"Not Available"}]}"#,
    r#"{"prep":"k8s=1.35.7","api_address":"1.2.3.4","ca_hash":"sha256:ab","control_plane":"up","sealed":true}"#,
    r#"{"worker":"none","advertised":"1.2.3.4","node_ip":"","kubelet":"v1.35.7","clock":1763855000}"#,
    r#"{"clientVersion":{"gitVersion":"v1.35.6"},"kustomizeVersion":"v5.7.1"}"#,
    r#"{"cilium_status":{"cilium-x":{"routing":{"inter-host-routing-mode":"Tunnel","tunnel-protocol":"vxlan"}}}}"#,
    r#"{"connectivity":{"clusters":{"app1":{"configured":2,"connected":2}},"total":2},"kvstoremesh":{"status":{}}}"#,
    r#"{"os":"macos","cpus":10,"memory_bytes":68719476736,"free_disk_bytes":1,"networks":["10.0.0.0/8"],"clock":1}"#,
    r#"{"initialized":true,"sealed":false,"unseal_keys_b64":["x"],"root_token":"y"}"#,
    "sh.helm.release.v1.cilium.v3   cilium   3   deployed   cilium-1.20.0   0123456789abcdef\n",
    "mgmt-cp 10.1.0.0/24 True\nmgmt-w1 10.1.1.0/24 False\n",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "v4.1.4\n",
    "cilium-cli: v0.19.7 compiled with go1.25\n",
    "curl 8.7.1 (x86_64)\n",
    "OpenSSL 3.3.1 4 Jun 2024\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..bounded() })]

    #[test]
    fn any_tool_output_is_judged(edits in edits(), which in any::<Index>(), ok in any::<bool>()) {
        let (fleet, releases) = golden::load(FLEET);
        let stdout = spoilt(ANSWERS[which.index(ANSWERS.len())], &edits);
        let output = Output { stdout, ..Output::of(Exit::Code(i32::from(!ok))) };
        let mut answers = Answers::new();
        for step in &plan().steps {
            let wants = std::iter::once(&step.done_when.want).chain(step.remedies.iter().map(|remedy| &remedy.when));
            wants.for_each(|want| drop(want.mismatch(&output)));
            for capture in &step.done_when.ask.captures {
                drop(capture.from.read(&output));
            }
            let state = if ok { ProbeState::Matches } else { ProbeState::Differs { remedy: None, why: "x".into() } };
            let answer = Answer { at: Duration::ZERO, output: Some(output.clone()), state };
            answers.insert(step.id.clone(), answer);
        }
        let seen = overview(&fleet, &releases, &answers);
        drop(xtask::ui::status::json(&seen, &contract::Report::default()));
        let scope = plan::mesh::MeshScope::all(&fleet);
        let asked = plan::mesh::survey::plan(&fleet, &scope);
        let answers = asked.steps.iter().map(|step| (step.id.clone(), output.clone())).collect();
        let survey = mesh::Survey { fleet: &fleet, scope: &scope, answers: &answers, facts: &BTreeMap::new() };
        let found: Vec<Problem> = mesh::judge(&survey).into_iter().map(|finding| finding.problem).collect();
        shown(&found);
    }
}
