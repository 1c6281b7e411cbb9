//! Any text into every reader: bounded time and memory, and a problem with its place.

use std::sync::LazyLock;

use plan::Plan;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tool::helm::Helm;
use tool::{Exit, Output};

use super::properties;
use crate::golden::{self, FLEET, LIST, known};

/// Pieces that have a meaning in one of the formats, or for a shell, a terminal or a file system.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| golden::list("tests/fixtures/pieces.json"));

/// Any text: letters of every kind, or pieces that mean something, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(select(&**PIECES), 0..80).prop_map(|pieces| pieces.concat());
    prop_oneof![any::<String>(), pieces]
}

#[derive(Debug, Clone)]
enum Edit {
    Cut(Index, Index),
    Put(Index, String),
    Twice(Index, Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        any::<(Index, Index)>().prop_map(|(a, b)| Edit::Cut(a, b)),
        (any::<Index>(), select(&**PIECES)).prop_map(|(at, piece)| Edit::Put(at, piece)),
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

fn bounded() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn any_fleet_text_is_read_or_refused_with_a_line(text in any_text(), edits in edits()) {
        let known = known();
        properties::fleet(&text, &known);
        properties::fleet(&spoilt(&golden::read(FLEET), &edits), &known);
        properties::compatibility(&spoilt(&golden::read("infra/compatibility.toml"), &edits));
    }

    #[test]
    fn any_release_list_is_read_or_refused_with_a_line(text in any_text(), edits in edits()) {
        let (fleet, _) = golden::load(FLEET);
        properties::releases(&text, &fleet);
        properties::releases(&spoilt(&golden::read(LIST), &edits), &fleet);
    }

    #[test]
    fn any_yaml_round_trips_or_is_refused_with_a_line(text in any_text(), edits in edits()) {
        properties::yaml(&text);
        properties::yaml(&spoilt(&golden::read("charts/cilium/values.yaml"), &edits));
    }

    #[test]
    fn bad_bytes_in_a_journal_lose_only_their_lines(
        before in prop::collection::vec(any::<u8>(), 0..300),
        text in any_text(),
        after in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        properties::journal(&before, text.as_bytes(), &after);
    }

    #[test]
    fn tokens_in_any_text_are_replaced_and_nothing_else(text in any_text()) {
        properties::tokens(&text);
    }

    #[test]
    fn any_output_is_read_without_panic(stdout in any_text(), stderr in any_text(), code in -1..256i32) {
        properties::output(&Output { stdout, stderr, exit: Exit::Code(code), cut: false });
    }

    #[test]
    fn any_glob_matches_or_is_refused(glob in any_text(), long in 0..3usize) {
        let globs = vec![glob.repeat(1 + long * 300)];
        properties::globs(plan(), globs.clone(), globs, vec!["*".into()]);
    }
}

pub(super) fn plan() -> &'static Plan {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| golden::plan(FLEET, Helm::V4));
    &PLAN
}

static ANSWERS: LazyLock<Vec<String>> = LazyLock::new(|| golden::list("tests/fixtures/answers.json"));

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..bounded() })]

    #[test]
    fn any_tool_output_is_judged(edits in edits(), which in any::<Index>(), ok in any::<bool>()) {
        let (fleet, releases) = golden::load(FLEET);
        let stdout = spoilt(&ANSWERS[which.index(ANSWERS.len())], &edits);
        let output = Output { stdout, ..Output::of(Exit::Code(i32::from(!ok))) };
        properties::answers(&fleet, &releases, plan(), &output);
    }
}
