//! The table of failure points: how often each kind of fault was tried and how often all arrived, by tool.
//! Knows nothing of how trials are played.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::trial_runner::TrialResult;
use crate::ui::table::table;
use sim::Kind;

/// Faults that struck, and those after which the trial arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    tried: usize,
    arrived: usize,
}

impl Count {
    /// A number, or two where they differ: `12`, `11 of 12`.
    fn text(self) -> String {
        match self {
            Count { tried, arrived } if tried == arrived => tried.to_string(),
            Count { tried, arrived } => format!("{arrived} of {tried}"),
        }
    }
}

/// Counts by kind and by the program of the command that was struck.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<Kind, BTreeMap<String, Count>>);

impl Coverage {
    /// Takes in one trial, with every fault that struck in it.
    pub fn add(&mut self, played: &TrialResult) {
        for injected in &played.injected {
            let tool = injected.command.split(' ').next().unwrap_or_default().to_owned();
            let count = self.0.entry(injected.kind).or_default().entry(tool).or_default();
            count.tried += 1;
            count.arrived += usize::from(played.verdict.is_none());
        }
    }

    fn tools(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|tools| tools.keys()).map(String::as_str).collect()
    }

    /// For people: a row for each kind, a column for each tool; where not all arrived, both numbers.
    pub fn text(&self) -> String {
        let tools = self.tools();
        let heading: Vec<&str> = ["fault", "injected", "converged"].into_iter().chain(tools.iter().copied()).collect();
        let row = |name: String, of: &dyn Fn(&str) -> Count| {
            let all: Vec<Count> = tools.iter().map(|tool| of(tool)).collect();
            let sum = |part: fn(&Count) -> usize| all.iter().map(part).sum::<usize>().to_string();
            let mut row = vec![name, sum(|c| c.tried), sum(|c| c.arrived)];
            row.extend(all.iter().map(|count| count.text()));
            row
        };
        let get = |tools: &BTreeMap<String, Count>, tool: &str| tools.get(tool).copied().unwrap_or_default();
        let mut rows: Vec<Vec<String>> =
            self.0.iter().map(|(kind, tools)| row(kind.to_string(), &|tool| get(tools, tool))).collect();
        rows.push(row("all".to_owned(), &|tool| {
            let counts = self.0.values().map(|tools| get(tools, tool));
            counts.fold(Count::default(), |sum, count| Count {
                tried: sum.tried + count.tried,
                arrived: sum.arrived + count.arrived,
            })
        }));
        table(&heading, &rows)
    }

    /// For scripts: one event with every kind, and in it every tool.
    pub fn json(&self) -> Value {
        let count = |count: &Count| json!({ "injected": count.tried, "converged": count.arrived });
        let tools = |tools: &BTreeMap<String, Count>| -> BTreeMap<String, Value> {
            tools.iter().map(|(tool, of)| (tool.clone(), count(of))).collect()
        };
        let faults: BTreeMap<String, Value> = self.0.iter().map(|(k, of)| (k.to_string(), json!(tools(of)))).collect();
        json!({ "event": "injection-points", "faults": faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::InjectedFault;

    fn played(kind: Kind, command: &str, well: bool) -> TrialResult {
        let injected = vec![InjectedFault { point: 7, kind, command: command.into() }];
        TrialResult { injected, verdict: (!well).then(|| (63, "it does not arrive".into())), ..TrialResult::default() }
    }

    #[test]
    fn each_kind_has_a_row_and_each_tool_a_column() {
        let mut table = Coverage::default();
        for (kind, command, well) in [
            (Kind::Crash, "helm list --output json", true),
            (Kind::Fail, "helm list --output json", true),
            (Kind::Fail, "multipass list", false),
            (Kind::Fail, "multipass list", true),
        ] {
            table.add(&played(kind, command, well));
        }
        let want = "\
fault  injected  converged  helm  multipass
fail          3          2     1  1 of 2
crash         1          1     1  0
all           4          3     2  1 of 2
";
        assert_eq!(table.text(), want);
        assert_eq!(table.json()["faults"]["fail"]["multipass"], json!({ "injected": 2, "converged": 1 }));
    }
}
