//! What differs between two plans, step by step, with the generated files that each step uses.

use std::collections::BTreeSet;

use super::text::print_step;
use super::uses::Uses;
use super::{Plan, Step, StepKey};
use tool::Command;

/// Lines of unchanged text shown around a change.
const AROUND: usize = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub step: StepKey,
    /// `+` new, `-` gone, `~` changed.
    pub sign: char,
    /// Lines that differ, signed, with their surroundings; none for a step that is new or gone.
    pub lines: Vec<String>,
}

/// Steps that differ, in the new plan's order; those that are gone last.
pub fn diff(old: &Plan, new: &Plan) -> Vec<Change> {
    let gone = old.steps.iter().filter(|step| new.step(&step.id).is_none());
    let changed = new.steps.iter().filter_map(|step| match old.step(&step.id) {
        None => Some(Change { step: step.id.clone(), sign: '+', lines: vec![] }),
        Some(before) => {
            let lines = lines(&whole(before, old), &whole(step, new));
            (!lines.is_empty()).then(|| Change { step: step.id.clone(), sign: '~', lines })
        }
    });
    changed.chain(gone.map(|step| Change { step: step.id.clone(), sign: '-', lines: vec![] })).collect()
}

/// As text: a line per step, and below it what differs.
pub fn print(changes: &[Change]) -> String {
    let mut out = String::new();
    for change in changes {
        out.push_str(&format!("{} {}\n", change.sign, change.step));
        change.lines.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
    }
    out
}

/// A step as printed, and after it each file that it uses.
fn whole(step: &Step, plan: &Plan) -> Vec<String> {
    let cases = step.remedies.iter().flat_map(|remedy| &remedy.act);
    let commands: Vec<&Command> =
        [&step.done_when.ask].into_iter().chain(cases).chain(&step.act).chain(&step.undo).collect();
    let files: BTreeSet<String> = commands.iter().flat_map(|c| Uses::of_command(c, &plan.files).files).collect();
    let mut text: Vec<String> = print_step(step).lines().map(str::to_owned).collect();
    for file in files {
        let content = plan.files.get(&file).map_or("", String::as_str);
        text.extend(content.lines().map(|line| format!("{file}: {line}")));
    }
    text
}

/// Lines taken away and added, with a little around them. Empty if nothing differs.
fn lines(old: &[String], new: &[String]) -> Vec<String> {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (from, to) = (&old[same..old.len() - tail], &new[same..new.len() - tail]);
    if from.is_empty() && to.is_empty() {
        return vec![];
    }
    let before = new[same.saturating_sub(AROUND)..same].iter().map(|line| format!("  {line}"));
    let after = new[new.len() - tail..].iter().take(AROUND).map(|line| format!("  {line}"));
    before.chain(edits(from, to)).chain(after).collect()
}

/// The longest common run of lines stays, by the textbook table; what is between its lines is signed.
fn edits(old: &[String], new: &[String]) -> Vec<String> {
    let mut length = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let skip = length[i + 1][j].max(length[i][j + 1]);
            length[i][j] = if old[i] == new[j] { length[i + 1][j + 1] + 1 } else { skip };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && length[i + 1][j] >= length[i][j + 1]) {
            out.push(format!("- {}", old[i]));
            i += 1;
        } else {
            out.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples::{plan, step};
    use super::*;

    fn text(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|l| (*l).to_owned()).collect()
    }

    #[test]
    fn unchanged_lines_are_not_listed() {
        assert_eq!(lines(&text(&["a", "b"]), &text(&["a", "b"])), Vec::<String>::new());
        let told = lines(&text(&["a", "b", "c", "d", "e"]), &text(&["a", "b", "x", "d", "y", "e"]));
        assert_eq!(told, ["  b", "- c", "+ x", "+ y", "  e"]);
        assert_eq!(lines(&text(&[]), &text(&["a"])), ["+ a"]);
    }

    #[test]
    fn a_step_changes_with_the_files_it_uses() {
        let with = |content: &str| {
            let mut one = step("one", &[]);
            one.act[0] = one.act[0].clone().stdin_file("f.yaml");
            let mut plan = plan([one, step("two", &["one"])]);
            plan.files.insert("f.yaml".into(), content.into());
            plan
        };
        let changes = diff(&with("a: 1\n"), &with("a: 2\n"));
        let lines = text(&["- f.yaml: a: 1", "+ f.yaml: a: 2"]);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].step.as_str(), &changes[0].lines[1..]), ("one", &lines[..]));
        assert_eq!(diff(&with("a: 1\n"), &with("a: 1\n")), vec![]);
        let (less, more) = (plan([step("one", &[])]), plan([step("one", &[]), step("two", &["one"])]));
        assert_eq!(print(&diff(&less, &more)), "+ two\n");
        assert_eq!(print(&diff(&more, &less)), "- two\n");
    }
}
